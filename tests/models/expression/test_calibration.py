"""A person's rest expression is found among all that the face does, and filters smooth without lagging."""

import numpy as np
import pytest

from models.expression.calibration import rest_expression
from models.expression.temporal_filter import OneEuroFilter, OneEuroSettings


def talking_face(rest: np.ndarray, seed: int, smile_share: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Expressions (F, 28) of 20 seconds: at rest a third of the time, else speaking, at last a held smile."""
    rng = np.random.default_rng(seed)
    frames = 500
    time = np.arange(frames) / 25
    talk = np.cumsum(rng.normal(size=(frames, 28)), axis=0)
    talk = 2 * talk / talk.std()
    speaks = (np.sin(2 * np.pi * time / 4) > -0.5)[:, None]
    expression = rest + np.where(speaks, np.abs(talk), 0) + rng.normal(size=(frames, 28)) * 0.05
    held = round(smile_share * frames)
    expression[frames - held :] = rest + 2.5 + rng.normal(size=(held, 28)) * 0.05
    return expression, time


@pytest.mark.parametrize("seed", range(4))
def test_the_rest_of_a_talking_face_is_found(seed):
    rest = np.random.default_rng(100 + seed).normal(size=28) * 0.7
    expression, time = talking_face(rest, seed)
    found = rest_expression(expression, time)
    assert np.sqrt(np.mean((found - rest) ** 2)) < 0.15
    assert np.sqrt(np.mean((expression.mean(axis=0) - rest) ** 2)) > 0.2, "the mean would not do"


def test_a_smile_that_is_held_for_as_long_as_the_rest_is_not_taken_for_it():
    rest = np.full(28, 0.4)
    expression, time = talking_face(rest, 3, smile_share=0.3)
    assert np.abs(rest_expression(expression, time) - rest).max() < 0.3


def test_frames_without_a_face_and_very_long_videos_are_no_trouble():
    expression, time = talking_face(np.full(28, 0.5), 1)
    expression, time = np.tile(expression, (12, 1)), np.arange(6000) / 25
    expression[::7] = np.nan
    assert np.abs(rest_expression(expression, time) - 0.5).max() < 0.3


def test_a_few_frames_are_no_evidence():
    assert np.array_equal(rest_expression(np.ones((9, 28)), np.arange(9) / 25), np.zeros(28))


def test_a_constant_signal_passes_the_filter_unchanged():
    smooth = OneEuroFilter(OneEuroSettings())
    values = np.linspace(-2, 2, 28)
    for frame in range(5):
        np.testing.assert_allclose(smooth(frame / 25, values), values)


def test_a_face_at_rest_is_steadied_and_one_that_moves_hardly_lags():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 1)) * 0.1
    rest = OneEuroFilter(OneEuroSettings())
    steady = np.array([rest(frame / 25, noise[frame]) for frame in range(200)])
    assert steady[50:].std() < 0.6 * noise[50:].std()
    moving = OneEuroFilter(OneEuroSettings())
    jump = np.array([moving(frame / 25, np.array([4.0 * (frame >= 25)])) for frame in range(50)])
    assert jump[30, 0] > 3.5, "a fast movement has arrived after a fifth of a second"


def test_time_that_stands_still_changes_nothing():
    smooth = OneEuroFilter(OneEuroSettings())
    first = smooth(1.0, np.zeros(3))
    assert np.array_equal(smooth(1.0, np.ones(3)), first)
