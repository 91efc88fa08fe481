"""Eyes, nose and lips tell where a registration begins, with a publisher's landmarks or without."""

import numpy as np
import pytest

from models.landmarks.backend import Face, box_around, load_backend
from models.rgbd.landmark_start import disagreement, landmark_start, relief, relief_start
from models.rgbd.range_image import range_image
from models.rgbd.registration import mean_distance
from tests.models.rgbd.test_registration import truth

FACE = np.random.default_rng(0).uniform(100, 300, (68, 2)).astype(np.float32)


class Finds:
    """A detector that finds the same in every image."""

    name = "stand-in"

    def __init__(self, *points):
        self.faces = [Face(one, box_around(one), 1.0) for one in points]

    def detect(self, image, known=()):
        return self.faces


@pytest.fixture(scope="module")
def detector():
    return load_backend("mediapipe")


def test_with_landmarks_and_without_registrations_begin_near_the_truth(scans, detector):
    for scan in scans[1::2]:
        image = range_image(scan.mesh)
        true = truth(scan, image)
        points = detector.detect(scan.photograph)[0].points
        given = landmark_start(scan.landmarks, image, points)
        found = relief_start(image, points, detector)
        assert mean_distance(given, true, image.valid) < 5
        assert mean_distance(found, true, image.valid) < 10


def test_brows_which_a_relief_does_not_show_move_nothing(scans):
    image = range_image(scans[0].mesh)
    lower = FACE.copy()
    lower[17:27] += 30
    np.testing.assert_allclose(relief_start(image, FACE, Finds(lower)), [[1, 0, 0], [0, 1, 0]], atol=1e-4)


def test_a_scan_in_which_no_face_is_found_tells_no_start(scans):
    assert relief_start(range_image(scans[0].mesh), FACE, Finds()) is None


def test_the_relief_is_grey_and_the_scan_stands_out(scans):
    image = range_image(scans[0].mesh)
    picture = relief(image)
    assert picture.shape == (512, 512, 3)
    assert picture.dtype == np.uint8
    assert len(np.unique(picture[~image.valid])) == 1
    assert np.ptp(picture[image.valid]) > 100


def test_disagreement_is_a_share_of_the_distance_of_the_eyes_whatever_the_start():
    face = FACE.copy()
    face[36], face[45] = (100, 200), (200, 200)
    start = np.array([[0.8, 0.6, 5.0], [-0.6, 0.8, 9.0]])
    moved = start + [[0, 0, 3.0], [0, 0, 4.0]]
    assert disagreement(start, start, face) == pytest.approx(0, abs=1e-6)
    assert disagreement(moved, start, face) == pytest.approx(0.05)
