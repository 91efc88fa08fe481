"""Posed emotion images and dynamic scans."""

import numpy as np
import pytest

from models.morphable_model.expressions import EMOTION_PROTOTYPES
from models.rendering.settings import SyntheticImageSettings
from models.rendering.shading import Lighting
from models.rendering.synthetic_images import (
    posed_activations,
    posing_subject,
    render_emotion_image,
    studio_images,
    synthesise_scan,
)

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


STUDIO = SyntheticImageSettings(size=96, yaw_spread=1.0, largest_noise=0.0, largest_blur=0.0)


def test_studio_cameras_see_one_face_in_one_light_from_their_own_sides(embedded_model):
    ((left, front, right),) = studio_images(embedded_model, "happy", 0, yaws=(-45, 0, 90), settings=STUDIO)
    assert abs(left.yaw + 45) < 6
    assert abs(front.yaw) < 6
    assert abs(right.yaw - 90) < 6
    np.testing.assert_array_equal(left.expression, right.expression)
    np.testing.assert_array_equal(left.identity, right.identity)
    # The cameras stand equally far away and look at the middle of the head.
    np.testing.assert_allclose(left.camera.scale, right.camera.scale)
    centres = [shown.camera.project(np.array([[0.0, 0.0, -70.0]]))[0, 0] for shown in (left, front, right)]
    np.testing.assert_allclose(centres, np.tile(centres[0], (3, 1)), atol=1e-9)


def test_studio_lights_stay_where_they_are_when_the_camera_moves(embedded_model, monkeypatch):
    lamp = Lighting(np.array([[1.0, 0, 0]]), np.ones((1, 3)), np.full(3, 0.1), 0.0, 10.0, 0.0, 0.0)
    monkeypatch.setattr("models.rendering.synthetic_images._studio_lighting", lambda rng: lamp)
    ((front, side),) = studio_images(embedded_model, "neutral", 0, yaws=(0, -90), settings=STUDIO)
    # The lamp on the subject's left lights one half of the face; the camera beside it sees that half alone.
    face = front.image[:, 38:58].mean(axis=(0, 2))
    assert face[-4:].mean() > face[:4].mean() + 10
    assert side.image[40:60, 30:60].mean() > front.image[40:60, 38:48].mean() + 10


def test_the_frames_of_a_studio_sequence_go_from_rest_to_the_pose(embedded_model):
    frames = studio_images(embedded_model, "surprised", 2, intensities=(0.0, 0.5, 1.0), settings=STUDIO)
    first, middle, last = (frame[0] for frame in frames)
    np.testing.assert_allclose(middle.expression, (first.expression + last.expression) / 2, atol=1e-9)
    np.testing.assert_array_equal(first.camera.rotation, last.camera.rotation)
    ((posed,),) = studio_images(embedded_model, "surprised", 2, settings=STUDIO)
    np.testing.assert_allclose(last.expression, posed.expression, atol=1e-9)


def test_a_person_who_is_made_once_looks_the_same_in_every_picture(embedded_model):
    person = posing_subject(embedded_model, 3, settings=STUDIO)
    for given in (None, person):
        ((shown,),) = studio_images(embedded_model, "sad", 3, gaze=20.0, settings=STUDIO, person=given)
        wild = render_emotion_image(embedded_model, "sad", 3, settings=STUDIO, person=given)
        if given is None:
            expected = shown, wild
    np.testing.assert_array_equal(shown.image, expected[0].image)
    np.testing.assert_array_equal(wild.image, expected[1].image)
