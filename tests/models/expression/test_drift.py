"""Drift of expression statistics: seen where there is one, and not where there is only chance."""

import numpy as np
import pytest

from models.errors import ModelMismatchError
from models.expression.drift import (
    ExpressionStatistics,
    bin_counts,
    drift_figure,
    expression_drift,
    population_stability,
)


def films(count: int, seed: int, shift: float = 0.0, spread: float = 1.0) -> dict[str, np.ndarray]:
    """Videos (80, 4) of people who each have habits of their own."""
    rng = np.random.default_rng(seed)
    return {
        f"video {n}": spread * (0.6 * rng.normal(size=4) + 0.8 * rng.normal(size=(80, 4))) + shift for n in range(count)
    }


@pytest.fixture(scope="module")
def reference() -> ExpressionStatistics:
    return ExpressionStatistics.of(films(120, seed=0))


def test_as_many_frames_lie_in_each_bin_of_the_training_data(reference):
    shares = reference.counts.sum(0) / reference.counts.sum() * 4
    assert shares == pytest.approx(np.full((4, 10), 0.1), abs=0.002)


def test_the_same_distribution_has_no_index(reference):
    total = reference.counts.sum(0)
    assert population_stability(total, total) == pytest.approx(np.zeros(4))


def test_the_index_of_two_bins_is_the_formulas():
    p, q = np.array([3e6, 1e6]), np.array([1e6, 1e6])
    assert population_stability(p, q) == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5), rel=1e-5)


@pytest.mark.parametrize("seed", range(1, 6))
def test_new_people_of_the_same_kind_are_no_drift(reference, seed):
    drift = expression_drift(reference, list(films(40, seed=seed).values()))
    assert not drift.exceeds(0.1)


def test_few_videos_differ_by_chance_and_this_is_known(reference):
    """Three people never have everybody's shares: the index alone would cry wolf."""
    drift = expression_drift(reference, list(films(3, seed=9).values()))
    assert drift.index > 0.05
    assert not drift.exceeds(0.05)


@pytest.mark.parametrize(("shift", "spread"), [(0.8, 1.0), (0.0, 2.0)])
def test_other_expressions_are_drift(reference, shift, spread):
    drift = expression_drift(reference, list(films(40, 7, shift, spread).values()))
    assert drift.exceeds(0.1)
    assert drift.of_coefficient.shape == (4,)
    assert drift.videos == 40


def test_the_drift_is_that_of_the_coefficient_that_moved(reference):
    moved = [values + np.array([0, 1.5, 0, 0]) for values in films(40, 7).values()]
    drift = expression_drift(reference, moved)
    assert int(np.argmax(drift.of_coefficient)) == 1


def test_no_new_video_is_no_drift(reference):
    drift = expression_drift(reference, [])
    assert (drift.index, drift.videos, drift.exceeds(0.0)) == (0.0, 0, False)


def test_values_beyond_all_deciles_are_counted():
    counts = bin_counts(np.array([[-100.0], [100.0]]), np.linspace(-1, 1, 9)[None])
    assert counts[0, 0] == counts[0, -1] == 1


def test_statistics_come_back_as_they_were_saved(reference, tmp_path):
    reference.save(tmp_path / "statistics.npz")
    loaded = ExpressionStatistics.load(tmp_path / "statistics.npz")
    assert loaded.videos.tolist() == reference.videos.tolist()
    np.testing.assert_array_equal(loaded.counts, reference.counts)


def test_another_number_of_coefficients_is_refused(reference):
    with pytest.raises(ModelMismatchError, match="4 coefficients"):
        expression_drift(reference, [np.zeros((5, 3))])


def test_a_missing_or_foreign_file_is_named(tmp_path):
    with pytest.raises(ModelMismatchError, match=r"absent\.npz"):
        ExpressionStatistics.load(tmp_path / "absent.npz")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(ModelMismatchError, match=r"other\.npz"):
        ExpressionStatistics.load(tmp_path / "other.npz")


def test_a_training_set_without_frames_is_refused():
    with pytest.raises(ModelMismatchError, match="no video has a frame"):
        ExpressionStatistics.of({"empty": np.zeros((0, 4))})


def test_the_figure_shows_every_coefficient(reference):
    drift = expression_drift(reference, list(films(10, 3).values()))
    assert len(drift_figure(drift, 0.25).axes[0].patches) == 4
