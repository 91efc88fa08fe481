"""Where to begin a registration: eyes and lips, which the scan's landmarks tell, and a detector in the photograph."""

import numpy as np

from models.expression.alignment import similarity
from models.morphable_model.model import LEFT_EYE, RIGHT_EYE
from models.rgbd.meshes import EYES, LIPS
from models.rgbd.range_image import RangeImage

# The lips among the 68 points of MULTI-PIE.
_MOUTH = slice(48, 68)


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
