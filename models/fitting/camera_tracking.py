"""Cameras of many frames, from those of a few and a shape for each."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from models.fitting.camera import IMAGE_AXES, ScaledOrthographicCamera
from models.fitting.linearisation import camera_jacobian
from models.fitting.observations import Observations
from models.fitting.pose import interpolate_cameras
from models.fitting.rigid import robust_cameras

STEPS = 4
# Median squared error, in variances, beyond which a camera has lost its face and is looked for from nothing.
LOST = 25.0
# Frames treated together; bounds the memory of their shapes.
RUN = 512


def track_cameras(
    observed: Observations,
    shapes: Callable[[np.ndarray], np.ndarray],
    start: ScaledOrthographicCamera,
    variance: np.ndarray,
    outlier_degrees: float,
    threads: int = 1,
) -> ScaledOrthographicCamera:
    """Robust cameras of all frames; interpolated where a frame has too few points.

    Parameters
    ----------
    shapes : gives the landmarks (n, L, 3) mm of n frames for their indices (n,)
    start : cameras near the ones sought
    variance : (L,) mm^2, of a landmark coordinate around the given shapes
    threads : runs of frames treated at a time
    """
    usable = np.flatnonzero(observed.usable)
    degrees = outlier_degrees if np.isfinite(outlier_degrees) else 1e12

    def track(frames):
        known, camera = shapes(frames), start[frames]
        landmarks, counts = observed.landmarks[frames], observed.counts[frames]
        unit = camera.scale[:, None]
        rotation, zoom = camera.rotation.copy(), np.ones(len(frames))
        shift = camera.translation * IMAGE_AXES / unit
        points = landmarks * IMAGE_AXES / unit[..., None]
        error = _track(points, counts, np.ascontiguousarray(known), variance, degrees, rotation, zoom, shift)
        scale = zoom * camera.scale
        found = ScaledOrthographicCamera(scale, rotation, shift * unit * IMAGE_AXES)
        if (lost := ~(error < LOST)).any():
            again = robust_cameras(known[lost], landmarks[lost], counts[lost], variance, outlier_degrees)
            scale[lost], rotation[lost], found.translation[lost] = again.scale, again.rotation, again.translation
        return found

    runs = np.split(usable, range(RUN, len(usable), RUN))
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(track, runs))
    scale, rotation = start.scale.copy(), start.rotation.copy()
    translation = start.translation.copy()
    for run, camera in zip(runs, found, strict=True):
        scale[run], rotation[run], translation[run] = camera.scale, camera.rotation, camera.translation
    return interpolate_cameras(ScaledOrthographicCamera(scale, rotation, translation), observed.usable)


@njit(cache=True, nogil=True)
def _track(points, counts, shapes, variance, degrees, rotation, zoom, shift):
    """Robust Gauss-Newton steps on every camera, in place; the median squared error (F,) in variances."""
    frames, count = counts.shape
    jacobian = np.zeros((2, 6))
    moved = np.empty(3)
    error = np.empty(count)
    lost = np.empty(frames)
    seen = np.empty(count)
    for f in range(frames):
        for iteration in range(STEPS + 1):
            used = 0
            for k in range(count):
                if counts[f, k] > 0:
                    x = points[f, k, 0] - shift[f, 0]
                    y = points[f, k, 1] - shift[f, 1]
                    for c in range(3):
                        x -= zoom[f] * rotation[f, 0, c] * shapes[f, k, c]
                        y -= zoom[f] * rotation[f, 1, c] * shapes[f, k, c]
                    error[k] = (x * x + y * y) / variance[k]
                    seen[used] = error[k]
                    used += 1
            middle = np.median(seen[:used])
            lost[f] = middle
            if iteration == STEPS:
                break
            # The median keeps the weights meaningful while the camera is still far away.
            spread = max(middle, 1.0)
            hessian = np.zeros((6, 6))
            gradient = np.zeros(6)
            for k in range(count):
                if counts[f, k] > 0:
                    w = counts[f, k] / variance[k] * (degrees + 2) / (degrees + error[k] / spread)
                    camera_jacobian(rotation[f], zoom[f], shapes[f, k], moved, jacobian)
                    r0 = points[f, k, 0] - shift[f, 0] - moved[0]
                    r1 = points[f, k, 1] - shift[f, 1] - moved[1]
                    for i in range(6):
                        gradient[i] += w * (jacobian[0, i] * r0 + jacobian[1, i] * r1)
                        for j in range(i + 1):
                            hessian[i, j] += w * (jacobian[0, i] * jacobian[0, j] + jacobian[1, i] * jacobian[1, j])
            largest = 0.0
            for i in range(6):
                largest = max(largest, hessian[i, i])
                for j in range(i):
                    hessian[j, i] = hessian[i, j]
            for i in range(6):
                hessian[i, i] += 1e-9 * largest
            step = np.linalg.solve(hessian, gradient)
            turn = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
            limit = 1.0 if turn < 0.5 else 0.5 / turn
            _turn(rotation[f], step[0] * limit, step[1] * limit, step[2] * limit)
            zoom[f] *= np.exp(min(max(step[3], -0.5), 0.5))
            shift[f, 0] += step[4]
            shift[f, 1] += step[5]
    return lost


@njit(cache=True, nogil=True)
def _turn(rotation, x, y, z):
    """Rotate, in place, by a rotation vector (Rodrigues' formula)."""
    angle = np.sqrt(x * x + y * y + z * z)
    if angle < 1e-12:
        return
    x, y, z = x / angle, y / angle, z / angle
    c, s = np.cos(angle), np.sin(angle)
    for column in range(3):
        a, b, d = rotation[0, column], rotation[1, column], rotation[2, column]
        along = (x * a + y * b + z * d) * (1 - c)
        rotation[0, column] = a * c + (y * d - z * b) * s + x * along
        rotation[1, column] = b * c + (z * a - x * d) * s + y * along
        rotation[2, column] = d * c + (x * b - y * a) * s + z * along
