"""The service's benchmark counts what clients really saw."""

import os

import psutil
import pytest

from benchmarks.serving import photographs, send_load, watched
from models.expression.images import read_image
from models.serving.settings import ServingSettings
from tests.models.serving.serving_predictors import painted_file, painted_predictor
from tests.orchestration.running_service import running


@pytest.fixture(scope="module")
def client(small_model):
    with running(painted_predictor(small_model), ServingSettings()) as client:
        yield client


def test_every_client_sends_until_the_time_is_over_and_answers_are_timed(client):
    load = send_load(client.base_url.host, client.base_url.port, [painted_file((60, 60))], 3, 1.0)
    assert load.errors == []
    assert len(load.latency_s) == len(load.finished_s) >= 3
    assert all(0 < latency < 60 for latency in load.latency_s)


def test_refusals_and_pictures_without_a_face_are_errors(client):
    load = send_load(client.base_url.host, client.base_url.port, [b"no image", painted_file()], 2, 0.5)
    assert load.latency_s == []
    assert any(error.startswith("422") for error in load.errors)
    assert any(error.startswith("200") for error in load.errors)


def test_a_service_that_is_gone_is_an_error_and_not_the_end(client):
    load = send_load(client.base_url.host, 1, [b""], 1, 0.05)
    assert load.errors
    assert "Refused" in load.errors[0]


def test_memory_is_watched_while_the_load_lasts(monkeypatch):
    monkeypatch.setattr("benchmarks.serving.WATCH_EVERY_S", 0.01)
    with watched(psutil.Process(os.getpid())) as memory:
        while len(memory.megabytes) < 3:
            pass
    assert min(memory.megabytes) > 10
    assert sorted(memory.seconds) == memory.seconds


def test_faces_are_rendered_where_there_are_no_photographs(prepared_project, tmp_path, monkeypatch):
    from assets.morphable_model import load_model

    monkeypatch.delenv("LONDON_FACES", raising=False)
    monkeypatch.setattr("benchmarks.serving.PICTURES", 2)
    paths = photographs(load_model(prepared_project), tmp_path)
    assert [read_image(path).shape for path in paths] == [(512, 512, 3)] * 2
