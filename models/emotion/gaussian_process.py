"""A Gaussian process through a few noisy values: scikit-learn's with the kernel `c * Matern(nu=2.5) + white noise`.

A search fits one after every trial, through a few dozen points. scikit-learn spends most of that time on asking its
kernel objects for their hyper-parameters; written out, the same likelihood takes a quarter of it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

# First values and bounds of signal variance, length scales and noise variance, for values of unit variance.
SIGNAL, SIGNAL_BOUNDS = 1.0, (1e-2, 1e2)
LENGTH, LENGTH_BOUNDS = 0.5, (0.05, 5.0)
NOISE, NOISE_BOUNDS = 1e-2, (1e-4, 1.0)
# Added to the covariance's diagonal, so that points on one another do no harm.
JITTER = 1e-10


@dataclass(frozen=True)
class GaussianProcess:
    """What is believed of a function after F noisy values of it.

    Attributes
    ----------
    points : (F, D)
    logarithms : (D + 2,) of signal variance, length scales and noise variance
    mean, deviation : of the values, which are standardised inside
    factor : (F, F) lower triangular, of the values' covariance
    weights : (F,) the covariance's solution for the standardised values
    """

    points: np.ndarray
    logarithms: np.ndarray
    mean: float
    deviation: float
    factor: np.ndarray
    weights: np.ndarray

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (U,) of new noisy values at points (U, D)."""
        signal, noise = np.exp(self.logarithms[[0, -1]])
        lengths = np.exp(self.logarithms[1:-1])
        across = signal * _matern(cdist(points / lengths, self.points / lengths))
        explained = solve_triangular(self.factor, across.T, lower=True)
        variance = np.maximum(signal + noise - (explained**2).sum(axis=0), 0)
        return self.mean + self.deviation * (across @ self.weights), self.deviation * np.sqrt(variance)


def fitted_process(points: np.ndarray, values: np.ndarray) -> GaussianProcess:
    """The process of most likelihood, by L-BFGS-B from fixed first values, through values (F,) at points (F, D)."""
    mean, deviation = float(values.mean()), float(values.std()) or 1.0
    standardised = (values - mean) / deviation
    squares = (points[:, None] - points[None]) ** 2
    dimensions = points.shape[1]
    first = np.log([SIGNAL, *[LENGTH] * dimensions, NOISE])
    bounds = np.log([SIGNAL_BOUNDS, *[LENGTH_BOUNDS] * dimensions, NOISE_BOUNDS])
    best = minimize(
        negative_log_likelihood, first, (squares, standardised), method="L-BFGS-B", jac=True, bounds=bounds
    ).x
    factor = cholesky(_covariance(best, squares)[0], lower=True)
    return GaussianProcess(points, best, mean, deviation, factor, cho_solve((factor, True), standardised))


def negative_log_likelihood(
    logarithms: np.ndarray, squares: np.ndarray, values: np.ndarray
) -> tuple[float, np.ndarray]:
    """Negative log marginal likelihood of standardised values (F,), and its gradient (D + 2,).

    Parameters
    ----------
    logarithms : (D + 2,) of signal variance, length scales and noise variance
    squares : (F, F, D) squared differences of the points' coordinates
    """
    covariance, parts = _covariance(logarithms, squares)
    try:
        factor = cholesky(covariance, lower=True)
    except LinAlgError:
        return np.inf, np.zeros_like(logarithms)
    weights = cho_solve((factor, True), values)
    inverse = cho_solve((factor, True), np.eye(len(values)))
    # d log p / d t = tr((a a^T - K^-1) dK / dt) / 2
    slope = 0.5 * (inverse - np.outer(weights, weights))
    gradient = np.einsum("ij,ijk->k", slope, parts)
    value = 0.5 * values @ weights + np.log(np.diag(factor)).sum() + 0.5 * len(values) * np.log(2 * np.pi)
    return float(value), gradient


def _covariance(logarithms: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance (F, F) of noisy values, and its derivatives (F, F, D + 2) by the logarithms."""
    signal, noise = np.exp(logarithms[[0, -1]])
    scaled = squares * np.exp(-2 * logarithms[1:-1])
    distance = np.sqrt(scaled.sum(axis=2))
    smooth = signal * _matern(distance)
    root = np.sqrt(5) * distance
    # The derivative of the Matern kernel by log l_d, at any distance, zero included.
    by_length = (signal * 5 / 3 * (1 + root) * np.exp(-root))[..., None] * scaled
    white = noise * np.eye(len(squares))
    parts = np.concatenate([smooth[..., None], by_length, white[..., None]], axis=2)
    return smooth + white + JITTER * np.eye(len(squares)), parts


def _matern(distance: np.ndarray) -> np.ndarray:
    """Matern kernel of smoothness 5/2 at scaled distances."""
    root = np.sqrt(5) * distance
    return (1 + root + root**2 / 3) * np.exp(-root)
