"""What a probe finds of the person."""

import numpy as np
import pytest

from models.expression.identity_leakage import chance, identity_leakage, neutral_variance


def faces(leak: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Twelve pictures of each of 20 people: random expressions plus `leak` times something of the person's own."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(20), 12)
    return rng.normal(size=(240, 10)) + leak * rng.normal(size=(20, 10))[subject], subject


def test_expressions_without_identity_are_recognised_by_chance_alone():
    expressions, subject = faces(0.0)
    assert identity_leakage(expressions, subject, folds=6, seed=0) < 0.12
    assert chance(expressions, subject) == pytest.approx(1 / 20)


def test_the_more_identity_the_more_is_recognised():
    found = [identity_leakage(*faces(leak), folds=6, seed=0) for leak in (0.0, 0.7, 3.0)]
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.95


def test_missing_faces_and_people_of_one_picture_are_left_out():
    expressions, subject = faces(3.0)
    expressions[5] = np.nan
    expressions = np.concatenate([expressions, np.zeros((1, 10))])
    subject = np.append(subject, 99)
    assert identity_leakage(expressions, subject, folds=6, seed=0) > 0.95
    assert chance(expressions, subject) == pytest.approx(12 / 239)


def test_one_person_cannot_be_told_from_others():
    with pytest.raises(ValueError, match="two people"):
        identity_leakage(np.zeros((4, 3)), np.zeros(4), folds=2, seed=0)


def test_neutral_variance_is_the_mean_over_the_coefficients():
    neutral = np.array([[0.0, 1.0], [2.0, 1.0], [np.nan, 5.0]])
    assert neutral_variance(neutral) == 0.5
