"""Rendered people that estimates are judged by."""

import numpy as np
import pytest

from assets.morphable_model import load_model
from models.expression.comparison_sheet import comparison_sheet, telling_faces
from models.expression.evaluation_settings import RobustnessSettings, UnseenSettings
from models.expression.robustness import degraded_faces
from models.expression.unseen_people import moments, neutral_and_smile, posed_emotions, side_light, view_pairs
from models.rendering.settings import SyntheticVideoSettings

PICTURE = SyntheticVideoSettings(size=128, oversampling=1.0)
SETTINGS = UnseenSettings(people=2, moments=3, pair_people=1, pairs=2, posing_people=2, picture=PICTURE)


@pytest.fixture(scope="module")
def model(prepared_project):
    return load_model(prepared_project)


@pytest.fixture(scope="module")
def faces(model):
    return list(moments(model, SETTINGS))


def test_moments_are_of_several_people_with_an_expression_of_their_own(faces):
    assert [face.subject for face in faces] == [0, 0, 0, 1, 1, 1]
    assert faces[0].image.shape == (128, 128, 3)
    np.testing.assert_array_equal(faces[0].identity, faces[2].identity)
    assert not np.allclose(faces[0].expression, faces[1].expression)
    assert not np.allclose(faces[0].identity, faces[3].identity)


def test_the_same_seed_shows_the_same_people_and_another_one_others(model, faces):
    again = next(moments(model, SETTINGS))
    np.testing.assert_array_equal(again.image, faces[0].image)
    other = next(moments(model, SETTINGS, seed=1))
    assert not np.array_equal(other.identity, faces[0].identity)


def test_a_pair_shows_one_expression_from_two_sides(model):
    frontal, turned, *_ = view_pairs(model, SETTINGS)
    assert (frontal.condition, turned.condition) == ("frontal", "semi-profile")
    np.testing.assert_array_equal(frontal.expression, turned.expression)

    def asymmetry(landmarks: np.ndarray) -> float:
        """How much nearer the nose's tip is to one outer eye corner, over the distance of the corners."""
        right, left = (np.linalg.norm(landmarks[30] - landmarks[corner]) for corner in (36, 45))
        return abs(right - left) / np.linalg.norm(landmarks[36] - landmarks[45])

    assert asymmetry(turned.landmarks) > asymmetry(frontal.landmarks) + 0.3


def test_rest_is_the_models_zero_and_a_smile_is_not(model):
    pictures = list(neutral_and_smile(model, SETTINGS))
    assert [face.condition for face in pictures] == ["neutral", "happy"] * 2
    assert not pictures[0].expression.any()
    lift = model.landmarks(None, pictures[1].expression) - model.landmark_mean
    assert lift[[48, 54], 1].mean() > 1  # mm: the corners of the mouth rise


def test_everybody_poses_every_emotion(model):
    names = [face.condition for face in posed_emotions(model, 1, PICTURE)]
    assert sorted(names) == ["angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised"]


def test_severities_spoil_one_picture_and_leave_its_truth(model):
    settings = RobustnessSettings(
        people=1,
        occlusion=(0.3,),
        blur=(9.0,),
        resolution=(24,),
        darkness=(2.0,),
        light=(80.0,),
        yaw=(45.0,),
        picture=PICTURE,
    )
    spoilt = {face.condition: face for face in degraded_faces(model, settings)}
    assert list(spoilt) == [
        *("plain", "occlusion=0.3", "blur=9", "resolution=24", "darkness=2"),
        *("yaw=45", "light=80"),
    ]
    plain = spoilt["plain"]
    for name, face in spoilt.items():
        np.testing.assert_array_equal(face.expression, plain.expression)
        assert name == "plain" or not np.array_equal(face.image, plain.image)
    assert max(spoilt["resolution=24"].image.shape) < 64


def test_a_lamp_at_the_side_lights_from_there():
    direction = side_light(90.0).directions[0]
    assert direction[0] > 0.9
    assert np.linalg.norm(direction) == pytest.approx(1)


def test_a_sheet_has_a_row_for_the_pictures_and_one_for_each_method(model, faces):
    truth = np.stack([face.expression for face in faces]) / model.expression_std
    one = comparison_sheet(faces, {"truth": truth}, model, side=48)
    two = comparison_sheet(faces, {"truth": truth, "network": 0 * truth}, model, side=48)
    row = two.shape[0] - one.shape[0]
    assert row >= 48
    assert one.shape[0] >= row + 48
    np.testing.assert_array_equal(two[: one.shape[0]], one)
    assert not np.array_equal(two[one.shape[0] - row : one.shape[0], 150:], two[one.shape[0] :, 150:])


def test_telling_faces_are_the_strongest_of_their_stretch(model, faces):
    strength = np.linalg.norm([face.expression / model.expression_std for face in faces], axis=1)
    first, second = telling_faces(faces, model, 2)
    assert first == np.argmax(strength[:3])
    assert second == 3 + np.argmax(strength[3:])
    assert len(telling_faces(faces, model, 99)) == len(faces)
