"""The face is cut out, and what the networks see of its depth has one scale."""

import numpy as np
import pytest

from models.errors import ScanError
from models.rgbd.cropping import colour_input, cropped, depth_input, face_box
from models.rgbd.settings import CroppingSettings


def depth_image() -> np.ndarray:
    """A face 100 pixels wide and 140 high, 30 to 60 mm, in the middle of 256 x 256, with ears 90 mm behind."""
    depth = np.full((256, 256), np.nan, np.float32)
    depth[58:198, 48:208] = -40
    depth[58:198, 78:178] = np.linspace(30, 60, 100)
    return depth


def test_the_square_is_around_the_face_and_not_around_what_lies_behind():
    left, top, right, bottom = face_box(depth_image(), CroppingSettings(margin=0.0))
    assert right - left == bottom - top == pytest.approx(140, abs=3)
    assert abs((left + right) / 2 - 128) < 2
    assert abs((top + bottom) / 2 - 128) < 2
    wide = face_box(depth_image(), CroppingSettings(margin=0.0, depth=200.0))
    assert wide[2] - wide[0] > 155


def test_a_square_beyond_the_image_is_filled_with_nothing():
    image = np.ones((10, 10, 3), np.uint8)
    cut = cropped(image, np.array([-4, 2, 8, 14]))
    assert cut.shape == (12, 12, 3)
    assert cut[:8, 4:].all()
    assert not cut[:, :4].any()
    assert not cut[8:].any()
    assert np.isnan(cropped(np.ones((10, 10), np.float32), np.array([5, 5, 15, 15]))[5:, 5:]).all()


def test_depth_is_told_from_the_nearest_point_on_a_scale_of_120_mm():
    depth = depth_image()
    seen = depth_input(depth, np.array([78, 58, 178, 198 - 40]), 50)
    assert seen.shape == (50, 50)
    assert seen.dtype == np.float32
    assert seen[25, -1] == pytest.approx(1, abs=0.01)
    assert seen[25, 0] == pytest.approx(1 - 30 / 120, abs=0.01)
    shifted = depth_input(depth + 500, np.array([78, 58, 178, 158]), 50)
    np.testing.assert_allclose(shifted, seen, atol=1e-4)


def test_nothing_is_zero_and_does_not_shade_the_rim():
    seen = depth_input(depth_image(), np.array([28, 28, 228, 228]), 64)
    assert seen[0, 0] == 0
    assert set(np.unique(seen[32, 2:12] > 0)) == {True, False}
    rim = seen[32][seen[32] > 0]
    assert rim.min() > 1 - 101 / 120


def test_the_photograph_is_cut_alike():
    colour = np.zeros((256, 256, 3), np.uint8)
    colour[100:150, 100:150] = 200
    assert (colour_input(colour, np.array([100, 100, 150, 150])) == 200).all()


def test_no_depth_is_told_of():
    with pytest.raises(ScanError, match="Nothing of the scan"):
        face_box(np.full((8, 8), np.nan, np.float32))
