"""The landmark term of the energy around a current estimate, camera parameters eliminated.

In frame f the landmarks are `kappa (R x)[:2] + tau` in camera millimetres (pixels over a fixed scale, y up). A change
of the landmarks' shape by `dx` (204,) and of the camera by `dp` (6,) changes the weighted squared residual by a
quadratic whose shape part is, every landmark having the same projection P = kappa R[:2], fully described by the 2x3
matrix P and one weight a landmark. Solving for the best `dp` subtracts a matrix of rank six, kept as its six rows.
Nothing of the size of a Jacobian (136 x 185) is ever built.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

CAMERA_PARAMETERS = 6


@dataclass(frozen=True)
class Linearisation:
    """The quadratic of F frames.

    Attributes
    ----------
    weights : (F, L) inverse variances times robust weights, 1/mm^2
    projection : (F, 2, 3) P
    camera_rows : (F, 6, 3L) rows U by which the camera's elimination lowers the information: `M - U^T U`
    camera_factor : (F, 6, 6) Cholesky factor of the camera's own information
    camera_step : (F, 6) whitened camera step at `dx = 0`
    gradient : (F, 3L) information-weighted residual after elimination, 1/mm
    """

    weights: np.ndarray
    projection: np.ndarray
    camera_rows: np.ndarray
    camera_factor: np.ndarray
    camera_step: np.ndarray
    gradient: np.ndarray

    def __getitem__(self, frames) -> "Linearisation":
        return Linearisation(
            self.weights[frames],
            self.projection[frames],
            self.camera_rows[frames],
            self.camera_factor[frames],
            self.camera_step[frames],
            self.gradient[frames],
        )

    @classmethod
    def empty(cls, frames: int, points: int) -> "Linearisation":
        """Room for F frames, to be filled by `linearise`."""
        size = CAMERA_PARAMETERS
        shapes = (
            (frames, points),
            (frames, 2, 3),
            (frames, size, 3 * points),
            (frames, size, size),
            (frames, size),
            (frames, 3 * points),
        )
        return cls(*map(np.zeros, shapes))

    def information_times(self, shapes: np.ndarray) -> np.ndarray:
        """Information (eliminated) of each frame times a change of shape: (F, 3L) -> (F, 3L)."""
        return _information_times(self.weights, self.projection, self.camera_rows, np.ascontiguousarray(shapes))

    def gradient_after(self, shapes: np.ndarray) -> np.ndarray:
        """Gradient (3L,), summed over frames, once the shapes (F, 3L) of the frames have changed."""
        return (self.gradient - self.information_times(shapes)).sum(0)

    def camera_change(self, shapes: np.ndarray) -> np.ndarray:
        """The best change of the camera (F, 6) for a change of shape (F, 3L): rotation vector, log scale, shift."""
        right = self.camera_step - np.einsum("fpk,fk->fp", self.camera_rows, shapes)
        return np.linalg.solve(self.camera_factor.transpose(0, 2, 1), right[..., None])[..., 0]

    def projection_products(self) -> np.ndarray:
        """The six distinct entries of `P^T P`, (F, 6), in the order of `symmetric_products`."""
        p = self.projection
        return np.stack([(p[:, :, a] * p[:, :, b]).sum(1) for a, b in AXIS_PAIRS], 1)


AXIS_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def linearise(
    observed: np.ndarray,
    weights: np.ndarray,
    shapes: np.ndarray,
    rotation: np.ndarray,
    zoom: np.ndarray,
    shift: np.ndarray,
    into: Linearisation | None = None,
) -> Linearisation:
    """Linearise around shapes (F, L, 3) mm and cameras.

    Parameters
    ----------
    observed : (F, L, 2) camera millimetres, y up
    weights : (F, L) 1/mm^2
    rotation, zoom, shift : (F, 3, 3), (F,), (F, 2)
    into : where to write it
    """
    linear = Linearisation.empty(*weights.shape) if into is None else into
    linear.weights[:] = weights
    _linearise(
        observed,
        linear.weights,
        np.ascontiguousarray(shapes),
        rotation,
        zoom,
        shift,
        linear.projection,
        linear.camera_rows,
        linear.camera_factor,
        linear.camera_step,
        linear.gradient,
    )
    return linear


def squared_errors(observed, shapes, rotation, zoom, shift) -> np.ndarray:
    """Squared distance (F, L) between observed and predicted points, mm^2; arguments as `linearise`."""
    return _squared_errors(observed, np.ascontiguousarray(shapes), rotation, zoom, shift)


@njit(cache=True, nogil=True, fastmath=False)
def _squared_errors(observed, shapes, rotation, zoom, shift):
    frames, points = observed.shape[:2]
    out = np.empty((frames, points))
    for f in range(frames):
        for k in range(points):
            total = 0.0
            for d in range(2):
                value = observed[f, k, d] - shift[f, d]
                for c in range(3):
                    value -= zoom[f] * rotation[f, d, c] * shapes[f, k, c]
                total += value * value
            out[f, k] = total
    return out


@njit(cache=True, nogil=True)
def camera_jacobian(rotation, zoom, point, moved, jacobian):
    """Rotated and zoomed `point` (3,) into `moved`, and the derivative of its first two coordinates by the camera.

    Columns of `jacobian` (2, 6): rotation vector (applied after the current rotation), logarithm of the zoom, shift.
    """
    for d in range(3):
        moved[d] = zoom * (rotation[d, 0] * point[0] + rotation[d, 1] * point[1] + rotation[d, 2] * point[2])
    jacobian[0, 0] = jacobian[1, 1] = 0.0
    jacobian[0, 1], jacobian[0, 2] = moved[2], -moved[1]
    jacobian[1, 0], jacobian[1, 2] = -moved[2], moved[0]
    jacobian[0, 3], jacobian[1, 3] = moved[0], moved[1]
    jacobian[0, 4], jacobian[1, 5] = 1.0, 1.0
    jacobian[0, 5] = jacobian[1, 4] = 0.0


@njit(cache=True, nogil=True, fastmath=False)
def _linearise(observed, weights, shapes, rotation, zoom, shift, projection, rows, factor, step, gradient):
    frames, points = weights.shape
    jacobian = np.zeros((2, 6))
    hessian = np.empty((6, 6))
    moved = np.empty(3)
    for f in range(frames):
        hessian[:] = 0
        step[f] = 0
        for d in range(2):
            for c in range(3):
                projection[f, d, c] = zoom[f] * rotation[f, d, c]
        p = projection[f]
        for k in range(points):
            w = weights[f, k]
            camera_jacobian(rotation[f], zoom[f], shapes[f, k], moved, jacobian)
            r0 = w * (observed[f, k, 0] - moved[0] - shift[f, 0])
            r1 = w * (observed[f, k, 1] - moved[1] - shift[f, 1])
            for i in range(6):
                a, b = w * jacobian[0, i], w * jacobian[1, i]
                step[f, i] += jacobian[0, i] * r0 + jacobian[1, i] * r1
                for j in range(i + 1):
                    hessian[i, j] += a * jacobian[0, j] + b * jacobian[1, j]
                for c in range(3):
                    rows[f, i, 3 * k + c] = a * p[0, c] + b * p[1, c]
            for c in range(3):
                gradient[f, 3 * k + c] = p[0, c] * r0 + p[1, c] * r1
        # A frame without weight keeps its camera: the tiny ridge makes its step zero instead of undefined.
        largest = 0.0
        for i in range(6):
            largest = max(largest, hessian[i, i])
        for i in range(6):
            hessian[i, i] += 1e-12 * largest + 1e-12
        for i in range(6):
            for j in range(i + 1):
                value = hessian[i, j]
                for m in range(j):
                    value -= factor[f, i, m] * factor[f, j, m]
                factor[f, i, j] = np.sqrt(max(value, 1e-300)) if i == j else value / factor[f, j, j]
        for i in range(6):
            for j in range(i):
                share = factor[f, i, j]
                step[f, i] -= share * step[f, j]
                for m in range(3 * points):
                    rows[f, i, m] -= share * rows[f, j, m]
            inverse = 1 / factor[f, i, i]
            step[f, i] *= inverse
            for m in range(3 * points):
                rows[f, i, m] *= inverse
        for i in range(6):
            for m in range(3 * points):
                gradient[f, m] -= rows[f, i, m] * step[f, i]


@njit(cache=True, nogil=True, fastmath=True)
def _information_times(weights, projection, rows, shapes):
    frames, points = weights.shape
    out = np.empty_like(shapes)
    for f in range(frames):
        p = projection[f]
        for k in range(points):
            x, y, z = shapes[f, 3 * k], shapes[f, 3 * k + 1], shapes[f, 3 * k + 2]
            a = weights[f, k] * (p[0, 0] * x + p[0, 1] * y + p[0, 2] * z)
            b = weights[f, k] * (p[1, 0] * x + p[1, 1] * y + p[1, 2] * z)
            for c in range(3):
                out[f, 3 * k + c] = p[0, c] * a + p[1, c] * b
        for i in range(6):
            share = 0.0
            for m in range(3 * points):
                share += rows[f, i, m] * shapes[f, m]
            for m in range(3 * points):
                out[f, m] -= share * rows[f, i, m]
    return out
