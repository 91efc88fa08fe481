"""A classifier of emotions that learns from rendered faces alone."""

from dataclasses import replace

import numpy as np
import pytest

from models.emotion.labels import EMOTIONS
from models.emotion.persistence import load_classifier, save_classifier
from models.emotion.settings import ZeroShotSettings
from models.emotion.zero_shot import (
    LinearEmotionClassifier,
    calibration_error,
    fit_prototypes,
    noise_shape,
    read_prototypes,
    scattered,
    train_zero_shot,
)
from models.errors import NoFaceError

SETTINGS = ZeroShotSettings(people=40)


def posed(people: int, seed: int, scatter: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Expressions of 28 coefficients in which each emotion but neutral has a direction of its own."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(EMOTIONS, people)
    directions = np.concatenate([np.zeros((1, 28)), 2 * np.eye(28)[:6]])
    strength = rng.uniform(0.6, 1.1, (len(labels), 1))
    return strength * np.repeat(directions, people, axis=0) + scatter * rng.normal(size=(len(labels), 28)), labels


@pytest.fixture(scope="module")
def classifier() -> LinearEmotionClassifier:
    return fit_prototypes(*posed(40, seed=0), SETTINGS, seed=0)


def test_emotions_of_other_people_are_named(classifier):
    features, labels = posed(30, seed=1)
    assert np.mean(classifier.predict(features) == labels) > 0.9


def test_weak_and_strong_poses_are_named_as_well(classifier):
    features, labels = posed(30, seed=2)
    expressive = labels != "neutral"
    for factor in (0.7, 1.6):
        assert np.mean(classifier.predict(factor * features[expressive]) == labels[expressive]) > 0.8


def test_scatter_leaves_room_to_neutral_faces_that_are_not_at_zero():
    features, labels = posed(40, seed=0)
    offset = 0.9 * np.eye(28)[0]  # nearly half the way to "angry"
    narrow = fit_prototypes(features, labels, replace(SETTINGS, neutral_scatter=0.0, scatter=0.0), seed=0)
    wide = fit_prototypes(features, labels, replace(SETTINGS, neutral_scatter=1.0, scatter=0.3), seed=0)
    place = list(wide.classes_).index("neutral")
    found = [classifier.predict_proba(offset[None])[0, place] for classifier in (narrow, wide)]
    assert found[1] > found[0]


def test_probabilities_are_calibrated_on_what_scatters_as_assumed(classifier):
    features, labels = scattered(*posed(60, seed=3), SETTINGS, np.random.default_rng(4))
    probabilities = classifier.predict_proba(features)
    right = classifier.predict(features) == labels
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert calibration_error(probabilities.max(axis=1), right) < 0.05


def test_noise_takes_neutral_faces_to_the_distance_asked_for():
    features, labels = posed(200, seed=5)
    scattered_features, copied = scattered(
        features, labels, replace(SETTINGS, neutral_scatter=0.8), np.random.default_rng(0)
    )
    smile = np.linalg.norm(features[labels == "happy"].mean(0) - features[labels == "neutral"].mean(0))
    neutral = scattered_features[copied == "neutral"]
    assert np.sqrt(np.square(neutral).sum(1).mean()) == pytest.approx(0.8 * smile, rel=0.05)


def test_noise_of_no_scatter_leaves_features_alone():
    features, labels = posed(20, seed=6)
    still = replace(SETTINGS, neutral_scatter=0.0, scatter=0.0, strength_deviation=0.0, copies=2)
    copies, copied = scattered(features, labels, still, np.random.default_rng(0))
    np.testing.assert_allclose(copies, np.tile(features, (2, 1)))
    np.testing.assert_array_equal(copied, np.tile(labels, 2))


def test_the_shape_of_noise_has_trace_one_and_follows_the_errors():
    neutral = np.random.default_rng(0).normal(size=(500, 28)) * np.where(np.arange(28) == 3, 5.0, 1.0)
    shape = noise_shape(neutral, error_share=0.5)
    assert np.trace(shape) == pytest.approx(1)
    assert np.argmax(np.diag(shape)) == 3
    np.testing.assert_allclose(noise_shape(neutral, error_share=0.0), np.eye(28) / 28)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    right = np.arange(100) % 5 > 0
    assert calibration_error(np.full(100, 0.8), right, bins=1) == pytest.approx(0)
    assert calibration_error(np.full(100, 0.95), right, bins=1) == pytest.approx(0.15)


def test_the_same_seed_gives_the_same_classifier(classifier):
    again = fit_prototypes(*posed(40, seed=0), SETTINGS, seed=0)
    np.testing.assert_array_equal(again.coef_, classifier.coef_)


def test_it_survives_the_disk(classifier, tmp_path):
    save_classifier(classifier, tmp_path / "classifier.skops")
    loaded = load_classifier(tmp_path / "classifier.skops", features=28)
    features, _ = posed(3, seed=7)
    np.testing.assert_array_equal(loaded.predict_proba(features), classifier.predict_proba(features))
    np.testing.assert_array_equal(loaded.classes_, classifier.classes_)


@pytest.fixture
def pictured(monkeypatch):
    """Pictures whose pixels say which emotion they show, in place of rendered ones."""
    from models.emotion import zero_shot

    class Picture:
        def __init__(self, emotion: str):
            self.emotion, self.image = emotion, np.full((2, 2, 3), EMOTIONS.index(emotion), np.uint8)

    monkeypatch.setattr(
        zero_shot, "_pictures", lambda model, settings, seed: iter([Picture(e) for _ in range(9) for e in EMOTIONS])
    )


def read_shown(images: list[np.ndarray]) -> np.ndarray:
    directions = np.concatenate([np.zeros((1, 28)), 2 * np.eye(28)[:6]])
    return directions[[int(image[0, 0, 0]) for image in images]] + 0.01


def test_what_a_network_reads_of_renders_is_learned(pictured):
    classifier = train_zero_shot(read_shown, None, SETTINGS, seed=0)
    features, labels = posed(10, seed=8)
    assert np.mean(classifier.predict(features) == labels) > 0.85


def test_pictures_without_a_face_are_left_out(pictured):
    def read(images):
        features = read_shown(images)
        features[::2] = np.nan
        return features

    features, labels = read_prototypes(read, None, SETTINGS, seed=0)
    assert np.isfinite(features).all()
    assert 7 <= len(labels) < 63


def test_an_emotion_whose_face_is_never_found_is_an_error(pictured):
    def read(images):
        features = read_shown(images)
        features[[int(image[0, 0, 0]) == EMOTIONS.index("sad") for image in images]] = np.nan
        return features

    with pytest.raises(NoFaceError, match="sad: no face"):
        read_prototypes(read, None, SETTINGS, seed=0)
