"""Where to begin a registration: eyes and lips of the scan are laid upon those that a detector finds in the photograph.

A publisher's landmarks tell where they are on the scan. Without them the detector looks at the scan itself, in the
light of a lamp.
"""

import numpy as np

from models.expression.alignment import similarity
from models.landmarks.backend import LandmarkBackend
from models.morphable_model.model import LEFT_EYE, LEFT_EYE_OUTER, RIGHT_EYE, RIGHT_EYE_OUTER
from models.rgbd.meshes import EYES, LIPS
from models.rgbd.range_image import RangeImage
from models.rgbd.registration import slopes

# The lips among the 68 points of MULTI-PIE.
_MOUTH = slice(48, 68)
# Nose, eyes and lips. Brows have a colour of their own, of which a relief shows nothing: the detector puts them lower.
_INNER = slice(27, 68)
# A lamp above the camera makes shadows under brows, nose and lips, by which a detector knows a face: to the right, up,
# and towards the viewer. Of other lamps, and of hollows made dark, points lay farther from those of photographs.
_LAMP = np.array([0.0, 0.5, 1.0]) / np.hypot(0.5, 1.0)
_DARK, _BRIGHT, _AROUND = 40.0, 230.0, 110.0
_CONTRAST = 1.5
# Finer structure than this, mm, is noise.
_BLUR = 0.7


def landmark_start(landmarks: np.ndarray, scan: RangeImage, points: np.ndarray) -> np.ndarray:
    """The transformation (2, 3) from pixels of a range image to its photograph that brings eyes and lips together.

    Landmarks of a scan and of a detector are placed by different habits: it is a start, good to some pixels.

    Parameters
    ----------
    landmarks : (83, 3) mm, of the scan, in the order of BU-3DFE
    scan : its range image
    points : (68, 2) pixels of the photograph, in the order of MULTI-PIE

    Raises
    ------
    NoFaceError
        The landmarks coincide or are not finite.
    """
    of_scan = scan.pixels(landmarks)
    # Which eye comes first differs between copies of the set: in both images the one on the left is taken first.
    eyes = sorted((eye.mean(0) for eye in np.split(of_scan[EYES], 2)), key=lambda middle: middle[0])
    others = sorted((points[eye].mean(0) for eye in (RIGHT_EYE, LEFT_EYE)), key=lambda middle: middle[0])
    return similarity(np.array([*eyes, of_scan[LIPS].mean(0)]), np.array([*others, points[_MOUTH].mean(0)]))


def relief_start(scan: RangeImage, points: np.ndarray, backend: LandmarkBackend) -> np.ndarray | None:
    """As `landmark_start`, for a scan without landmarks: a detector finds the face in the scan's relief.

    Parameters
    ----------
    scan : range image
    points : (68, 2) pixels of the photograph, in the order of MULTI-PIE, by the same detector
    backend : the detector

    Returns
    -------
    None where it finds no face.

    Raises
    ------
    NoFaceError
        The points coincide or are not finite.
    """
    faces = backend.detect(relief(scan))
    return similarity(faces[0].points[_INNER], points[_INNER]) if faces else None


def relief(scan: RangeImage) -> np.ndarray:
    """A range image as a photograph (H, W, 3) uint8 of a grey surface under a lamp above the camera."""
    shade = np.tensordot(_LAMP, slopes(scan, _BLUR), 1).clip(0) ** _CONTRAST
    grey = np.where(scan.valid, _DARK + (_BRIGHT - _DARK) * shade, _AROUND)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def disagreement(matrix: np.ndarray, start: np.ndarray, points: np.ndarray) -> float:
    """How far two transformations (2, 3) put nose, eyes and lips apart, share of the distance of the outer eye corners.

    Parameters
    ----------
    points : (68, 2) pixels of the photograph, where `start` puts those of the scan
    """
    on_scan = (points[_INNER] - start[:, 2]) @ np.linalg.inv(start[:, :2]).T
    apart = np.linalg.norm(on_scan @ matrix[:, :2].T + matrix[:, 2] - points[_INNER], axis=1).mean()
    return float(apart / np.linalg.norm(points[RIGHT_EYE_OUTER] - points[LEFT_EYE_OUTER]))
