"""Expression generators differ in the way that they say they do."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from models.errors import ModelMismatchError
from models.fitting.simulation import (
    EXPRESSIONS,
    FRAME_RATE,
    SimulationSettings,
    simulate_expression,
    simulate_video,
)
from models.morphable_model.expressions import EXPRESSION_UNITS

FRAMES = 900
UNITS = len(EXPRESSION_UNITS)


@pytest.fixture(scope="module")
def unit_model(small_model):
    """The small model with the embedded model's units, of which those of the mouth move one half of the coefficients
    and the others the other."""
    rng = np.random.default_rng(2)
    of_mouth = np.array([name.startswith(("mouth", "jaw")) for name in EXPRESSION_UNITS])
    units = rng.normal(size=(UNITS, 28)) * np.where(of_mouth[:, None], np.arange(28) < 14, np.arange(28) >= 14)
    return replace(small_model, extras={"units": units, "unit_names": np.array(EXPRESSION_UNITS)})


def simulated(model, kind, seed=0, frames=FRAMES):
    return simulate_expression(model, frames, kind, np.random.default_rng(seed))


def share_between(course, low, high):
    """Share of the variance of coefficients (F, n) that lies between two frequencies in hertz."""
    power = (np.abs(np.fft.rfft(course - course.mean(0), axis=0)) ** 2).sum(1)
    frequency = np.fft.rfftfreq(len(course), 1 / FRAME_RATE)
    return power[(frequency >= low) & (frequency <= high)].sum() / power.sum()


@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_a_seed_gives_the_same_expressions_again_and_another_one_others(unit_model, kind):
    first = simulated(unit_model, kind, seed=1)
    assert first.shape == (FRAMES, 28)
    assert np.isfinite(first).all()
    assert np.abs(first).max() > 0
    np.testing.assert_array_equal(first, simulated(unit_model, kind, seed=1))
    assert not np.array_equal(first, simulated(unit_model, kind, seed=2))


def test_speech_moves_the_mouth_and_hardly_anything_else(unit_model):
    squares = (simulated(unit_model, "speech") ** 2).sum(0)
    assert squares[14:].sum() < 0.1 * squares[:14].sum()


def test_speech_is_faster_than_the_priors_own_talking(unit_model):
    speech, natural = (
        np.mean([share_between(simulated(unit_model, kind, seed), 2.5, 8) for seed in range(5)])
        for kind in ("speech", "natural")
    )
    assert speech > 0.25
    assert speech > 2 * natural


def test_posed_emotions_are_slow_and_come_back_to_rest(unit_model):
    course = simulated(unit_model, "emotion_sequences", seed=3)
    size = np.linalg.norm(course, axis=1)
    assert share_between(course, 2.5, 15) < 0.02
    at_rest = size < 1e-9
    assert 0.05 < at_rest.mean() < 0.7
    returns = np.flatnonzero(np.diff(at_rest.astype(int)) == 1)
    assert len(returns) >= 3


def test_one_intensity_drives_all_units_of_a_posed_emotion(unit_model):
    """Within a take the face moves nearly along a line; the prior's own generator overlaps events."""
    course = simulated(unit_model, "emotion_sequences", seed=3)
    resting = np.flatnonzero(np.linalg.norm(course, axis=1) < 1e-9)
    takes = [course[a + 1 : b] for a, b in itertools.pairwise(resting) if b - a > 30]
    assert takes
    for take in takes:
        singular = np.linalg.svd(take, compute_uv=False)
        assert singular[0] ** 2 > 0.95 * (singular**2).sum()


@pytest.mark.parametrize("kind", ["emotion_sequences", "speech"])
def test_a_model_without_the_units_that_a_generator_moves_is_refused_by_their_names(small_model, kind):
    other = replace(small_model, extras={"units": np.eye(28), "unit_names": np.array([f"unit{k}" for k in range(28)])})
    with pytest.raises(ModelMismatchError, match="jawOpen"):
        simulated(other, kind)


def test_an_unknown_generator_is_refused_with_the_known_ones(unit_model):
    with pytest.raises(ModelMismatchError, match=r"'dance' is unknown.*speech"):
        simulated(unit_model, "dance")


def test_some_frames_of_a_video_are_those_of_the_whole_one(unit_model):
    video = simulate_video(unit_model, SimulationSettings(frames=60, lost=0.2, expression="speech"), seed=0)
    frames = np.array([3, 4, 40])
    part = video.at(frames)
    np.testing.assert_array_equal(part.landmarks, video.landmarks[frames])
    np.testing.assert_array_equal(part.camera.rotation, video.camera.rotation[frames])
    np.testing.assert_array_equal(part.hidden, video.hidden[frames])
    assert video.hidden.mean() == pytest.approx(0.2, abs=0.08)
