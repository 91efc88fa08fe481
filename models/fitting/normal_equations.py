"""Solving one Gauss-Newton step for the expressions of all frames and the neutral face that they share.

The expressions couple a frame to the two before it, coordinate by coordinate: a block of n_e x n_e a frame beside
two diagonals, which a banded Cholesky (`banded`) factorises in time linear in the frames. The neutral face couples all
frames and goes by its Schur complement: exactly on a few frames, and as an approximation of that of all frames.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numba import njit
from scipy.linalg import cho_factor, cho_solve

from models.fitting.banded import TemporalCholesky
from models.fitting.linearisation import AXIS_PAIRS, Linearisation


@dataclass(frozen=True)
class ShapeSpace:
    """Landmarks `mean + L y + E z` of a frame: y shared by all frames, z each frame's own, both white a priori.

    Attributes
    ----------
    mean : (3L,) mm, the mean expression included
    neutral : (3L, r) L
    expression : (3L, n_e) E
    """

    mean: np.ndarray
    neutral: np.ndarray
    expression: np.ndarray

    def shapes(self, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """(F, L, 3) mm for y (r,) and z (F, n_e)."""
        flat = self.mean + self.neutral @ y + z @ self.expression.T
        return flat.reshape(len(z), -1, 3)

    @cached_property
    def expression_products(self) -> np.ndarray:
        """(6 L, n_e (n_e + 1) / 2): for each landmark and axis pair, the packed lower triangle of `E_a^T E_b`."""
        basis = self.expression.reshape(-1, 3, self.expression.shape[1])
        packed = []
        for a, b in AXIS_PAIRS:
            product = basis[:, a, :, None] * basis[:, b, None, :]
            packed.append(packed_triangle(product if a == b else product + product.transpose(0, 2, 1)))
        return np.stack(packed, 1).reshape(-1, packed[0].shape[1])


def packed_triangle(matrices: np.ndarray) -> np.ndarray:
    """Lower triangles of (..., n, n), row by row: (..., n (n + 1) / 2)."""
    rows, columns = np.tril_indices(matrices.shape[-1])
    return matrices[..., rows, columns]


def neutral_information(linear: Linearisation, space: ShapeSpace) -> np.ndarray:
    """`sum_f L^T (M_f - U_f^T U_f) L`, (r, r)."""
    points = linear.weights.shape[1]
    products = linear.weights.T @ linear.projection_products()
    blocks = np.zeros((points, 3, points, 3))
    diagonal = np.arange(points)
    for k, (a, b) in enumerate(AXIS_PAIRS):
        blocks[diagonal, a, diagonal, b] = blocks[diagonal, b, diagonal, a] = products[:, k]
    rows = linear.camera_rows.reshape(-1, 3 * points)
    dense = blocks.reshape(3 * points, 3 * points) - rows.T @ rows
    return space.neutral.T @ dense @ space.neutral


def neutral_coupling(linear: Linearisation, space: ShapeSpace) -> np.ndarray:
    """`E^T (M - U^T U) L` of every frame, (F, n_e, r)."""
    frames, size = len(linear.weights), space.expression.shape[1]
    weighted = _information_times_basis(linear.weights, linear.projection_products(), space.expression)
    rows = linear.camera_rows
    seen = np.matmul(rows, space.expression)
    weighted -= np.matmul(seen.transpose(0, 2, 1), rows)
    return (weighted.reshape(frames * size, -1) @ space.neutral).reshape(frames, size, -1)


@njit(cache=True, nogil=True, fastmath=True)
def _information_times_basis(weights, products, basis):
    """`E^T M` of every frame, (F, n, 3L), M being `w_l P^T P` in every landmark's block."""
    frames, points = weights.shape
    size = basis.shape[1]
    out = np.empty((frames, size, 3 * points))
    for f in range(frames):
        xx, xy, xz, yy, yz, zz = products[f]
        for n in range(size):
            for k in range(points):
                x, y, z = basis[3 * k, n], basis[3 * k + 1, n], basis[3 * k + 2, n]
                w = weights[f, k]
                out[f, n, 3 * k] = w * (xx * x + xy * y + xz * z)
                out[f, n, 3 * k + 1] = w * (xy * x + yy * y + yz * z)
                out[f, n, 3 * k + 2] = w * (xz * x + yz * y + zz * z)
    return out


@dataclass(frozen=True)
class NeutralSchur:
    """The neutral face's own normal equations, once the expressions are eliminated.

    Attributes
    ----------
    matrix : (r, r) information on y
    coupling : (F, n_e, r) of the frames' expressions with y
    response : (F, n_e, r) how the expressions give way to y: `dz = -response dy`
    """

    matrix: np.ndarray
    coupling: np.ndarray
    response: np.ndarray

    def scaled(self, share: float) -> "NeutralSchur":
        """The same for a share of the frames."""
        return replace(self, matrix=self.matrix * share)

    def solve(self, gradient: np.ndarray, curvature: np.ndarray) -> np.ndarray:
        """Step of y (r,) for a reduced gradient, `curvature` (r, r) being that of everything but the landmarks."""
        return cho_solve(cho_factor(self.matrix + curvature, lower=True), gradient)


def neutral_schur(
    linear: Linearisation, space: ShapeSpace, factor: TemporalCholesky, repeat: float = 1.0
) -> NeutralSchur:
    """Eliminate the expressions of some frames exactly.

    Parameters
    ----------
    factor : of the frames' expression information, `repeat` times, and their prior
    repeat : how many frames each one stands for
    """
    coupling = neutral_coupling(linear, space) * repeat
    response = factor.solve(coupling)
    explained = np.tensordot(coupling, response, axes=((0, 1), (0, 1)))
    matrix = neutral_information(linear, space) * repeat - explained
    return NeutralSchur((matrix + matrix.T) / 2, coupling, response)


@dataclass(frozen=True)
class Step:
    """A Gauss-Newton step: changes of y (r,), z (F, n_e) and the cameras (F, 6)."""

    neutral: np.ndarray
    expression: np.ndarray
    camera: np.ndarray


def solve_step(
    linear: Linearisation,
    space: ShapeSpace,
    factor: TemporalCholesky,
    schur: NeutralSchur,
    gradient_y: np.ndarray,
    gradient_z: np.ndarray,
    curvature_y: np.ndarray,
) -> Step:
    """Solve the normal equations of a few frames exactly.

    Parameters
    ----------
    factor, schur : of the expressions' information and prior, and what is left for y
    gradient_y, gradient_z : (r,), (F, n_e) descent direction of half the energy
    curvature_y : (r, r) of everything but the landmark term in y: the prior and the bounds
    """
    free = factor.solve(gradient_z)
    reduced = gradient_y - np.tensordot(schur.coupling, free, axes=((0, 1), (0, 1)))
    neutral = schur.solve(reduced, curvature_y)
    expression = free - schur.response @ neutral
    camera = linear.camera_change(space.neutral @ neutral + expression @ space.expression.T)
    return Step(neutral, expression, camera)
