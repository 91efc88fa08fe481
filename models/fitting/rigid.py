"""Initial cameras, section III-A.2: the shape is rigid over the video and synthesised by the face model."""

from dataclasses import dataclass

import numpy as np

from models.fitting.camera import IMAGE_AXES, ScaledOrthographicCamera
from models.fitting.linearisation import linearise, squared_errors
from models.fitting.normal_equations import ShapeSpace, neutral_information
from models.fitting.observations import Observations
from models.fitting.pose import estimate_pose, interpolate_cameras

# Frames of a video resemble one another: many of them know the rigid shape no better than a few independent ones.
INDEPENDENT_FRAMES = 8
# Gauss-Newton steps of cameras that are going to be refined.
POSE_STEPS = 3


@dataclass(frozen=True)
class RigidFit:
    """Cameras of all frames and the shared neutral coordinates y (r,) of the rigid shape."""

    camera: ScaledOrthographicCamera
    neutral: np.ndarray


def robust_weights(squared_error: np.ndarray, degrees: float) -> np.ndarray:
    """Weights of a Student t distribution of 2-D errors, `squared_error` being in units of the variance."""
    if np.isinf(degrees):
        return np.ones_like(squared_error)
    return (degrees + 2) / (degrees + squared_error)


def fit_rigid(
    observed: Observations,
    space: ShapeSpace,
    variance: np.ndarray,
    *,
    outlier_degrees: float,
    iterations: int,
    frames: int,
) -> RigidFit:
    """Fit one rigid shape of the model, and a camera a frame, to a whole video.

    Shape and cameras are solved for together on some frames; the cameras of all frames follow from the shape.
    The shape's prior keeps frontal-only videos, from which depth cannot be had, at the model's mean depth.

    Parameters
    ----------
    variance : (L,) mm^2, of a landmark coordinate around a rigid face: noise and expression
    frames : number of frames to estimate the shape on
    """
    usable = np.flatnonzero(observed.usable)
    chosen = usable[np.unique(np.linspace(0, len(usable) - 1, min(frames, len(usable))).round().astype(int))]
    landmarks, counts = observed.landmarks[chosen], observed.counts[chosen]
    neutral = np.zeros(space.neutral.shape[1])
    share = min(1.0, INDEPENDENT_FRAMES / len(chosen))
    weights = counts
    for _ in range(iterations):
        shape = (space.mean + space.neutral @ neutral).reshape(-1, 3)
        camera = estimate_pose(shape, landmarks, weights, POSE_STEPS)
        unit = camera.scale[:, None, None] * IMAGE_AXES
        arguments = (
            np.broadcast_to(shape, (len(chosen), *shape.shape)),
            camera.rotation,
            np.ones(len(chosen)),
            camera.translation * IMAGE_AXES / camera.scale[:, None],
        )
        error = squared_errors(landmarks / unit, *arguments)
        weights = counts * robust_weights(error / variance, outlier_degrees)
        linear = linearise(landmarks / unit, weights * share / variance, *arguments)
        information = neutral_information(linear, space) + np.eye(len(neutral))
        gradient = space.neutral.T @ linear.gradient.sum(0) - neutral
        neutral = neutral + np.linalg.solve(information, gradient)
    shape = (space.mean + space.neutral @ neutral).reshape(-1, 3)
    return RigidFit(cameras_of_shape(observed, shape, variance, outlier_degrees), neutral)


def cameras_of_shape(
    observed: Observations, shape: np.ndarray, variance: np.ndarray, outlier_degrees: float
) -> ScaledOrthographicCamera:
    """Robust cameras of all frames for landmarks (L, 3) mm; interpolated where a frame has too few points.

    Parameters
    ----------
    variance : (L,) mm^2, of a landmark coordinate around the given shape
    """
    usable = observed.usable
    found = robust_cameras(shape, observed.landmarks[usable], observed.counts[usable], variance, outlier_degrees)
    frames = len(usable)
    everywhere = ScaledOrthographicCamera(
        scale=np.ones(frames), rotation=np.tile(np.eye(3), (frames, 1, 1)), translation=np.zeros((frames, 2))
    )
    everywhere.scale[usable], everywhere.rotation[usable] = found.scale, found.rotation
    everywhere.translation[usable] = found.translation
    return interpolate_cameras(everywhere, usable)


def robust_cameras(
    known: np.ndarray, landmarks: np.ndarray, counts: np.ndarray, variance: np.ndarray, outlier_degrees: float
) -> ScaledOrthographicCamera:
    """Cameras of landmarks (F, L, 2) px, without any to start from, for `known` points (L, 3) or (F, L, 3) mm."""
    weights = counts / variance
    for _ in range(2):
        camera = estimate_pose(known, landmarks, weights, POSE_STEPS)
        error = ((camera.project(known) - landmarks) ** 2).sum(2) / camera.scale[:, None] ** 2 / variance
        # The median keeps the weights meaningful where outliers have pulled the first camera far away.
        spread = np.maximum(np.median(error, axis=1, keepdims=True), 1.0)
        weights = counts / variance * robust_weights(error / spread, outlier_degrees)
    return estimate_pose(known, landmarks, weights)
