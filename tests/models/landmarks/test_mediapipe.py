"""The real detector on real pictures."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import WeightsMissingError
from models.landmarks import LandmarkBackend, load_backend
from models.landmarks import mediapipe as module
from models.morphable_model.model import JAW, LEFT_EYE, NOSE, OUTER_LIPS, RIGHT_BROW, RIGHT_EYE

# Where the parts of the astronaut's face are in the photograph, read off by eye.
EYES_ROW, MOUTH_ROW = (95, 108), (135, 156)


def relative_error(face, truth):
    """Mean distance of 68 points in widths of the face."""
    width = truth[:, 0].max() - truth[:, 0].min()
    return np.linalg.norm(face.points - truth, axis=1).mean() / width


def test_the_68_points_are_where_the_parts_of_the_face_are(portrait_face):
    points = portrait_face.points
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    right_eye, left_eye, mouth = points[RIGHT_EYE].mean(0), points[LEFT_EYE].mean(0), points[OUTER_LIPS].mean(0)
    assert EYES_ROW[0] < right_eye[1] < EYES_ROW[1]
    assert EYES_ROW[0] < left_eye[1] < EYES_ROW[1]
    assert MOUTH_ROW[0] < mouth[1] < MOUTH_ROW[1]
    assert 195 < right_eye[0] < 210 < 240 < left_eye[0] < 255
    assert points[RIGHT_BROW, 1].max() < points[RIGHT_EYE, 1].min()
    assert points[NOSE, 1].max() < points[OUTER_LIPS, 1].min()
    # The jaw runs from the subject's right ear (left in the picture) over the chin to the left ear.
    assert (np.diff(points[JAW][:, 0])[2:-2] > 0).all()
    assert points[8, 1] == points[:, 1].max() or points[8, 1] > points[OUTER_LIPS, 1].max()
    assert portrait_face.score > 0.9
    assert portrait_face.dense.shape == (478, 3)
    assert (portrait_face.box[:2] == points.min(0)).all()
    assert (portrait_face.box[2:] == points.max(0)).all()


def test_reduced_precision_moves_points_by_less_than_a_hundredth_of_the_eyes_distance(portrait, portrait_face):
    (face,) = load_backend("mediapipe", reduced_precision=True, threads=2).detect(portrait)
    eyes = np.linalg.norm(portrait_face.points[45] - portrait_face.points[36])
    assert np.linalg.norm(face.points - portrait_face.points, axis=1).mean() < 0.01 * eyes
    assert face.score == pytest.approx(portrait_face.score, abs=0.05)


def test_a_processor_without_bfloat16_computes_exactly(portrait, portrait_face, monkeypatch):
    monkeypatch.setattr(module, "_has_bfloat16", lambda: False)
    (face,) = load_backend("mediapipe", reduced_precision=True).detect(portrait)
    np.testing.assert_array_equal(face.points, portrait_face.points)


def test_it_is_a_backend(mediapipe):
    assert isinstance(mediapipe, LandmarkBackend)


@pytest.mark.parametrize("grey", [lambda image: image[..., 1], lambda image: image[..., 1:2]])
def test_grey_images_give_the_same_points(mediapipe, portrait, portrait_face, grey):
    (face,) = mediapipe.detect(np.ascontiguousarray(grey(portrait)))
    assert relative_error(face, portrait_face.points) < 0.02


def test_two_faces_are_two_faces(mediapipe, portrait, portrait_face):
    faces = mediapipe.detect(np.hstack([portrait, portrait]))
    assert len(faces) == 2
    left, right = sorted(faces, key=lambda face: face.box[0])
    assert relative_error(left, portrait_face.points) < 0.01
    assert relative_error(right, portrait_face.points + np.array([512, 0])) < 0.01


def test_a_large_and_a_tiny_face_are_both_found(mediapipe, portrait, resized):
    small = resized(portrait, 48 / 91)
    canvas = np.full((720, 1280, 3), 90, np.uint8)
    canvas[:512, :512] = portrait
    canvas[-len(small) :, -small.shape[1] :] = small
    large, tiny = mediapipe.detect(canvas)
    assert large.box[2] - large.box[0] > 80
    assert 40 < tiny.box[2] - tiny.box[0] < 56


@pytest.mark.parametrize("width", [48, 64, 200])
@pytest.mark.parametrize("corner", ["top left", "bottom right"])
def test_faces_from_48_pixels_on_are_found_in_a_large_frame(mediapipe, portrait, portrait_face, resized, width, corner):
    factor = width / (portrait_face.box[2] - portrait_face.box[0])
    small = resized(portrait[:300, 50:400], factor)
    canvas = np.full((1080, 1920, 3), 60, np.uint8)
    offset = np.array([0, 0] if corner == "top left" else [1920 - small.shape[1], 1080 - small.shape[0]])
    canvas[offset[1] : offset[1] + small.shape[0], offset[0] : offset[0] + small.shape[1]] = small
    (face,) = mediapipe.detect(canvas)
    truth = (portrait_face.points - [50, 0] + 0.5) * factor - 0.5 + offset
    assert relative_error(face, truth) < 0.02


def test_a_face_that_fills_the_frame_is_found(mediapipe, portrait, portrait_face):
    x0, y0, x1, y1 = portrait_face.box.round().astype(int)
    (face,) = mediapipe.detect(np.ascontiguousarray(portrait[y0:y1, x0:x1]))
    assert relative_error(face, portrait_face.points - [x0, y0]) < 0.03


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_a_face_cut_by_the_border_is_found(mediapipe, portrait, portrait_face, side):
    x0, y0, x1, y1 = portrait_face.box.round().astype(int)
    cut = (x1 - x0) // 8
    rows, columns = slice(None), slice(None)
    if side == "left":
        columns = slice(x0 + cut, None)
    elif side == "right":
        columns = slice(None, x1 - cut)
    elif side == "top":
        rows = slice(y0 + cut, None)
    else:
        rows = slice(None, y1 - cut)
    (face,) = mediapipe.detect(np.ascontiguousarray(portrait[rows, columns]))
    offset = np.array([columns.start or 0, rows.start or 0])
    assert relative_error(face, portrait_face.points - offset) < 0.05


def test_a_sparing_detector_finds_the_same_face_with_fewer_looks(portrait, portrait_face, monkeypatch):
    sparing = load_backend("mediapipe", sparing=True)
    views = []
    propose = sparing._propose
    monkeypatch.setattr(sparing, "_propose", lambda image, view: views.append(view) or propose(image, view))
    (face,) = sparing.detect(portrait)
    assert len(views) == 1
    assert relative_error(face, portrait_face.points) < 0.01
    left, top, right, bottom = portrait_face.box.astype(int)
    filling = portrait[top : bottom + 1, left : right + 1]
    (face,) = sparing.detect(filling)
    assert relative_error(face, portrait_face.points - [left, top]) < 0.05
    assert sparing.detect(np.zeros((200, 200, 3), np.uint8)) == []
    assert len(views) > 4, "where nothing is found, the border is looked at"


def test_an_8k_image_gives_the_points_of_the_small_one(mediapipe, portrait, portrait_face, resized):
    (face,) = mediapipe.detect(resized(portrait, 8))
    assert relative_error(face, (portrait_face.points + 0.5) * 8 - 0.5) < 0.01


def test_no_face_gives_no_faces(mediapipe):
    rng = np.random.default_rng(0)
    assert mediapipe.detect(rng.integers(0, 255, (360, 640, 3)).astype(np.uint8)) == []
    assert mediapipe.detect(np.zeros((20, 30, 3), np.uint8)) == []
    assert mediapipe.detect(np.zeros((1, 1), np.uint8)) == []


@pytest.mark.parametrize("image", [np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), np.zeros(9, np.uint8)])
def test_what_is_no_8_bit_image_is_refused(mediapipe, image):
    with pytest.raises(ValueError, match="8-bit"):
        mediapipe.detect(image)


def test_following_keeps_the_order_and_says_who_is_lost(mediapipe, portrait, portrait_face):
    pair = np.hstack([portrait, portrait])
    faces = mediapipe.detect(pair)
    moved = np.roll(pair, (3, 5), (0, 1))
    moved[:, :512] = 128
    followed = mediapipe.follow(moved, faces)
    on_the_left = [face.box[0] < 512 for face in faces]
    assert [face is None for face in followed] == on_the_left
    kept = followed[on_the_left.index(False)]
    assert relative_error(kept, portrait_face.points + np.array([517, 3])) < 0.01


def test_a_face_known_by_its_68_points_alone_is_followed(mediapipe, portrait, portrait_face):
    """Points that something else has found, a few pixels off, lead to the same face."""
    known = replace(portrait_face, points=portrait_face.points + np.float32([4, -3]), dense=None)
    (found,) = mediapipe.follow(portrait, [known])
    assert relative_error(found, portrait_face.points) < 0.02
    assert found.dense.shape == (478, 3)


def test_the_68_points_also_say_how_a_face_is_turned_in_the_image(mediapipe, portrait, portrait_face):
    side = portrait.shape[0]
    lying = np.ascontiguousarray(np.rot90(portrait, -1))
    points = np.stack([side - 1 - portrait_face.points[:, 1], portrait_face.points[:, 0]], 1)
    (found,) = mediapipe.follow(lying, [replace(portrait_face, points=points, dense=None)])
    assert relative_error(found, points) < 0.05


def test_68_points_where_nobody_is_find_nobody(mediapipe, portrait, portrait_face):
    empty = np.full_like(portrait, 128)
    assert mediapipe.follow(empty, [replace(portrait_face, dense=None)]) == [None]


def test_two_tracks_that_end_on_one_face_become_one(mediapipe, portrait, portrait_face):
    followed = mediapipe.follow(portrait, [portrait_face, portrait_face])
    assert sum(face is not None for face in followed) == 1


def test_weights_that_are_not_the_published_ones_are_refused(monkeypatch, tmp_path):
    weights = tmp_path / "weights" / f"{module.LANDMARKER_SHA256[:8]}-{module.LANDMARKER}"
    weights.parent.mkdir()
    weights.write_bytes(b"something else")
    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path)
    with pytest.raises(WeightsMissingError, match="sha256"):
        load_backend("mediapipe")


def test_an_unknown_backend_lists_those_there_are():
    with pytest.raises(ValueError, match="mediapipe, face-alignment, recorded"):
        load_backend("dlib")
