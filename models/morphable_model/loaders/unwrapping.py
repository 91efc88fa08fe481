"""Texture coordinates for meshes that come without."""

import numpy as np


def spherical_unwrap(vertices: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Texture coordinates (N, 2) in [0, 1]: the head seen from its middle, as through a fisheye lens facing the nose.

    A vertex in a direction `a` away from straight ahead lies `a / pi / 2` from the texture's middle, so there is no
    seam; the back of the head becomes the rim. u grows to the subject's left, v upwards.

    Parameters
    ----------
    vertices : (N, 3) mm, +z ahead
    landmarks : (68, 3) mm, from which the middle of the head is told
    """
    width = np.ptp(landmarks[:, 0])
    middle = landmarks.mean(0) - [0, 0, 0.6 * width]
    direction = vertices - middle
    sideways = np.hypot(direction[:, 0], direction[:, 1])
    away = np.arctan2(sideways, direction[:, 2]) / np.pi
    outward = np.divide(
        direction[:, :2], sideways[:, None], out=np.zeros((len(vertices), 2)), where=sideways[:, None] > 0
    )
    return (0.5 + 0.5 * away[:, None] * outward).clip(0, 1)
