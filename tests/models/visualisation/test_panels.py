"""The pictures of one fitted frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.video.decoding import Frame, read_frames
from models.visualisation.panels import View, mark_points, mesh_panel, portrait, view_of_face, view_of_track, write


def frame_of(image, scale=(1.0, 1.0)):
    return Frame(0, 0.0, image, np.array(scale))


@given(
    corner=st.tuples(st.floats(-50, 200), st.floats(-50, 200)),
    zoom=st.floats(0.1, 8),
    point=st.tuples(st.floats(-100, 900), st.floats(-100, 900)),
)
def test_a_points_place_in_a_panel_goes_with_the_zoom(corner, zoom, point):
    view = View(np.array(corner), zoom, (100, 100))
    edge, moved = view.pixels(np.array(corner) - 0.5), view.pixels(np.array(point))
    # The outer edge of the first pixel stays the outer edge of the first pixel.
    assert edge == pytest.approx([-0.5, -0.5], abs=1e-6)
    assert moved - edge == pytest.approx(zoom * (np.array(point) - np.array(corner) + 0.5), abs=1e-6)


@pytest.mark.parametrize("shrunk", [1, 2])
def test_a_cut_shows_what_lies_at_its_points(shrunk):
    image = np.zeros((100, 120, 3), np.uint8)
    image[40:60, 70:90] = 255
    view = View(np.array([50.0, 30.0]), 2.0, (80, 100))
    panel = view.cut(frame_of(image[::shrunk, ::shrunk], (1 / shrunk, 1 / shrunk)))
    assert panel.shape == (80, 100, 3)
    rows, columns = np.nonzero(panel[..., 0] > 128)
    low, high = view.pixels(np.array([70, 40])), view.pixels(np.array([89, 59]))
    assert [columns.min(), rows.min()] == pytest.approx(low, abs=2.5)
    assert [columns.max(), rows.max()] == pytest.approx(high, abs=2.5)


def test_a_whole_frame_comes_out_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(View(np.zeros(2), 1.0, (30, 40)).cut(frame_of(image)), image)


def test_what_lies_outside_the_video_is_white():
    panel = View(np.array([-20.0, 0.0]), 1.0, (30, 40)).cut(frame_of(np.zeros((30, 40, 3), np.uint8)))
    assert (panel[:, :19] == 255).all()
    assert (panel[:, 21:] == 0).all()


def test_the_view_of_a_face_holds_all_its_points(filmed_fit):
    points = filmed_fit.landmarks[7].copy()
    points[3] = np.nan
    inside = view_of_face(points, 100).pixels(points[np.isfinite(points).all(1)])
    assert (inside > 5).all()
    assert (inside < 94).all()


def test_the_view_of_a_track_stands_still_and_holds_it_all(filmed_fit):
    view = view_of_track(filmed_fit.landmarks, (160, 120), 240)
    inside = view.pixels(filmed_fit.landmarks)
    assert (inside > 0).all()
    assert (inside < np.array(view.size[::-1])).all()
    assert view.size[0] == 240
    assert view.size[1] % 2 == 0


def test_the_mesh_lies_where_the_head_is(filmed_fit):
    """The head that was filmed is the fitted mesh itself: a wrong camera would leave a rim of it."""
    (frame,) = read_frames(filmed_fit.video, max_side=1000, start=30, limit=1)
    view = view_of_track(filmed_fit.landmarks, (160, 120), 240)
    panel = view.cut(frame)
    covered = mesh_panel(panel, view, filmed_fit.fit, 30, filmed_fit.model, alpha=1.0).astype(int)
    assert np.abs(covered - panel).mean() < 4
    moved = mesh_panel(panel, view, filmed_fit.fit, 20, filmed_fit.model, alpha=1.0).astype(int)
    assert np.abs(moved - panel).mean() > 8


def test_points_are_marked_where_they_are_and_missing_ones_left_out():
    panel = np.zeros((50, 60, 3), np.uint8)
    marked = mark_points(panel, np.array([[12.0, 30.0], [np.nan, 5.0]]), (10, 200, 30), 2.0)
    assert (panel == 0).all()
    rows, columns = np.nonzero(marked[..., 1])
    assert (rows.mean(), columns.mean()) == pytest.approx((30, 12), abs=0.3)


def test_a_portrait_shows_the_expression_and_not_the_person(small_model):
    rest = portrait(small_model, np.zeros(28), (110, 100))
    moved = portrait(small_model, 3 * small_model.expression_std, (110, 100))
    assert rest.shape == (110, 100, 3)
    assert (rest != 255).mean() > 0.3
    assert np.abs(moved.astype(int) - rest).max() > 20


def test_text_is_written_at_its_place():
    image = np.full((40, 120, 3), 255, np.uint8)
    write(image, "12.5 %", (60, 10), 14)
    rows, columns = np.nonzero(image[..., 0] < 128)
    assert columns.min() >= 59
    assert 9 <= rows.min() < rows.max() <= 28
