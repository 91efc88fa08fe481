"""The adapter to face-alignment. Its weights are not to be had everywhere: a network with known answers stands in."""

import urllib.error

import numpy as np
import pytest

from models.errors import WeightsMissingError
from models.landmarks import LandmarkBackend, load_backend
from models.landmarks.face_alignment_net import DETECTOR_WEIGHTS, LANDMARKER_WEIGHTS, FaceAlignmentBackend

SHAPE = np.random.default_rng(0).uniform(0, 1, (68, 2))


class BrightSquares:
    """Like a `face_alignment.FaceAlignment` for which every white square, at least `smallest` wide, is a face."""

    def __init__(self, smallest=1):
        self.smallest = smallest
        self.face_detector = self

    def detect_from_image(self, image):
        import cv2

        _, _, stats, _ = cv2.connectedComponentsWithStats((image[..., 0] > 128).astype(np.uint8))
        squares = [stat[:4] for stat in stats[1:] if stat[2] >= self.smallest]
        inner = [s for s in squares if s[0] > 0 and s[1] > 0]
        return [np.array([x, y, x + w, y + h, 0.9], np.float32) for x, y, w, h in inner]

    def get_landmarks_from_image(self, image, detected_faces):
        return [box[:2] + SHAPE * (box[2:4] - box[:2]) for box in detected_faces]


def picture(*squares, size=200):
    image = np.zeros((size, size, 3), np.uint8)
    for x, y, width in squares:
        image[y : y + width, x : x + width] = 255
    return image


def expected(x, y, width):
    return np.array([x, y]) + SHAPE * width


def test_it_is_a_backend():
    assert isinstance(FaceAlignmentBackend(BrightSquares()), LandmarkBackend)


def test_all_faces_are_given_the_largest_first():
    faces = FaceAlignmentBackend(BrightSquares()).detect(picture((10, 20, 30), (100, 90, 60)))
    np.testing.assert_allclose(faces[0].points, expected(100, 90, 60), atol=1e-3)
    np.testing.assert_allclose(faces[1].points, expected(10, 20, 30), atol=1e-3)
    assert faces[0].score == pytest.approx(0.9)


def test_grey_images_are_taken():
    assert len(FaceAlignmentBackend(BrightSquares()).detect(picture((10, 20, 30))[..., 0])) == 1


def test_a_small_face_is_looked_for_again_in_an_enlarged_image():
    (face,) = FaceAlignmentBackend(BrightSquares(smallest=50)).detect(picture((60, 70, 30)))
    np.testing.assert_allclose(face.points, (2 * np.array([60, 70]) + SHAPE * 60 + 0.5) / 2 - 0.5, atol=1e-3)


def test_weak_detections_are_left_out():
    assert FaceAlignmentBackend(BrightSquares(), detection_threshold=0.95).detect(picture((10, 20, 30))) == []


def test_faces_are_followed_in_order_and_the_lost_one_is_none():
    backend = FaceAlignmentBackend(BrightSquares())
    faces = backend.detect(picture((10, 20, 30), (100, 90, 60)))
    followed = backend.follow(picture((104, 92, 60)), faces)
    np.testing.assert_allclose(followed[0].points, expected(104, 92, 60), atol=1e-3)
    assert followed[1] is None


def test_missing_weights_say_which_files_go_where(monkeypatch, tmp_path):
    import torch

    def unreachable(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(WeightsMissingError) as failure:
        load_backend("face-alignment")
    for part in (LANDMARKER_WEIGHTS, DETECTOR_WEIGHTS, str(tmp_path / "hub" / "checkpoints"), "no route"):
        assert part in str(failure.value)


def test_weights_of_another_content_are_refused(monkeypatch, tmp_path):
    import torch

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / DETECTOR_WEIGHTS).write_bytes(b"not weights")
    with pytest.raises(WeightsMissingError, match="619a316812"):
        load_backend("face-alignment")
