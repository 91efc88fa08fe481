"""Boxes and duplicates."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.landmarks.backend import Face, box_around, overlap, without_duplicates

boxes = st.tuples(st.floats(-99, 99), st.floats(-99, 99), st.floats(1, 99), st.floats(1, 99)).map(
    lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]], np.float32)
)


@given(boxes, boxes, st.floats(-50, 50))
def test_overlap_is_symmetric_bounded_and_moves_with_the_boxes(first, second, shift):
    value = overlap(first, second)
    assert 0 <= value <= 1 + 1e-5
    assert np.isclose(value, overlap(second, first), atol=1e-5)
    assert np.isclose(value, overlap(first + np.float32(shift), second + np.float32(shift)), atol=1e-3)
    assert np.isclose(overlap(first, first), 1, atol=1e-4)


@given(arrays(np.float32, (68, 2), elements=st.floats(-1000, 1000, width=32)))
def test_a_box_holds_its_points_and_touches_them(points):
    box = box_around(points)
    assert (points >= box[:2]).all()
    assert (points <= box[2:]).all()
    assert np.isin(box[[0, 2]], points[:, 0]).all()


@given(st.lists(st.tuples(boxes, st.floats(0, 1)), max_size=6), st.randoms())
def test_of_faces_that_cover_each_other_the_best_is_kept_whatever_the_order(described, random):
    faces = [Face(np.zeros((68, 2), np.float32), box, score) for box, score in described]
    kept = without_duplicates(faces)
    for face in faces:
        covered = [other for other in kept if overlap(face.box, other.box) >= 0.4]
        assert any(face is each for each in kept) or any(other.score >= face.score for other in covered)
    assert all(overlap(a.box, b.box) < 0.4 for i, a in enumerate(kept) for b in kept[:i])
    if len({face.score for face in faces}) == len(faces):
        shuffled = faces[:]
        random.shuffle(shuffled)
        assert {id(face) for face in without_duplicates(shuffled)} == {id(face) for face in kept}
