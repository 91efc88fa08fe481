"""Automatic pruning of failed fits by their identity vector (section III-B, error pruning a)."""

import numpy as np


def identity_norm(identity: np.ndarray, identity_std: np.ndarray) -> np.ndarray:
    """`|i|` in standard deviations per component, (...,) for identity (..., n_i) in mm.

    Under the model's prior the whitened coefficients are independent standard normal, so that the root mean square of
    a plausible face is about 1; a maximum a posteriori estimate lies below that.
    """
    whitened = np.asarray(identity) / identity_std
    return np.sqrt(np.mean(whitened**2, axis=-1))


def outlier_threshold(norms: np.ndarray, deviations: float, least: float) -> float:
    """Norm above which a video counts as an identity outlier.

    The paper states a threshold without its value. Here it is the median plus `deviations` robust standard deviations
    (1.4826 times the median absolute deviation), and never below `least`, so that a set of uniformly good fits loses
    none for being narrow.
    """
    norms = np.asarray(norms, float)
    if not len(norms):
        return least
    centre = np.median(norms)
    return max(least, float(centre + deviations * 1.4826 * np.median(np.abs(norms - centre))))
