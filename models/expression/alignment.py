"""Registration of a face to the template of the mean face's 68 points (paper, section III-C).

The network never sees a whole photograph: a similarity transform takes the landmarks onto the template, so that what
is left to explain is expression, identity and the rotation out of the image plane.
"""

import numpy as np

from models.errors import NoFaceError
from models.fitting.camera import IMAGE_AXES
from models.morphable_model.model import INNER_FACE, MorphableModel

IMAGE_SIZE = 224

# The crop holds the face and little else: brows to chin are 82 % of its height, a little below the middle, so that a
# raised brow stays inside. A dropped jaw need not: the landmarks say where it is, and pixels are dear.
FACE_HEIGHT = 0.82
FACE_CENTRE = (0.5, 0.54)


def template(model: MorphableModel, size: int = IMAGE_SIZE) -> np.ndarray:
    """The mean face's 68 points seen from the front, (68, 2) float64 pixels of a `size` x `size` image."""
    points = model.landmark_mean[:, :2] * IMAGE_AXES
    low, high = points.min(axis=0), points.max(axis=0)
    scale = FACE_HEIGHT * size / (high[1] - low[1])
    # Pixel centres lie at integers: the middle of the image is (size - 1) / 2.
    return (points - (low + high) / 2) * scale + np.array(FACE_CENTRE) * size - 0.5


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, uniform scale and translation that take `points` (P, 2) closest to `target` (P, 2), as (2, 3).

    Least squares in closed form: with points as complex numbers the transform is `z -> a z + b`, without reflection.

    Raises
    ------
    NoFaceError
        The points coincide or are not finite, so that no transform is defined.
    """
    z, w = (np.asarray(values, np.float64) @ [1, 1j] for values in (points, target))
    z_centred, w_centred = z - z.mean(), w - w.mean()
    energy = np.vdot(z_centred, z_centred).real
    if not (np.isfinite(energy) and energy > 1e-9):
        raise NoFaceError("the landmarks coincide or are not finite: there is no face to align; detect it again.")
    a = np.vdot(z_centred, w_centred) / energy
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def transformed(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (..., 2) under an affine transform (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def align(
    image: np.ndarray, landmarks: np.ndarray, template: np.ndarray, size: int = IMAGE_SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a face out of an image so that its landmarks lie on the template.

    Only the 51 inner points take part: the jaw line is the least certain of what detectors find.

    Parameters
    ----------
    image : (H, W, 3) uint8
    landmarks : (68, 2) pixels of `image`
    template : (68, 2) pixels of the result
    size : side of the result, pixels

    Returns
    -------
    aligned : (size, size, 3) uint8; black where the image has no pixels
    matrix : (2, 3) the transform from pixels of `image` to pixels of `aligned`

    Raises
    ------
    NoFaceError
        The landmarks coincide or are not finite.
    """
    import cv2

    matrix = similarity(landmarks[INNER_FACE], template[INNER_FACE])
    scale = np.hypot(matrix[0, 0], matrix[1, 0])
    if scale < 0.5:
        image, remaining = _shrunk_region(image, matrix, size, scale)
    else:
        remaining = matrix
    aligned = cv2.warpAffine(image, remaining, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return aligned, matrix


def _shrunk_region(image: np.ndarray, matrix: np.ndarray, size: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of a large image that the result needs, shrunk by area averaging, and the transform that is left.

    Bilinear sampling at less than half the resolution would skip pixels and alias.
    """
    import cv2

    linear = np.linalg.inv(matrix[:, :2])
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) - 0.5
    corners = (corners - matrix[:, 2]) @ linear.T
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, [width - 1, height - 1])
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, [left + 1, top + 1], [width, height])
    region = image[top:bottom, left:right]
    shape = np.maximum(np.round(np.array([right - left, bottom - top]) * scale).astype(int), 1)
    shrunk = cv2.resize(region, tuple(int(side) for side in shape), interpolation=cv2.INTER_AREA)
    # Undo the shrinking, whose pixel centres are offset by half a pixel on either scale, then apply the transform.
    growth = np.array([right - left, bottom - top]) / shape
    offset = 0.5 * growth - 0.5 + [left, top]
    return shrunk, np.column_stack([matrix[:, :2] * growth, matrix[:, :2] @ offset + matrix[:, 2]])
