"""The face, cut out of a registered pair of photograph and depth (section 4.2), and what the networks see of it."""

import numpy as np

from models.errors import ScanError
from models.rgbd.settings import CroppingSettings

# The nearest point is not the very nearest pixel, which may be a remainder of noise.
_NEAREST_SHARE = 99.8
# A few stray pixels at the rim do not make the face larger.
_RIM_SHARE = 0.5
# Depth is told over this many mm behind the face's nearest point.
DEPTH_RANGE = 120.0


def face_box(depth: np.ndarray, settings: CroppingSettings | None = None) -> np.ndarray:
    """The square (4,) int, left, top, right and bottom, around the face in a depth image (H, W), mm, NaN where nothing.

    The face is what lies not more than `settings.depth` behind its nearest point: the scan of a whole head gives the
    same square as that of a face. The square may reach beyond the image.

    Raises
    ------
    ScanError
        There is no depth in the image.
    """
    settings = settings or CroppingSettings()
    valid = np.isfinite(depth)
    if not valid.any():
        raise ScanError("Nothing of the scan lies on its photograph; check that both belong together.", "mismatch")
    nearest = np.percentile(depth[valid], _NEAREST_SHARE)
    rows, columns = np.nonzero(valid & (np.nan_to_num(depth, nan=-np.inf) > nearest - settings.depth))
    (left, right), (top, bottom) = (np.percentile(line, [_RIM_SHARE, 100 - _RIM_SHARE]) for line in (columns, rows))
    side = round(max(right - left, bottom - top) / (1 - 2 * settings.margin)) + 1
    corner = np.rint(np.array([left + right, top + bottom]) / 2 - (side - 1) / 2).astype(int)
    return np.array([*corner, *(corner + side)])


def cropped(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """What lies in a box of an image (H, W, ...); beyond the image's border zero, or NaN where the image may be NaN."""
    left, top, right, bottom = box
    empty = np.nan if np.issubdtype(image.dtype, np.floating) else 0
    cut = np.full((bottom - top, right - left, *image.shape[2:]), empty, image.dtype)
    height, width = image.shape[:2]
    inner = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    row, column = max(-top, 0), max(-left, 0)
    cut[row : row + inner.shape[0], column : column + inner.shape[1]] = inner
    return cut


def colour_input(colour: np.ndarray, box: np.ndarray, size: int = 224) -> np.ndarray:
    """The face (size, size, 3) uint8 out of a photograph (H, W, 3) uint8."""
    import cv2

    face = cropped(colour, box)
    shrinks = face.shape[0] > size
    return cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def depth_input(depth: np.ndarray, box: np.ndarray, size: int = 64) -> np.ndarray:
    """The face's depth (size, size) float32 in [0, 1] out of depth (H, W) in mm, NaN where there is nothing.

    1 is the face's nearest point, 0 is 120 mm and more behind it, and where nothing is. The scale is the same for all
    faces: a nose that stands out by 2 mm more does so here. Section 4.3.1 has the size; the paper tells no scale.
    """
    import cv2

    face = cropped(depth, box)
    there = np.isfinite(face)
    nearest = np.percentile(face[there], _NEAREST_SHARE) if there.any() else 0.0
    near = np.where(there, (1 - (nearest - np.nan_to_num(face)) / DEPTH_RANGE).clip(0, 1), 0).astype(np.float32)
    interpolation = cv2.INTER_AREA if face.shape[0] > size else cv2.INTER_LINEAR
    weight = cv2.resize(there.astype(np.float32), (size, size), interpolation=interpolation)
    value = cv2.resize(near, (size, size), interpolation=interpolation)
    # The rim is not mixed with the nothing beside it.
    return np.where(weight > 0.5, value / np.maximum(weight, 0.5), 0).clip(0, 1).astype(np.float32)
