"""Fits of photographs whose points a detector found that errs in known patterns."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import ModelMismatchError
from models.fitting import FitSettings, fit_photographs, fit_video
from models.fitting.camera import ScaledOrthographicCamera
from models.fitting.priors import expression_prior, neutral_prior
from models.morphable_model.detector_errors import DetectorErrors

SETTINGS = FitSettings(noise=0.002, noise_frames=500.0, rest_weight=0.0, expression_inflation=1.0)


@pytest.fixture(scope="module")
def detector(face_model):
    """Three patterns of 2 mm that come and go, one of 3 mm that stays with a person, alike at neighbouring points."""
    rng = np.random.default_rng(5)
    places = face_model.landmark_mean[:, :2] / 40

    def patterns(count, size):
        waves = np.sin(places @ rng.normal(size=(2, count)) + rng.uniform(0, 6, count))
        return size * waves[:, None] * np.array([1.0, 1.0, 0.0])[:, None] * rng.choice([-1, 1], (1, 3, count))

    none = DetectorErrors.none(68, face_model.expression_size)
    return replace(none, person=patterns(1, 3.0), image=patterns(3, 2.0), noise=np.full(68, 0.1))


def photographs(model, detector, rng, count=6):
    """Landmarks (M, 68, 2) of one person's photographs and the true expressions (M, n_e)."""
    identity = 0.5 * model.identity_std * rng.normal(size=model.identity_size)
    expression = model.expression_std * rng.normal(size=(count, model.expression_size))
    points = model.landmarks(identity, expression)
    points = points + detector.person @ rng.normal(size=detector.person.shape[-1])
    points = points + np.einsum("lcm,fm->flc", detector.image, rng.normal(size=(count, detector.image.shape[-1])))
    points = points + detector.noise[:, None] * rng.normal(size=points.shape)
    camera = ScaledOrthographicCamera(
        np.full(count, 2.0), np.tile(np.eye(3), (count, 1, 1)), np.full((count, 2), 300.0)
    )
    return camera.project(points), expression


def test_knowing_a_detectors_patterns_of_error_makes_expressions_more_exact(face_model, detector):
    rng = np.random.default_rng(1)
    knowing = face_model.with_detector(detector)
    errors = {"knowing": 0.0, "ignorant": 0.0}
    for _ in range(4):
        landmarks, expression = photographs(face_model, detector, rng)
        for name, model in (("knowing", knowing), ("ignorant", face_model)):
            errors[name] += np.sum((fit_photographs(landmarks, model, SETTINGS).expression - expression) ** 2)
    assert errors["knowing"] < 0.8 * errors["ignorant"]


def test_a_fit_gives_the_models_coefficients_and_none_for_the_patterns(face_model, detector):
    landmarks, expression = photographs(face_model, detector, np.random.default_rng(2))
    found = fit_photographs(landmarks, face_model.with_detector(detector), replace(SETTINGS, uncertainty=True))
    assert found.expression.shape == expression.shape == found.expression_std.shape
    assert (np.diff(found.energy) <= 0).all()


def test_error_patterns_leave_the_expressions_prior_alone(face_model):
    prior = expression_prior(face_model, None)
    wider = prior.with_error_patterns(3, 0.9)
    assert wider.size == prior.size + 3
    np.testing.assert_array_equal(wider.factor @ wider.factor.T, prior.factor @ prior.factor.T)


def test_what_differs_between_people_in_the_detector_widens_the_neutral_prior(face_model, detector):
    plain = neutral_prior(face_model, 0.1).factor
    wider = neutral_prior(face_model, 0.1, detector.person).factor
    added = (wider @ wider.T).trace() - (plain @ plain.T).trace()
    assert added > 0.5 * np.sum(detector.person**2)


def test_lasting_errors_of_a_video_are_told_from_expression(face_model, detector, video):
    patterns = replace(detector, person=detector.person[..., :0])
    drift = np.sin(np.arange(len(video.landmarks))[:, None] / [20.0, 31.0, 47.0]) * np.sqrt(2)
    shift = np.einsum("lcm,fm->flc", patterns.image, drift)
    turned = np.einsum("fdc,flc->fld", video.camera.projection(), shift)
    settings = replace(SETTINGS, error_persistence=0.97, error_patterns=3)
    errors = [
        np.sum((fit_video(video.landmarks + turned, model, settings).expression - video.expression) ** 2)
        for model in (face_model.with_detector(patterns), face_model)
    ]
    assert errors[0] < 0.8 * errors[1]


def test_patterns_that_are_left_out_count_as_noise(detector):
    fewer = detector.with_fewer_patterns(1, 1)
    assert fewer.image.shape == fewer.person.shape == (68, 3, 1)
    plane = (detector.image[:, :2, 1:] ** 2).sum(2).mean(1)
    np.testing.assert_allclose(fewer.noise**2, detector.noise**2 + plane)


def test_the_response_moves_the_landmarks_with_the_expression_only(face_model, detector):
    response = np.full(detector.response.shape, 0.01)
    model = face_model.with_detector(replace(detector, response=response))
    expression = np.ones(face_model.expression_size)
    moved = model.landmarks(expression=expression) - face_model.landmarks(expression=expression)
    np.testing.assert_allclose(moved, 0.01 * face_model.expression_size)
    np.testing.assert_array_equal(model.landmarks(), face_model.landmarks())


def test_a_detector_of_another_mark_up_is_refused(face_model):
    with pytest.raises(ModelMismatchError, match="its detector's offsets"):
        face_model.with_detector(DetectorErrors.none(5, face_model.expression_size))
