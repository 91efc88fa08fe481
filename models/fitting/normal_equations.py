"""Solving one Gauss-Newton step for the expressions of all frames and the neutral face that they share.

The expressions couple a frame to the two before it, coordinate by coordinate: a block of n_e x n_e a frame beside
two diagonals, a matrix of bandwidth 2 n_e that a banded Cholesky factorises in time linear in the frames. The
neutral face couples all frames; its Schur complement is solved by conjugate gradients, one banded solve a step,
preconditioned by the exact Schur complement of a few frames spread over the video.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpbtrf, dpbtrs

from models.errors import FittingError
from models.fitting.linearisation import AXIS_PAIRS, Linearisation
from models.fitting.priors import ExpressionPrior

# Frames handled together, so that what is computed for them stays in the processor's cache.
CHUNK = 128


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
        rows, columns = np.tril_indices(basis.shape[2])
        packed = []
        for a, b in AXIS_PAIRS:
            product = basis[:, a, :, None] * basis[:, b, None, :]
            packed.append((product if a == b else product + product.transpose(0, 2, 1))[:, rows, columns])
        return np.stack(packed, 1).reshape(-1, len(rows))


class TemporalCholesky:
    """Cholesky factor of a matrix of dense (n, n) blocks, one a frame, and diagonal coupling of frames 1 and 2 apart.

    Parameters
    ----------
    blocks : (F, n, n) symmetric, without the prior
    bands : diagonals of the prior's precision, as `ExpressionPrior.precision_bands` gives them

    Raises
    ------
    FittingError
        The matrix is not positive definite: the landmarks hold values that no fit can balance.
    """

    def __init__(self, blocks: np.ndarray, bands: tuple[np.ndarray, np.ndarray, np.ndarray]):
        frames, size = blocks.shape[:2]
        centre, beside, beyond = bands
        width = 1 if frames == 1 or not beside.any() else 2
        rows = 2 * size + 1 if width == 2 else size
        # One column of LAPACK's lower band storage is one row here.
        band = np.zeros((frames, size, rows))
        for column in range(size):
            band[:, column, : size - column] = blocks[:, column, column:]
        band[:, :, 0] += centre
        if width == 2:
            band[:-1, :, size] = beside
            band[:-2, :, 2 * size] = beyond
        self.shape = frames, size
        self.factor, failed = dpbtrf(band.reshape(frames * size, rows).T, lower=1, overwrite_ab=1)
        if failed:
            raise FittingError(
                "the normal equations are not positive definite; look for absurd landmark positions or weights."
            )

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solve for right-hand sides (F, n) or (F, n, k)."""
        columns = right.reshape(self.shape[0] * self.shape[1], -1)
        return dpbtrs(self.factor, columns, lower=1)[0].reshape(right.shape)


