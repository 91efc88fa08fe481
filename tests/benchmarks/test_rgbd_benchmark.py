"""The benchmark of colour and depth measures what its keys say."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.rgbd import (
    LARGEST_OFFSET,
    LARGEST_TURN,
    accuracies,
    common_faces,
    displaced,
    measure_registration,
    truth_of,
)
from models.errors import ScanError
from models.rgbd.range_image import RangeImage
from models.rgbd.registration import mean_distance
from models.rgbd.result import AS_TRAINED
from tests.models.rgbd.made_up_samples import made_up_samples

RANGE = RangeImage(np.zeros((50, 40), np.float32), mm_per_pixel=2.0, origin=np.array([-30.0, 60.0]))


def test_the_truth_takes_pixels_of_the_scan_over_millimetres_to_the_photograph():
    to_photograph = np.array([[3.0, 0.5, 100.0], [-0.5, -3.0, 200.0]])
    points = np.array([[-10.0, 20.0], [14.0, -8.0]])
    pixels = RANGE.pixels(points)
    expected = points @ to_photograph[:, :2].T + to_photograph[:, 2]
    matrix = truth_of(RANGE, to_photograph)
    np.testing.assert_allclose(pixels @ matrix[:, :2].T + matrix[:, 2], expected)


def test_pairs_are_displaced_and_stay_within_the_offset():
    rng = np.random.default_rng(0)
    truth = np.array([[2.0, 0.0, 10.0], [0.0, 2.0, 20.0]])
    middle = np.zeros(RANGE.depth.shape, bool)
    middle[24:26, 19:21] = True
    starts = [displaced(truth, RANGE.depth.shape, rng) for _ in range(50)]
    distances = [mean_distance(start, truth, middle) for start in starts]
    assert max(distances) <= np.hypot(LARGEST_OFFSET, LARGEST_OFFSET) + 0.5
    assert np.median(distances) > LARGEST_OFFSET / 2
    turns = np.degrees([np.arctan2(start[1, 0], start[0, 0]) for start in starts])
    assert LARGEST_TURN / 2 < np.abs(turns).max() <= LARGEST_TURN
    assert {round(float(np.hypot(*start[:, 0])), 6) for start in starts} == {2.0}


def test_pairs_that_the_registration_refuses_are_counted_and_the_rest_is_measured(monkeypatch):
    rendered = SimpleNamespace(mesh=None, photograph=None, to_photograph=np.array([[3.0, 0.5, 100.0], [-0.5, -3, 200]]))
    truth = truth_of(RANGE, rendered.to_photograph)
    outcomes = iter([ScanError("refused"), SimpleNamespace(matrix=truth + [[0, 0, 3], [0, 0, 4]])])

    def register(*_, **__):
        outcome = next(outcomes)
        if isinstance(outcome, ScanError):
            raise outcome
        return outcome

    monkeypatch.setattr("benchmarks.rgbd.register", register)
    monkeypatch.setattr("benchmarks.rgbd.range_image", lambda mesh: RANGE)
    monkeypatch.setattr("benchmarks.rgbd.rendered_scans", lambda *_: iter([("sad", 3, rendered)] * 2))
    figures = measure_registration(None, 2)
    assert (figures["registration_pairs"], figures["registration_refused_share"]) == (2, 0.5)
    assert figures["registration_px_median"] == pytest.approx(5)


def test_only_faces_that_both_sets_have_are_compared_in_one_order():
    samples = made_up_samples(3)
    one, other = common_faces(samples.at(np.arange(2, 36)), samples.at(np.arange(30)[::-1]))
    assert len(one) == 28
    for name in ("subjects", "labels", "intensities"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.depth, other.depth)


@pytest.mark.parametrize(("condition", "key"), [(AS_TRAINED, "depth"), ("changed light", "depth_changed_light")])
def test_keys_name_pipeline_and_condition(condition, key):
    one = SimpleNamespace(pipeline="depth", condition=condition, accuracy=0.75, epochs=(10, 20))
    assert accuracies(SimpleNamespace(results=[one])) == {key: 0.75, "depth_epochs": 15.0}
