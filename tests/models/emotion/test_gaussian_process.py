"""The Gaussian process of the hyper-parameter search."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from models.emotion.gaussian_process import (
    LENGTH,
    LENGTH_BOUNDS,
    NOISE,
    NOISE_BOUNDS,
    SIGNAL,
    SIGNAL_BOUNDS,
    fitted_process,
    negative_log_likelihood,
)


def noisy_values(count, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(size=(count, 4))
    return points, np.sin(4 * points[:, 0]) + points[:, 1] ** 2 + 0.05 * rng.normal(size=count)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("count", "seed"), [(8, 0), (30, 1)])
def test_the_process_is_that_of_scikit_learn(count, seed):
    points, values = noisy_values(count, seed)
    kernel = ConstantKernel(SIGNAL, SIGNAL_BOUNDS) * Matern([LENGTH] * 4, [LENGTH_BOUNDS] * 4, nu=2.5)
    theirs = GaussianProcessRegressor(kernel + WhiteKernel(NOISE, NOISE_BOUNDS), normalize_y=True).fit(points, values)
    ours = fitted_process(points, values)
    standardised = (values - values.mean()) / values.std()
    squares = (points[:, None] - points[None]) ** 2
    # Theirs goes by the same parameters, in the same order.
    for logarithms in (ours.logarithms, theirs.kernel_.theta):
        likelihood = -negative_log_likelihood(logarithms, squares, standardised)[0]
        assert likelihood == pytest.approx(theirs.log_marginal_likelihood(logarithms), abs=1e-6)
    assert theirs.log_marginal_likelihood(ours.logarithms) == pytest.approx(
        theirs.log_marginal_likelihood_value_, abs=1e-3
    )
    asked = np.random.default_rng(9).uniform(size=(50, 4))
    mean, deviation = theirs.predict(asked, return_std=True)
    np.testing.assert_allclose(ours.predict(asked)[0], mean, atol=0.02)
    np.testing.assert_allclose(ours.predict(asked)[1], deviation, atol=0.02)


def test_the_gradient_is_that_of_the_likelihood():
    points, values = noisy_values(12, 2)
    squares = (points[:, None] - points[None]) ** 2
    at = np.log([1.5, 0.3, 0.8, 2.0, 0.4, 0.05])
    numeric = approx_fprime(at, lambda x: negative_log_likelihood(x, squares, values)[0], 1e-6)
    np.testing.assert_allclose(negative_log_likelihood(at, squares, values)[1], numeric, rtol=1e-3, atol=1e-4)


def test_a_setting_that_was_tried_twice_does_no_harm():
    points, values = noisy_values(6, 3)
    process = fitted_process(np.concatenate([points, points]), np.concatenate([values, values + 0.1]))
    mean, deviation = process.predict(points)
    assert np.isfinite(mean).all()
    assert (deviation > 0).all()


def test_far_from_all_points_the_mean_is_that_of_the_values():
    points, values = noisy_values(10, 4)
    process = fitted_process(points, values)
    mean, deviation = process.predict(np.full((1, 4), 1e3))
    assert mean[0] == pytest.approx(values.mean())
    assert deviation[0] > process.predict(points)[1].max()
