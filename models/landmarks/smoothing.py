"""Temporal smoothing of landmarks with cubic splines: section III-B, "Temporal smoothing".

Each coordinate becomes the natural cubic spline g that minimises

    sum_k (y_k - g(t_k))^2 + strength * integral g''(t)^2 dt

over the true timestamps t_k (Green and Silverman, 1994, chapter 2). All coordinates share the knots, so one banded
factorisation serves all 136 of them. On evenly spaced frames dt apart this is a filter without delay whose gain at
angular frequency w is 1 / (1 + strength dt w^4): `strength` is set so that the gain is one half at `cutoff_hz`, which
keeps its meaning whatever the frame rate.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SmoothedLandmarks:
    """Landmarks without gaps.

    Attributes
    ----------
    landmarks : (T, 68, 2) float32 pixels
    interpolated : (T,) bool, frames in which the face was not found, filled in from their neighbours
    """

    landmarks: np.ndarray
    interpolated: np.ndarray


def smooth(landmarks: np.ndarray, timestamps: np.ndarray, *, cutoff_hz: float) -> SmoothedLandmarks:
    """Smooth landmarks over time and fill their gaps.

    Parameters
    ----------
    landmarks : (T, 68, 2) pixels, NaN in frames where the face was missed; the first and the last are there
    timestamps : (T,) seconds, strictly increasing, at any spacing
    cutoff_hz : frequency in hertz at which motion is halved; slower motion is kept, faster motion is taken for jitter.
        Infinity interpolates: gaps are filled, nothing is smoothed.

    Raises
    ------
    ValueError
        The shapes do not agree, the times do not increase, or an end is missing.
    """
    landmarks = np.asarray(landmarks, float)
    timestamps = np.asarray(timestamps, float)
    if landmarks.ndim < 2 or timestamps.shape != landmarks.shape[:1] or not len(timestamps):
        raise ValueError(f"landmarks {landmarks.shape} and timestamps {timestamps.shape} do not agree")
    if not (np.diff(timestamps) > 0).all():
        raise ValueError("timestamps must be strictly increasing")
    values = landmarks.reshape(len(landmarks), -1)
    found = np.isfinite(values).all(1)
    if not (found[0] and found[-1]):
        raise ValueError("the first and the last frame must hold landmarks: nothing is extrapolated")
    knots, values = timestamps[found], smoothed_at_knots(timestamps[found], values[found], cutoff_hz)
    if len(knots) > 1:
        from scipy.interpolate import CubicSpline

        # Two knots leave a straight line, which is what a natural spline through them is.
        values = CubicSpline(knots, values, bc_type="natural")(timestamps)
    return SmoothedLandmarks(values.reshape(landmarks.shape).astype(np.float32), ~found)


def smoothed_at_knots(knots: np.ndarray, values: np.ndarray, cutoff_hz: float) -> np.ndarray:
    """Values (K, C) at the knots (K,) of the smoothing splines through `values` (K, C); Reinsch's algorithm."""
    if len(knots) < 3 or np.isinf(cutoff_hz):
        return values
    from scipy.linalg import solveh_banded

    h = np.diff(knots)
    strength = 1 / (np.median(h) * (2 * np.pi * cutoff_hz) ** 4)
    # Q (K, K-2) takes second differences; its three diagonals.
    before, after = 1 / h[:-1], 1 / h[1:]
    middle = -before - after
    # Upper bands of R + strength Q'Q, where R (K-2, K-2) integrates products of second derivatives.
    bands = np.zeros((3, len(knots) - 2))
    bands[2] = (h[:-1] + h[1:]) / 3 + strength * (before**2 + middle**2 + after**2)
    bands[1, 1:] = h[1:-1] / 6 + strength * (middle[:-1] * before[1:] + after[:-1] * middle[1:])
    bands[0, 2:] = strength * after[:-2] * before[2:]
    slopes = np.diff(values, axis=0) / h[:, None]
    curvature = solveh_banded(bands, np.diff(slopes, axis=0))
    correction = np.zeros_like(values)
    correction[:-2] += before[:, None] * curvature
    correction[1:-1] += middle[:, None] * curvature
    correction[2:] += after[:, None] * curvature
    return values - strength * correction
