"""Scaled orthographic pose from 3D-2D correspondences, for all frames at once."""

import numpy as np

from models.errors import FittingError
from models.fitting.camera import IMAGE_AXES, ScaledOrthographicCamera

MINIMUM_POINTS = 4


def estimate_pose(
    points: np.ndarray, image: np.ndarray, weights: np.ndarray | None = None, iterations: int = 12
) -> ScaledOrthographicCamera:
    """Cameras that minimise the weighted squared distance between projected `points` and `image`, frame by frame.

    An affine camera is solved for linearly and replaced by the nearest scaled orthographic one; damped Gauss-Newton
    steps on rotation and scale then reach the least-squares optimum itself. Only second moments of the points enter
    the iterations, so that a step costs the same for any number of points. Rotations are proper by construction:
    without perspective, a mirrored face is one seen from behind.

    Parameters
    ----------
    points : (N, 3) points shared by all frames, or (F, N, 3), mm
    image : (F, N, 2) pixels; values where the weight is zero are ignored, NaN included
    weights : (F, N) non-negative, or None for all ones
    iterations : largest number of Gauss-Newton steps

    Raises
    ------
    FittingError
        A frame has fewer than four points of positive weight.
    """
    image = np.asarray(image, np.float64)
    points = np.asarray(points, np.float64)
    if points.ndim == 2:
        points = np.broadcast_to(points, (len(image), *points.shape))
    weights = np.ones(image.shape[:2]) if weights is None else np.asarray(weights, np.float64)
    usable = (weights > 0).sum(1)
    if len(usable) and usable.min() < MINIMUM_POINTS:
        raise FittingError(
            f"frame {int(usable.argmin())} has {usable.min()} usable points; a pose needs at least {MINIMUM_POINTS}."
        )
    observed = np.where(weights[..., None] > 0, image, 0.0) * IMAGE_AXES

    total = weights.sum(1)[:, None]
    point_centre = np.einsum("fn,fnc->fc", weights, points) / total
    observed_centre = np.einsum("fn,fnd->fd", weights, observed) / total
    points = points - point_centre[:, None]
    observed = observed - observed_centre[:, None]
    weighted = points * weights[..., None]
    spread = np.matmul(weighted.transpose(0, 2, 1), points)
    cross = np.matmul(observed.transpose(0, 2, 1), weighted)

    rotation, scale = _nearest_to_affine(spread, cross)
    rotation, scale = _refined(spread, cross, rotation, scale, iterations)
    translation = (
        observed_centre - scale[:, None] * np.einsum("fdc,fc->fd", rotation[:, :2], point_centre)
    ) * IMAGE_AXES
    return ScaledOrthographicCamera(scale=scale, rotation=rotation, translation=translation)


def interpolate_cameras(camera: ScaledOrthographicCamera, known: np.ndarray) -> ScaledOrthographicCamera:
    """Replace the cameras of frames that are not `known` (F,) bool by interpolation between their neighbours.

    Rotations follow the shortest arc, logarithms of scales and translations straight lines; before the first and
    after the last known frame the nearest known camera holds.
    """
    if known.all():
        return camera
    found = spread_cameras(camera[known], known)
    found.rotation[known] = camera.rotation[known]
    return found


def spread_cameras(camera: ScaledOrthographicCamera, known: np.ndarray) -> ScaledOrthographicCamera:
    """Cameras of all frames from those of the ones that are `known` (F,) bool, as `interpolate_cameras`."""
    # A third of a second's worth of imports, which a command that reads one photograph does without.
    from scipy.spatial.transform import Rotation, Slerp

    frames, index = np.arange(len(known)), np.flatnonzero(known)
    held = np.clip(frames, index[0], index[-1])
    if len(index) == 1:
        rotation = np.repeat(camera.rotation, len(known), axis=0)
    else:
        rotation = Slerp(index, Rotation.from_matrix(camera.rotation))(held).as_matrix()
    scale = np.exp(np.interp(held, index, np.log(camera.scale)))
    translation = np.stack([np.interp(held, index, camera.translation[:, axis]) for axis in range(2)], 1)
    return ScaledOrthographicCamera(scale=scale, rotation=rotation, translation=translation)


