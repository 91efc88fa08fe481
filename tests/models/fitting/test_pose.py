import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from models.errors import FittingError
from models.fitting.camera import ScaledOrthographicCamera
from models.fitting.pose import estimate_pose, interpolate_cameras, rotation_angle_degrees

degrees = st.floats(-180, 180)


def camera_of(rng, frames, angles=None):
    rotation = Rotation.random(frames, random_state=rng) if angles is None else Rotation.from_euler("yxz", angles, True)
    return ScaledOrthographicCamera(
        scale=rng.uniform(0.2, 9, frames), rotation=rotation.as_matrix(), translation=rng.normal(size=(frames, 2)) * 300
    )


@given(degrees, st.floats(-89, 89), degrees, st.floats(0.01, 50))
@settings(max_examples=50, deadline=None)
def test_projecting_then_estimating_returns_any_camera(yaw, pitch, roll, scale):
    points = np.random.default_rng(0).normal(size=(20, 3)) * [60, 80, 40]
    rotation = Rotation.from_euler("yxz", [[yaw, pitch, roll]], True).as_matrix()
    truth = ScaledOrthographicCamera(np.array([scale]), rotation, np.array([[100.0, -40.0]]))
    found = estimate_pose(points, truth.project(points))
    assert rotation_angle_degrees(found.rotation, truth.rotation)[0] < 1e-4
    np.testing.assert_allclose(found.scale, truth.scale, rtol=1e-6)
    np.testing.assert_allclose(found.translation, truth.translation, atol=1e-4 * scale)


def test_no_generic_optimiser_finds_a_better_camera_of_noisy_points():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(30, 3)) * 50
    camera = camera_of(rng, 1)
    image = camera.project(points) + rng.normal(size=(1, 30, 2)) * 15 * camera.scale
    weights = rng.uniform(0.1, 2, (1, 30))

    def misfit(parameters):
        rotation = Rotation.from_rotvec(parameters[:3]).as_matrix()[None]
        other = ScaledOrthographicCamera(np.exp(parameters[3:4]), rotation, parameters[None, 4:])
        return (np.sqrt(weights[..., None]) * (other.project(points) - image)).reshape(-1)

    found = estimate_pose(points, image, weights)
    start = np.r_[Rotation.from_matrix(found.rotation[0]).as_rotvec(), np.log(found.scale), found.translation[0]]
    best = least_squares(misfit, start, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert np.sum(misfit(start) ** 2) <= np.sum(best.fun**2) * (1 + 1e-9)


def test_mirrored_points_give_a_proper_rotation_seen_from_behind():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(30, 3)) * 50
    front = camera_of(rng, 4, rng.uniform(-40, 40, (4, 3)))
    found = estimate_pose(points, front.project(points * [-1, 1, 1]))
    np.testing.assert_allclose(np.linalg.det(found.rotation), 1)
    assert (found.rotation[:, 2, 2] < 0).all()


def test_points_of_zero_weight_do_not_matter_even_as_nan():
    rng = np.random.default_rng(3)
    points, truth = rng.normal(size=(12, 3)) * 50, camera_of(rng, 5)
    image, weights = truth.project(points), np.ones((5, 12))
    image[:, 3], weights[:, 3] = np.nan, 0
    assert rotation_angle_degrees(estimate_pose(points, image, weights).rotation, truth.rotation).max() < 1e-4


def test_too_few_points_are_refused_with_the_frame():
    weights = np.ones((3, 10))
    weights[1, 3:] = 0
    with pytest.raises(FittingError, match="frame 1 has 3"):
        estimate_pose(np.ones((10, 3)), np.ones((3, 10, 2)), weights)


def test_cameras_between_known_ones_are_interpolated():
    rng = np.random.default_rng(4)
    camera = camera_of(rng, 5, np.outer(np.arange(5), [10, 0, 0]))
    known = np.array([False, True, False, True, False])
    filled = interpolate_cameras(camera, known)
    assert rotation_angle_degrees(filled.rotation[2:3], camera.rotation[2:3])[0] < 1e-5
    np.testing.assert_allclose(filled.rotation[0], camera.rotation[1])
    np.testing.assert_allclose(filled.scale[2], np.sqrt(camera.scale[1] * camera.scale[3]))
    np.testing.assert_allclose(filled.translation[4], camera.translation[3])
