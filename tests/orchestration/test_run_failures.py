"""What a failed run says: the project's own error where there is one, else the innermost cause."""

import dagster as dg

from models.errors import ClusterError, WeightsMissingError
from orchestration.run import _failure


def failure_of(asset) -> str:
    return _failure(dg.materialize([asset], raise_on_error=False))


def test_an_error_of_the_project_is_not_hidden_by_what_caused_it():
    @dg.asset
    def network():
        try:
            raise FileNotFoundError("no such file")
        except OSError as error:
            raise WeightsMissingError("weights.npz: cannot be read; train the network.") from error

    text = failure_of(network)
    assert text.startswith("network: ")
    assert "weights.npz: cannot be read; train the network." in text
    assert "FileNotFoundError" not in text


def test_other_errors_are_told_by_their_innermost_cause():
    @dg.asset
    def network():
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error

    assert "inner" in failure_of(network)


def test_a_resource_that_fails_before_any_stage_is_told_too():
    @dg.resource
    def cluster(_):
        raise ClusterError("Ray: nobody answers; start the cluster.")

    @dg.asset(required_resource_keys={"cluster"})
    def network(): ...

    result = dg.materialize([network], resources={"cluster": cluster}, raise_on_error=False)
    assert "Ray: nobody answers; start the cluster." in _failure(result)