def rotation_angle_degrees(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Angle (F,) of the rotation between `first` and `second` (F, 3, 3), degrees."""
    chord = np.linalg.norm(np.asarray(first) - second, axis=(1, 2)) / np.sqrt(8)
    return np.degrees(2 * np.arcsin(np.clip(chord, 0, 1)))


def _rotation_of(vector: np.ndarray) -> np.ndarray:
    """Rotation matrices (F, 3, 3) of rotation vectors (F, 3), by Rodrigues' formula."""
    angle = np.linalg.norm(vector, axis=1)[:, None, None]
    cross = np.zeros((len(vector), 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = vector
    cross[:, [1, 2, 0], [2, 0, 1]] = -vector
    # sin(a) / a and (1 - cos(a)) / a^2, also where a is 0.
    return np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * (cross @ cross)


def _nearest_to_affine(spread, cross):
    """Rotation (F, 3, 3) and scale (F,) nearest to the least-squares affine camera of the given second moments."""
    # A relative ridge keeps flat or collinear point sets solvable.
    ridge = 1e-9 * np.trace(spread, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    affine = np.linalg.solve(spread + ridge, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    u, singular, vt = np.linalg.svd(affine, full_matrices=False)
    two_rows = u @ vt
    rotation = np.concatenate([two_rows, np.cross(two_rows[:, 0], two_rows[:, 1])[:, None]], 1)
    return rotation, np.maximum(singular.mean(1), 1e-12)


def _misfit(spread, cross, rotation, scale):
    """Weighted squared distance (F,), up to a constant, from the second moments alone."""
    rows = rotation[:, :2]
    along = np.einsum("fdc,fdc->f", cross, rows)
    length = np.einsum("fdc,fce,fde->f", rows, spread, rows)
    return scale**2 * length - 2 * scale * along


def _refined(spread, cross, rotation, scale, iterations):
    """Damped Gauss-Newton on a rotation vector and the logarithm of the scale; a step that does not help is undone."""
    damping = np.full(len(scale), 1e-6)
    misfit = _misfit(spread, cross, rotation, scale)
    # Far below anything measurable, relative to the energy of the observed points.
    enough = 1e-14 * np.maximum(np.abs(misfit), 1e-300)
    hessian, gradient = np.zeros((len(scale), 4, 4)), np.zeros((len(scale), 4))
    for _ in range(iterations):
        moments = rotation @ spread @ rotation.transpose(0, 2, 1)
        seen = cross @ rotation.transpose(0, 2, 1)
        flat = moments[:, 0, 0] + moments[:, 1, 1]
        hessian[:, 0, 0] = hessian[:, 1, 1] = moments[:, 2, 2]
        hessian[:, 2, 2] = hessian[:, 3, 3] = flat
        hessian[:, 0, 2] = hessian[:, 2, 0] = -moments[:, 0, 2]
        hessian[:, 1, 2] = hessian[:, 2, 1] = -moments[:, 1, 2]
        hessian[:, 0, 3] = hessian[:, 3, 0] = -moments[:, 1, 2]
        hessian[:, 1, 3] = hessian[:, 3, 1] = moments[:, 0, 2]
        gradient[:, 0] = scale * moments[:, 1, 2] - seen[:, 1, 2]
        gradient[:, 1] = seen[:, 0, 2] - scale * moments[:, 0, 2]
        gradient[:, 2] = seen[:, 1, 0] - seen[:, 0, 1]
        gradient[:, 3] = seen[:, 0, 0] + seen[:, 1, 1] - scale * flat
        # Both sides are divided by the scale squared; the trace makes the damping free of units.
        size = np.trace(moments, axis1=1, axis2=2)
        damped = hessian + (damping * size + 1e-300)[:, None, None] * np.eye(4)
        step = np.linalg.solve(damped, gradient[..., None])[..., 0] / scale[:, None]
        new_rotation = _rotation_of(step[:, :3]) @ rotation
        new_scale = scale * np.exp(np.clip(step[:, 3], -1, 1))
        new_misfit = _misfit(spread, cross, new_rotation, new_scale)
        better = new_misfit <= misfit
        gain = np.where(better, misfit - new_misfit, np.inf)
        rotation = np.where(better[:, None, None], new_rotation, rotation)
        scale, misfit = np.where(better, new_scale, scale), np.where(better, new_misfit, misfit)
        damping = np.where(better, damping * 0.1, np.maximum(damping, 1e-6) * 100)
        if np.all(gain <= enough) or not better.any():
            break
    return rotation, scale
