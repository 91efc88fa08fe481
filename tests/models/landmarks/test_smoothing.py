"""Cubic splines over time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import make_smoothing_spline

from models.landmarks import smooth
from models.landmarks.smoothing import smoothed_at_knots


def uneven_times(count, seed=0):
    return np.cumsum(np.random.default_rng(seed).uniform(0.01, 0.09, count))


def motion(times, frequency=1.0):
    """Landmarks (T, 68, 2) that swing by 20 pixels."""
    phase = np.linspace(0, 3, 136).reshape(68, 2)
    return 200 + 20 * np.sin(2 * np.pi * frequency * times[:, None, None] + phase)


def test_it_is_the_smoothing_spline_of_the_books():
    times = uneven_times(40)
    values = np.random.default_rng(1).normal(size=(40, 3))
    strength = 1 / (np.median(np.diff(times)) * (2 * np.pi * 5) ** 4)
    expected = [make_smoothing_spline(times, column, lam=strength)(times) for column in values.T]
    np.testing.assert_allclose(smoothed_at_knots(times, values, 5.0), np.transpose(expected), atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(0.5, 50), st.floats(-900, 900), st.floats(-50, 50))
def test_straight_motion_is_untouched_however_hard_it_is_smoothed(seed, cutoff, start, speed):
    times = uneven_times(30, seed)
    line = np.broadcast_to((start + speed * times)[:, None, None], (30, 68, 2))
    np.testing.assert_allclose(smooth(line, times, cutoff_hz=cutoff).landmarks, line, atol=1e-2)


def test_a_cubic_comes_back_with_its_gaps_filled():
    times = uneven_times(60)
    cubic = np.broadcast_to((100 + 20 * times - 15 * times**2 + 4 * times**3)[:, None, None], (60, 68, 2)).copy()
    holes = [20, 21, 22, 23, 40]
    given_ = cubic.copy()
    given_[holes] = np.nan
    result = smooth(given_, times, cutoff_hz=np.inf)
    np.testing.assert_allclose(result.landmarks[5:-5], cubic[5:-5], atol=0.02)
    assert np.flatnonzero(result.interpolated).tolist() == holes


def test_known_jitter_is_reduced_and_the_motion_kept():
    times = np.arange(300) / 30
    truth = motion(times)
    noisy = truth + np.random.default_rng(0).normal(0, 1.0, truth.shape)
    result = smooth(noisy, times, cutoff_hz=4.0).landmarks
    assert np.sqrt(((result - truth) ** 2).mean()) < 0.65
    kept = smooth(truth, times, cutoff_hz=4.0).landmarks
    assert np.abs(kept - truth)[15:-15].max() < 0.2


@pytest.mark.parametrize("fps", [24, 30, 60, 120])
@pytest.mark.parametrize("cutoff", [2.0, 5.0])
def test_motion_at_the_cutoff_is_halved_at_any_frame_rate(fps, cutoff):
    times = np.arange(10 * fps) / fps
    swing = motion(times, cutoff) - 200
    middle = slice(3 * fps, 7 * fps)
    ratio = smooth(swing, times, cutoff_hz=cutoff).landmarks[middle].std() / swing[middle].std()
    assert ratio == pytest.approx(0.5, abs=0.06)


def test_gaps_in_a_variable_frame_rate_are_filled_by_time_and_not_by_count():
    times = np.array([0, 0.1, 0.2, 0.25, 0.55, 0.6, 0.7])
    line = np.broadcast_to(100 * times[:, None, None], (7, 68, 2)).copy()
    line[[3, 4]] = np.nan
    result = smooth(line, times, cutoff_hz=np.inf).landmarks
    np.testing.assert_allclose(result[[3, 4], 0, 0], [25, 55], atol=1e-3)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(1, 30))
def test_smoothing_is_linear_and_turns_with_the_picture(seed, cutoff):
    rng = np.random.default_rng(seed)
    times = uneven_times(25, seed)
    landmarks = rng.normal(200, 20, (25, 68, 2))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned = smooth(landmarks @ turn.T, times, cutoff_hz=cutoff).landmarks
    np.testing.assert_allclose(turned, smooth(landmarks, times, cutoff_hz=cutoff).landmarks @ turn.T, atol=1e-2)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_tracks_are_smoothed_too(count):
    times = np.arange(count) / 25
    landmarks = motion(times)
    assert np.abs(smooth(landmarks, times, cutoff_hz=6.0).landmarks - landmarks).max() < 5


@pytest.mark.parametrize(
    ("times", "hole"), [([0.0, 0.1, 0.1, 0.2], None), ([0.0, 0.1, 0.2], None), ([0, 0.1, 0.2, 0.3], 3)]
)
def test_what_cannot_be_smoothed_is_refused(times, hole):
    landmarks = np.zeros((4, 68, 2))
    if hole is not None:
        landmarks[hole] = np.nan
    with pytest.raises(ValueError, match=r"increasing|agree|first and the last"):
        smooth(landmarks, np.array(times, float), cutoff_hz=5.0)
