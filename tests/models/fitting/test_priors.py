import numpy as np
import pytest

from models.fitting.priors import (
    ExpressionPrior,
    expression_prior,
    neutral_prior,
    persistence_of_acceleration,
    rest_prior,
    rest_weight,
)


def dense_precision(bands):
    centre, beside, beyond = (band[:, 0] for band in bands)
    full = np.diag(centre)
    for offset, band in ((1, beside), (2, beyond)):
        if len(band):
            full += np.diag(band, offset) + np.diag(band, -offset)
    return full


@pytest.mark.parametrize("frames", [1, 2, 3, 40])
def test_every_frame_has_unit_variance_however_long_the_video(frames):
    prior = ExpressionPrior(np.zeros(1), np.eye(1), np.array([0.9]))
    covariance = np.linalg.inv(dense_precision(prior.precision_bands(frames)))
    np.testing.assert_allclose(np.diag(covariance), 1)


def test_second_differences_have_the_variance_asked_for():
    share = np.array([0.01])
    prior = ExpressionPrior(np.zeros(1), np.eye(1), persistence_of_acceleration(share))
    covariance = np.linalg.inv(dense_precision(prior.precision_bands(9)))
    difference = np.array([0, 0, 0, 1, -2, 1, 0, 0, 0])
    np.testing.assert_allclose(difference @ covariance @ difference, share)


def test_half_the_frame_rate_is_every_second_frame_of_the_same_process():
    fast = ExpressionPrior(np.zeros(1), np.eye(1), np.array([0.95]))
    slow = ExpressionPrior(np.zeros(1), np.eye(1), np.array([0.95**2]))
    covariances = [np.linalg.inv(dense_precision(p.precision_bands(41))) for p in (fast, slow)]
    np.testing.assert_allclose(covariances[0][::2, ::2][0, :8], covariances[1][0, :8], atol=0.01)


def test_the_expression_prior_keeps_the_models_covariance(face_model):
    prior = expression_prior(face_model, 1 / 30, acceleration_factor=1.0)
    np.testing.assert_allclose(
        prior.factor @ prior.factor.T,
        face_model.expression_covariance,
        atol=2e-3 * face_model.expression_std.max() ** 2,
    )


def test_the_neutral_prior_predicts_the_identity_that_its_landmarks_came_from(face_model):
    prior = neutral_prior(face_model, landmark_bias=0.0)
    rng = np.random.default_rng(0)
    neutral = rng.normal(size=prior.factor.shape[1])
    identity = prior.identity_map @ neutral
    offset = face_model.landmarks(identity).reshape(-1) - face_model.landmark_mean.reshape(-1)
    np.testing.assert_allclose(offset, prior.factor @ neutral, atol=1e-6 * np.abs(offset).max())


def test_one_sided_movements_cost_more_against_their_direction(face_model):
    rest = rest_prior(face_model, width=0.1, opposite=4.0)
    pulled, one = 0.3 * face_model.extras["units"][:1], np.ones(1)
    assert rest.energy(-pulled, one) > 1.5 * rest.energy(pulled, one)
    assert rest.energy(np.zeros((1, 28)), one) == 0


def test_the_slope_of_the_rest_prior_is_its_derivative(face_model):
    rest = rest_prior(face_model, width=0.1, opposite=4.0)
    expression = np.random.default_rng(0).normal(size=28) * face_model.expression_std
    step = 1e-4 * np.random.default_rng(1).normal(size=28)
    two = np.stack([expression + step, expression - step])
    change = rest.energy(two[:1], np.ones(1)) - rest.energy(two[1:], np.ones(1))
    slope = rest.slope(rest.movements(expression[None])) @ rest.rows
    np.testing.assert_allclose(change / 4, slope[0] @ step, rtol=1e-5)
    assert (rest.curvature(rest.movements(two)) > 0).all()


def test_a_frame_weighs_less_the_closer_it_is_to_the_next():
    assert rest_weight(0.1, 1 / 60) == 0.05
    assert rest_weight(0.1, 1 / 30) == pytest.approx(0.1)
    assert rest_weight(0.1, None) == 1.0
