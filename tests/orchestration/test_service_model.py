"""The service follows the registry's alias, and keeps what it has when there is nothing better."""

import logging
import time
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import StorageUnreachableError, WeightsMissingError
from models.serving.prediction_queue import PredictionQueue
from models.serving.served_model import ServedModel
from models.serving.settings import ServingSettings
from orchestration.service.model_source import ModelFollower, find_model
from tests.models.serving.serving_predictors import painted_file, painted_predictor

SOON = 30.0
FIRST, SECOND = (ServedModel("champion", version, "cccc", Path(version)) for version in ("aaaa", "bbbb"))


@pytest.fixture
def workers(small_model):
    """A predictor for each model, by its version."""
    return {model.version: painted_predictor(small_model) for model in (FIRST, SECOND)}


@pytest.fixture
def queue(workers):
    queue = PredictionQueue([workers["aaaa"]], ServingSettings(), FIRST)
    yield queue
    queue.close(SOON)


def ask(queue) -> ServedModel:
    """The model that answers."""
    return queue.submit([("one", painted_file((60, 60)))], time.monotonic() + SOON)[0].result(SOON).model


def test_another_champion_answers_without_a_restart(queue, workers):
    alias = [FIRST]
    follower = ModelFollower(queue, lambda: alias[0], lambda found: [workers[found.version]], 0.01)
    assert not follower.look()
    assert ask(queue) is FIRST
    with follower:
        alias[0] = SECOND
        end = time.monotonic() + SOON
        while queue.model is not SECOND:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert ask(queue) is SECOND
    assert [worker.backend.detections for worker in workers.values()] == [1, 1]


def test_a_classifier_that_is_trained_anew_is_taken_too(queue, workers):
    retrained = replace(FIRST, classifier="dddd")
    follower = ModelFollower(queue, lambda: retrained, lambda found: [workers[found.version]], SOON)
    assert follower.look()
    assert ask(queue) is retrained
    assert not follower.look()


def test_a_registry_that_is_down_changes_nothing(queue, workers, caplog):
    def out_of_reach():
        raise StorageUnreachableError("registry: does not answer.")

    follower = ModelFollower(queue, out_of_reach, lambda found: [workers[found.version]], SOON)
    with caplog.at_level(logging.WARNING):
        assert not follower.look()
    assert "aaaa stays, for another cannot be had: registry: does not answer" in caplog.text
    assert queue.model is FIRST
    ask(queue)
    assert workers["aaaa"].backend.detections == 1


def test_a_champion_that_gives_other_numbers_is_not_taken(queue, workers, caplog, monkeypatch):
    monkeypatch.setattr(workers["bbbb"].session, "expression_size", 12)
    follower = ModelFollower(queue, lambda: SECOND, lambda found: [workers[found.version]], SOON)
    assert not follower.look()
    assert "12 coefficients cannot take the place of one of 28; start the service anew" in caplog.text
    assert queue.model is FIRST


def test_a_model_is_found_by_name_and_by_folder_and_has_its_files_own_version(tmp_path):
    named = find_model("deepexp3d-small")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "network.onnx").write_bytes((named.folder / "network.onnx").read_bytes())
    (tmp_path / "mine" / "classifier.skops").write_bytes(b"another")
    copied = find_model(str(tmp_path / "mine"))
    assert (named.name, copied.name) == ("deepexp3d-small", "mine")
    assert named.version == copied.version
    assert named.classifier != copied.classifier
    with pytest.raises(WeightsMissingError, match="there is no such file; name an exported network's folder"):
        find_model(str(tmp_path))


def test_the_champion_is_the_one_of_the_registry(tmp_path, monkeypatch):
    folder = find_model("deepexp3d-small").folder
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(Path(__file__).resolve().parents[2]))
    monkeypatch.setattr("orchestration.service.model_source.model_of_name", lambda workspace, name: folder)
    assert find_model("champion").name == "champion"
    assert find_model("champion").folder == folder
