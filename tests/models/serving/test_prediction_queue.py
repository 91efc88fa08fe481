"""Pictures are answered in batches of what is waiting, and each fails alone."""

import time
from pathlib import Path

import pytest

from models.errors import ImageError, OverloadedError
from models.serving.prediction_queue import PredictionQueue
from models.serving.served_model import ServedModel
from models.serving.settings import ServingSettings
from tests.models.serving.serving_predictors import painted_file, painted_predictor

SOON = 30.0
MODEL, OTHER = (ServedModel(name, name, name, Path()) for name in ("one", "other"))


@pytest.fixture
def predictor(small_model):
    return painted_predictor(small_model)


@pytest.fixture
def queue(predictor):
    queue = PredictionQueue([predictor], ServingSettings(batch=4, queue_pictures=8, max_batch_pictures=8), MODEL)
    yield queue
    predictor.backend.let.set()
    queue.close(SOON)


def in_a_while() -> float:
    return time.monotonic() + SOON


def hold(queue, predictor):
    """The future of a picture that the only worker is at, and stays at."""
    predictor.backend.let.clear()
    predictor.backend.reached.clear()
    (held,) = queue.submit([("held", painted_file((60, 60)))], in_a_while())
    assert predictor.backend.reached.wait(SOON)
    return held


def test_a_picture_is_read_as_predict_reads_it(queue):
    (future,) = queue.submit([("two", painted_file((20, 20), (120, 60)))], in_a_while())
    reading = future.result(SOON)
    assert reading.faces == 2
    assert (reading.width, reading.height) == (240, 240)
    assert [row["face"] for row in reading.rows] == [0, 1]
    assert set(reading.rows[0]) >= {"box", "emotion", "p_happy", "e_00", "e_27", "yaw", "pitch", "roll", "status"}


def test_what_waits_goes_through_the_network_together_and_no_more_than_a_batch(queue, predictor):
    held = hold(queue, predictor)
    futures = queue.submit([(str(n), painted_file((60, 60))) for n in range(6)], in_a_while())
    assert len(queue) == 6
    predictor.backend.let.set()
    assert [future.result(SOON).faces for future in [held, *futures]] == [1] * 7
    assert predictor.session.together == [1, 4, 2]


def test_one_that_cannot_be_read_fails_alone(queue, predictor):
    hold(queue, predictor)
    futures = queue.submit(
        [("good", painted_file((60, 60))), ("bad", b"no image"), ("empty", painted_file())], in_a_while()
    )
    predictor.backend.let.set()
    assert futures[0].result(SOON).faces == 1
    with pytest.raises(ImageError, match="bad: is no JPEG, PNG"):
        futures[1].result(SOON)
    nobody = futures[2].result(SOON)
    assert (nobody.faces, nobody.rows[0]["status"]) == (0, "no face")


def test_a_fault_in_the_detector_or_the_network_is_the_pictures_alone(queue, predictor, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(predictor.backend, "detect", lambda image: 1 / 0)
        (failed,) = queue.submit([("one", painted_file((60, 60)))], in_a_while())
        assert isinstance(failed.exception(SOON), ZeroDivisionError)
    with monkeypatch.context() as broken:
        broken.setattr(predictor, "measure", lambda faces, crops: 1 / 0)
        (failed,) = queue.submit([("two", painted_file((60, 60)))], in_a_while())
        assert isinstance(failed.exception(SOON), ZeroDivisionError)
    (after,) = queue.submit([("three", painted_file((60, 60)))], in_a_while())
    assert after.result(SOON).faces == 1


def test_a_full_queue_takes_all_or_none_and_says_when_to_come_back(queue, predictor):
    hold(queue, predictor)
    queue.submit([("waits", painted_file((60, 60)))] * 7, in_a_while())
    with pytest.raises(OverloadedError, match="7 pictures wait already, and at most 8 may") as refused:
        queue.submit([("late", b"")] * 2, in_a_while())
    assert refused.value.retry_after_s >= 1
    assert len(queue) == 7
    queue.submit([("fits", painted_file((60, 60)))], in_a_while())


def test_what_nobody_waits_for_any_more_is_not_done(queue, predictor):
    hold(queue, predictor)
    late, cancelled = queue.submit([("late", painted_file((60, 60)))], time.monotonic()) + queue.submit(
        [("cancelled", painted_file((60, 60)))], in_a_while()
    )
    assert cancelled.cancel()
    predictor.backend.let.set()
    assert isinstance(late.exception(SOON), TimeoutError)
    (after,) = queue.submit([("after", painted_file((60, 60)))], in_a_while())
    after.result(SOON)
    assert predictor.backend.detections == 2, "only the first and the last were looked at"


def test_closing_answers_what_waits_and_takes_no_more(queue, predictor):
    held = hold(queue, predictor)
    (waiting,) = queue.submit([("waits", painted_file((60, 60)))], in_a_while())
    predictor.backend.let.set()
    queue.close(SOON)
    assert (held.result(0).faces, waiting.result(0).faces) == (1, 1)
    assert not queue.is_open
    with pytest.raises(OverloadedError, match="being stopped"):
        queue.submit([("late", b"")], in_a_while())


def test_closing_does_not_wait_for_ever(queue, predictor):
    hold(queue, predictor)
    (waiting,) = queue.submit([("waits", painted_file((60, 60)))], in_a_while())
    queue.close(0.05)
    assert isinstance(waiting.exception(SOON), OverloadedError)
    assert queue.longest_batch_s > 0


def test_another_model_answers_from_the_next_batch_on(queue, predictor, small_model):
    other = painted_predictor(small_model)
    queue.replace([other], OTHER)
    (future,) = queue.submit([("one", painted_file((60, 60)))], in_a_while())
    assert future.result(SOON).model is queue.model is OTHER
    assert (other.backend.detections, predictor.backend.detections) == (1, 0)
    with pytest.raises(ValueError, match="2 predictors for 1 workers"):
        queue.replace([other, other], OTHER)


def test_workers_share_what_is_waiting(small_model):
    workers = [painted_predictor(small_model) for _ in range(2)]
    for worker in workers:
        worker.backend.let.clear()
    queue = PredictionQueue(workers, ServingSettings(batch=8), MODEL)
    futures = queue.submit([(str(n), painted_file((60, 60))) for n in range(2)], in_a_while())
    assert all(worker.backend.reached.wait(SOON) for worker in workers)
    for worker in workers:
        worker.backend.let.set()
    assert [future.result(SOON).faces for future in futures] == [1, 1]
    queue.close(SOON)
    with pytest.raises(ValueError, match="at least one predictor"):
        PredictionQueue([], ServingSettings(), MODEL)
