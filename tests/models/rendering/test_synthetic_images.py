"""Posed emotion images and dynamic scans."""

import numpy as np
import pytest

from models.morphable_model.expressions import EMOTION_PROTOTYPES
from models.rendering.settings import SyntheticImageSettings
from models.rendering.synthetic_images import posed_activations, render_emotion_image, synthesise_scan

SETTINGS = SyntheticImageSettings(size=96)


def test_the_same_numbers_give_the_same_image_and_others_another(embedded_model):
    first, again, other = (
        render_emotion_image(embedded_model, "happy", 1, take, settings=SETTINGS) for take in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    np.testing.assert_array_equal(first.identity, other.identity)


def test_truth_fits_the_image(embedded_model):
    shown = render_emotion_image(embedded_model, "surprised", 0, settings=SETTINGS)
    assert shown.image.shape == (96, 96, 3)
    assert shown.image.dtype == np.uint8
    expected = shown.camera.project(embedded_model.landmarks(shown.identity, shown.expression))[0]
    np.testing.assert_allclose(shown.landmarks, expected, atol=1e-3)
    assert (np.abs(shown.landmarks - 48) < 48).all()


@pytest.mark.parametrize("view", [-45.0, 0.0, 45.0])
def test_the_view_is_the_one_asked_for(embedded_model, view):
    shown = render_emotion_image(embedded_model, "sad", 0, yaw=view, settings=SETTINGS)
    assert abs(shown.yaw - view) < 20


def test_emotions_overlap_but_can_mostly_be_told_apart(embedded_model):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    emotions = list(EMOTION_PROTOTYPES)
    features, labels = [], []
    for subject in range(60):
        for label, emotion in enumerate(emotions):
            rng = np.random.default_rng([subject, label])
            features.append(posed_activations(emotion, subject, 0, SETTINGS, rng) @ embedded_model.extras["units"])
            labels.append(label)
    features, labels = np.array(features), np.array(labels)
    half = len(labels) // 2
    accuracy = LinearDiscriminantAnalysis().fit(features[:half], labels[:half]).score(features[half:], labels[half:])
    assert 0.7 < accuracy < 0.995


def test_an_unknown_emotion_is_refused(embedded_model):
    with pytest.raises(ValueError, match="bored"):
        render_emotion_image(embedded_model, "bored", 0, settings=SETTINGS)


def test_a_scan_goes_from_rest_to_the_peak_and_back(embedded_model):
    scan = synthesise_scan(embedded_model, "happy", 2, frames=9, settings=SETTINGS)
    distance = np.linalg.norm(scan.expression - scan.expression[0], axis=1)
    assert distance.argmax() == 4
    assert distance[-1] < 0.05 * distance[4]
    assert (np.diff(distance[:5]) > 0).all()
    assert scan.intensity[4] == pytest.approx(1)


def test_every_frame_of_a_scan_comes_with_its_truth(embedded_model):
    scan = synthesise_scan(embedded_model, "angry", 0, frames=4, settings=SETTINGS)
    frames = list(scan.frames())
    assert len(frames) == 4
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.expression, scan.expression[number])
        points = frame.camera.project(embedded_model.landmarks_of(scan.mesh(number)))[0]
        np.testing.assert_allclose(frame.landmarks, points, atol=1e-3)
        assert abs(frame.yaw) < 35


def test_a_subject_is_one_person_in_scans_images_and_videos(embedded_model):
    image = render_emotion_image(embedded_model, "neutral", 5, settings=SETTINGS)
    scan = synthesise_scan(embedded_model, "fearful", 5, frames=3, settings=SETTINGS)
    np.testing.assert_array_equal(image.identity, scan.identity)
