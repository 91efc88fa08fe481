"""Where a camera, near or far, sees the points of a head."""

from dataclasses import replace

import numpy as np
import pytest

from models.rendering.head import HeadPose, rotation_from_angles
from models.rendering.rasteriser import camera_points

FAR = HeadPose(1.3, rotation_from_angles(20, -10, 5), np.array([120.0, 130.0]))
FRONTAL = HeadPose(1.0, np.eye(3), np.array([100.0, 100.0]))


def test_a_camera_infinitely_far_away_sees_without_perspective(embedded_model):
    vertices = embedded_model.mean.astype(np.float32)
    expected = camera_points(vertices, FAR.scale, FAR.rotation, FAR.translation)
    np.testing.assert_array_equal(FAR.points(vertices), expected)
    # Even from a kilometre, nothing moves by a pixel.
    np.testing.assert_allclose(replace(FAR, distance=1e6).points(vertices), expected, atol=0.1)


def test_from_nearby_the_nose_is_larger_and_the_face_narrower_at_the_ears(embedded_model):
    points = embedded_model.landmark_mean
    far, near = FRONTAL.points(points), replace(FRONTAL, distance=500.0).points(points)

    def width(seen, right, left):
        return seen[left, 0] - seen[right, 0]

    nose = width(near, 31, 35) / width(far, 31, 35)
    jaw = width(near, 0, 16) / width(far, 0, 16)
    assert nose > 1.08 * jaw
    # A point magnifies by distance / (distance - its own nearness).
    assert nose == pytest.approx(500 / (500 - points[[31, 35], 2].mean()), rel=0.01)


def test_the_scale_holds_where_the_models_origin_is():
    near = replace(FRONTAL, scale=2.0, distance=400.0)
    np.testing.assert_allclose(near.points(np.array([[10.0, 5.0, 0.0]]))[0], [120, 90, 0])


def test_depth_stays_in_millimetres(embedded_model):
    vertices = embedded_model.mean.astype(np.float32)
    np.testing.assert_array_equal(replace(FAR, distance=450.0).points(vertices)[:, 2], FAR.points(vertices)[:, 2])


@pytest.mark.parametrize("distance", [450.0, np.inf])
def test_a_magnified_view_shows_the_same_points_at_the_same_places_of_the_image(embedded_model, distance):
    pose = replace(FAR, distance=distance)
    points, magnified = (view.points(embedded_model.landmark_mean) for view in (pose, pose.magnified(1.5)))
    np.testing.assert_allclose(magnified[:, :2], (points[:, :2] + 0.5) * 1.5 - 0.5, atol=1e-3)
