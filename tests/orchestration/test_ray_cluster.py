"""The cluster as a resource: connected while an asset is made, and nothing where processes do the work."""

import sys

import dagster as dg
import pytest

from assets.params import load_params
from models.errors import ClusterError
from orchestration.ray_cluster import ray_cluster
from tests.workspace_fixture import ROOT


def made_with(**execution) -> dg.ExecuteInProcessResult:
    """An asset that says whether it has found Ray connected."""
    overrides = {f"execution.{name.replace('__', '.')}": value for name, value in execution.items()}
    parameters = load_params(ROOT / "params.yaml", {"machine.workers": 1} | overrides)

    @dg.asset
    def connected(ray_cluster: dg.ResourceParam[object]) -> bool:
        return "ray" in sys.modules and sys.modules["ray"].is_initialized()

    return dg.materialize([connected], resources={"ray_cluster": ray_cluster(parameters)})


def test_processes_need_no_cluster():
    assert made_with(backend="processes").output_for_node("connected") is False


def test_a_cluster_is_connected_while_an_asset_is_made_and_no_longer(monkeypatch):
    ray = pytest.importorskip("ray", reason="the extra of work on several machines is not installed")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert made_with(backend="ray").output_for_node("connected") is True
    assert not ray.is_initialized()


def test_a_cluster_that_does_not_answer_is_named():
    pytest.importorskip("dagster_ray", reason="the extra of work on several machines is not installed")
    with pytest.raises(dg.DagsterResourceFunctionError) as raised:
        made_with(backend="ray", ray__address="127.0.0.1:9")
    assert "127.0.0.1:9: nobody answers" in str(raised.value.__cause__)


def test_a_cluster_without_the_extra_is_refused_with_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "dagster_ray", None)
    with pytest.raises(ClusterError, match=r"dagster-ray is not installed: pip install 'deepexp3d\[ray\]'"):
        made_with(backend="ray")