def marginal_covariances(blocks: np.ndarray, bands: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Diagonal blocks (F, n, n) of the inverse of the matrix that `TemporalCholesky` factorises.

    Taken two at a time, frames couple only to the pair before and after: the inverse's diagonal blocks follow from one
    pass forth, which eliminates the past of each pair, and one back, which adds its future (Rauch, Tung, Striebel).
    """
    frames, size = blocks.shape[:2]
    centre, beside, beyond = bands
    pairs = -(-frames // 2)
    diagonal = np.arange(size)
    own = np.zeros((pairs, 2, size, 2, size))
    for half in range(2):
        count = len(blocks[half::2])
        own[:count, half, :, half] = blocks[half::2]
        own[:count, half, diagonal, half, diagonal] += centre[half::2]
    if frames % 2:
        # The last frame gets an independent companion.
        own[-1, 1, diagonal, 1, diagonal] = 1
    within = beside[0::2]
    own[: len(within), 0, diagonal, 1, diagonal] = own[: len(within), 1, diagonal, 0, diagonal] = within
    own = own.reshape(pairs, 2 * size, 2 * size)
    link = np.zeros((max(pairs - 1, 0), 2, size, 2, size))
    link[:, 0, diagonal, 0, diagonal] = beyond[0::2][: len(link)]
    link[:, 1, diagonal, 0, diagonal] = beside[1::2][: len(link)]
    last = beyond[1::2][: len(link)]
    link[: len(last), 1, diagonal, 1, diagonal] = last
    link = link.reshape(len(link), 2 * size, 2 * size)

    past, gains = np.empty_like(own), np.empty_like(link)
    past[0] = own[0]
    for pair in range(pairs - 1):
        gains[pair] = cho_solve(cho_factor(past[pair], lower=True, check_finite=False), link[pair], check_finite=False)
        past[pair + 1] = own[pair + 1] - link[pair].T @ gains[pair]
    covariance = np.linalg.inv(past)
    for pair in range(pairs - 2, -1, -1):
        covariance[pair] += gains[pair] @ covariance[pair + 1] @ gains[pair].T
    both = covariance.reshape(pairs, 2, size, 2, size)
    return np.stack([both[:, 0, :, 0], both[:, 1, :, 1]], 1).reshape(2 * pairs, size, size)[:frames]


def expression_information(linear: Linearisation, space: ShapeSpace) -> np.ndarray:
    """`E^T (M - U^T U) E` of every frame, (F, n_e, n_e)."""
    frames, points = linear.weights.shape
    size = space.expression.shape[1]
    projections = linear.projection_products()
    unpacked = np.zeros((size, size), np.intp)
    unpacked[np.tril_indices(size)] = np.arange(size * (size + 1) // 2)
    unpacked = np.maximum(unpacked, unpacked.T).reshape(-1)
    information = np.empty((frames, size, size))
    for start in range(0, frames, CHUNK):
        part = slice(start, start + CHUNK)
        products = linear.weights[part, :, None] * projections[part, None]
        count = len(products)
        packed = products.reshape(count, 6 * points) @ space.expression_products
        full = packed.take(unpacked, axis=1).reshape(count, size, size)
        rows = (linear.camera_rows[part].reshape(count * 6, -1) @ space.expression).reshape(count, 6, size)
        information[part] = full - np.matmul(rows.transpose(0, 2, 1), rows)
    return information


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
    frames, points = linear.weights.shape
    size = space.expression.shape[1]
    p = linear.projection
    local = linear.weights[:, :, None, None] * np.matmul(p.transpose(0, 2, 1), p)[:, None]
    basis = space.expression.reshape(points, 3, size).transpose(0, 2, 1)
    weighted = np.einsum("lna,flab->fnlb", basis, local).reshape(frames * size, 3 * points)
    rows = linear.camera_rows
    seen = (rows.reshape(frames * 6, -1) @ space.expression).reshape(frames, 6, size)
    weighted -= np.matmul(seen.transpose(0, 2, 1), rows).reshape(frames * size, 3 * points)
    return (weighted @ space.neutral).reshape(frames, size, -1)


def neutral_schur_complement(
    linear: Linearisation, space: ShapeSpace, prior: ExpressionPrior, blocks: np.ndarray, repeat: float = 1.0
) -> np.ndarray:
    """Information (r, r) on y, prior included, once the expressions are eliminated exactly.

    Parameters
    ----------
    blocks : (F, n_e, n_e) the frames' expression information
    repeat : how many frames each one stands for
    """
    coupling = neutral_coupling(linear, space) * repeat
    factor = TemporalCholesky(blocks * repeat, prior.precision_bands(len(blocks)))
    explained = np.tensordot(coupling, factor.solve(coupling), axes=((0, 1), (0, 1)))
    schur = np.eye(space.neutral.shape[1]) + neutral_information(linear, space) * repeat - explained
    return (schur + schur.T) / 2


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
    gradient_y: np.ndarray,
    gradient_z: np.ndarray,
    curvature_y: np.ndarray,
    preconditioner: np.ndarray,
    tolerance: float,
    iterations: int = 60,
) -> Step:
    """Solve the normal equations.

    Parameters
    ----------
    factor : of the expressions' information and prior
    gradient_y, gradient_z : (r,), (F, n_e) descent direction of half the energy
    curvature_y : (r, r) of everything but the landmark term in y: the prior and the bounds
    preconditioner : (r, r) approximate Schur complement
    tolerance : relative residual at which the conjugate gradients stop
    """
    frames = len(gradient_z)
    approximate = cho_factor(preconditioner, lower=True)

    def expression_response(neutral_shape):
        """Landmark information times (neutral change minus the expressions that absorb it), summed over frames."""
        pulled = linear.information_times(np.broadcast_to(neutral_shape, (frames, len(neutral_shape))))
        absorbed = factor.solve(pulled @ space.expression)
        left = pulled.sum(0) - linear.information_times(absorbed @ space.expression.T).sum(0)
        return space.neutral.T @ left

    free = factor.solve(gradient_z)
    right = gradient_y - space.neutral.T @ linear.information_times(free @ space.expression.T).sum(0)
    solution = np.zeros_like(right)
    left_over = right
    direction = conditioned = cho_solve(approximate, left_over)
    product = left_over @ conditioned
    goal = tolerance**2 * product
    for _ in range(iterations):
        if not product > goal:
            break
        image = curvature_y @ direction + expression_response(space.neutral @ direction)
        length = product / (direction @ image)
        solution = solution + length * direction
        left_over = left_over - length * image
        conditioned = cho_solve(approximate, left_over)
        product, previous = left_over @ conditioned, product
        direction = conditioned + product / previous * direction

    neutral_shape = space.neutral @ solution
    pulled = linear.information_times(np.broadcast_to(neutral_shape, (frames, len(neutral_shape))))
    expression = free - factor.solve(pulled @ space.expression)
    camera = linear.camera_change(neutral_shape + expression @ space.expression.T)
    return Step(solution, expression, camera)
