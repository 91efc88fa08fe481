"""MediaPipe's blendshape network, fed by our backend, sees what a face does."""

import numpy as np
import skimage.data

from models.landmarks.backend import load_backend
from models.landmarks.blendshapes import BLENDSHAPE_COUNT, BLENDSHAPE_POINTS, blendshape_network

SMILES, BLINKS = [44, 45], [9, 10]


def test_it_sees_the_smile_of_a_smiling_face():
    """It does only if it gets the right points in the right order."""
    (face,) = load_backend("mediapipe").detect(skimage.data.astronaut())
    scores = blendshape_network()(face.dense[BLENDSHAPE_POINTS, :2])
    assert scores.shape == (BLENDSHAPE_COUNT,)
    assert scores[SMILES].min() > 0.6
    assert scores[BLINKS].max() < 0.3


def test_the_points_are_those_of_a_478_point_face():
    assert len(BLENDSHAPE_POINTS) == 146
    assert np.array_equal(BLENDSHAPE_POINTS, np.unique(BLENDSHAPE_POINTS))
    assert BLENDSHAPE_POINTS[-1] == 477
