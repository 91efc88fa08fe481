from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.fitting.camera_tracking import track_cameras
from models.fitting.observations import Observations
from models.fitting.pose import rotation_angle_degrees

VARIANCE = np.ones(68)


@pytest.fixture
def seen(face_model, video):
    """Noise-free landmarks of a talking head, with their shapes and cameras."""
    shapes = face_model.landmarks(video.identity, video.expression)
    landmarks = video.camera.project(shapes)
    return Observations(landmarks, np.ones(landmarks.shape[:2])), shapes, video.camera


def turned(camera, degrees, seed=0):
    axes = np.random.default_rng(seed).normal(size=(len(camera), 3))
    turns = Rotation.from_rotvec(np.radians(degrees) * axes / np.linalg.norm(axes, axis=1, keepdims=True))
    return replace(
        camera,
        rotation=turns.as_matrix() @ camera.rotation,
        scale=camera.scale * 1.1,
        translation=camera.translation + 15,
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_cameras_nearby_lead_to_the_true_ones(seen, threads):
    observed, shapes, camera = seen
    found = track_cameras(observed, lambda frames: shapes[frames], turned(camera, 12), VARIANCE, 5.0, threads)
    assert rotation_angle_degrees(found.rotation, camera.rotation).max() < 0.1
    np.testing.assert_allclose(found.scale, camera.scale, rtol=1e-3)
    np.testing.assert_allclose(found.translation, camera.translation, atol=0.3)


def test_a_start_that_looks_the_other_way_is_given_up(seen):
    observed, shapes, camera = seen
    start = turned(camera, 5)
    start.rotation[40:50] = start.rotation[40:50] @ np.diag([-1.0, 1.0, -1.0])
    found = track_cameras(observed, lambda frames: shapes[frames], start, VARIANCE, 5.0)
    assert rotation_angle_degrees(found.rotation, camera.rotation).max() < 1


def test_points_that_are_somewhere_else_have_no_say(seen):
    observed, shapes, camera = seen
    landmarks = observed.landmarks.copy()
    landmarks[:, ::9] += 60
    wrong = Observations(landmarks, observed.counts)
    robust, plain = (
        track_cameras(wrong, lambda frames: shapes[frames], turned(camera, 5), VARIANCE, degrees)
        for degrees in (5.0, np.inf)
    )
    errors = [rotation_angle_degrees(found.rotation, camera.rotation).mean() for found in (robust, plain)]
    assert errors[0] < 0.3 * errors[1]


def test_frames_without_points_take_the_cameras_between_their_neighbours(seen):
    observed, shapes, camera = seen
    observed.counts[60:65] = 0
    found = track_cameras(observed, lambda frames: shapes[frames], turned(camera, 5), VARIANCE, 5.0)
    assert rotation_angle_degrees(found.rotation, camera.rotation).max() < 3
