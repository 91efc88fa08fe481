"""Banded Cholesky factorisation of a chain of frames, compiled and free of the interpreter's lock.

A matrix of dense (n, n) blocks, one a frame, with diagonal coupling of frames one and two apart, has a bandwidth of 2n.
It is kept in LAPACK's lower band storage, transposed: row j of `band` (F n, width) holds column j of the matrix from
its diagonal downwards. SciPy's own banded routines hold the interpreter's lock, which would leave one processor idle.
"""

import numpy as np
from numba import njit

from models.errors import FittingError


class TemporalCholesky:
    """Cholesky factor of a chain's matrix.

    Parameters
    ----------
    band : (F, n, width) as `band_of` or `accumulate_band` fill it; overwritten by the factor

    Raises
    ------
    FittingError
        The matrix is not positive definite: the landmarks hold values that no fit can balance.
    """

    def __init__(self, band: np.ndarray):
        self.shape = band.shape[:2]
        self.factor = band.reshape(-1, band.shape[2])
        if _factorise(self.factor, self.shape[1]):
            raise FittingError(
                "the normal equations are not positive definite; look for absurd landmark positions or weights."
            )

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solve for right-hand sides (F, n) or (F, n, k)."""
        columns = right.reshape(len(self.factor), -1).astype(np.float64)
        if columns.shape[1] == 1:
            _solve_one(self.factor, columns[:, 0])
        else:
            _solve_many(self.factor, columns)
        return columns.reshape(right.shape)

    def marginal_covariances(self) -> np.ndarray:
        """Diagonal blocks (F, n, n) of the matrix's inverse, by Takahashi's recursion within the band."""
        frames, size = self.shape
        inverse = np.empty_like(self.factor)
        _invert_band(self.factor, inverse)
        blocks = np.empty((frames, size, size))
        columns = inverse.reshape(frames, size, -1)
        for column in range(size):
            blocks[:, column, column:] = columns[:, column, : size - column]
            blocks[:, column:, column] = blocks[:, column, column:]
        return blocks


def band_of(blocks: np.ndarray, bands: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Band storage (F, n, width) of blocks (F, n, n) plus a prior's diagonals 0, 1 and 2 (F, n) each.

    Row f of diagonals 1 and 2 couples frame f to the first and second frame after it.
    """
    size = blocks.shape[1]
    band = empty_band(bands)
    for column in range(size):
        band[:, column, : size - column] += blocks[:, column, column:]
    return band


def empty_band(bands: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Band storage of the prior's diagonals alone."""
    centre, beside, beyond = bands
    frames, size = centre.shape
    coupled = frames > 1 and bool(beside[:-1].any())
    band = np.zeros((frames, size, 2 * size + 1 if coupled else size))
    band[:, :, 0] = centre
    if coupled:
        band[:-1, :, size] = beside[:-1]
        band[:-2, :, 2 * size] = beyond[:-2]
    return band


@njit(cache=True, nogil=True, fastmath=True)
def accumulate_band(band, packed, rows):
    """Add blocks to band storage: `packed` (F, n (n + 1) / 2) lower triangles minus `rows^T rows` of (F, 6, n)."""
    frames, size = band.shape[:2]
    for f in range(frames):
        for column in range(size):
            for row in range(column, size):
                band[f, column, row - column] += packed[f, row * (row + 1) // 2 + column]
        for p in range(rows.shape[1]):
            for column in range(size):
                share = rows[f, p, column]
                for row in range(column, size):
                    band[f, column, row - column] -= share * rows[f, p, row]


@njit(cache=True, nogil=True, fastmath=True)
def _factorise(band, size):
    """Factorise in place, one frame's columns after the other; the first column without a positive pivot, plus one.

    What a frame's columns do to the two frames after it is one product of matrices.
    """
    columns, width = band.shape
    reach = width - 1 if width > size else 0
    panel = np.zeros((size, reach))
    for start in range(0, columns, size):
        for j in range(start, start + size):
            pivot = band[j, 0]
            if not pivot > 0:
                return j + 1
            inverse = 1 / np.sqrt(pivot)
            for k in range(width):
                band[j, k] *= inverse
            for later in range(j + 1, start + size):
                share = band[j, later - j]
                target = band[later]
                for i in range(width - (later - j)):
                    target[i] -= share * band[j, later - j + i]
            beyond = start + size - j
            for row in range(reach):
                panel[j - start, row] = band[j, beyond + row] if beyond + row < width else 0.0
        product = np.dot(panel.T, panel)
        for row in range(min(reach, columns - start - size)):
            target = band[start + size + row]
            for i in range(reach - row):
                target[i] -= product[row, row + i]
    return 0


@njit(cache=True, nogil=True, fastmath=True)
def _solve_one(band, x):
    columns, width = band.shape
    for j in range(columns):
        x[j] /= band[j, 0]
        share = x[j]
        for k in range(1, min(width, columns - j)):
            x[j + k] -= share * band[j, k]
    for j in range(columns - 1, -1, -1):
        value = x[j]
        for k in range(1, min(width, columns - j)):
            value -= band[j, k] * x[j + k]
        x[j] = value / band[j, 0]


@njit(cache=True, nogil=True, fastmath=True)
def _solve_many(band, x):
    columns, width = band.shape
    count = x.shape[1]
    for j in range(columns):
        inverse = 1 / band[j, 0]
        for c in range(count):
            x[j, c] *= inverse
        for k in range(1, min(width, columns - j)):
            share = band[j, k]
            if share != 0:
                for c in range(count):
                    x[j + k, c] -= share * x[j, c]
    for j in range(columns - 1, -1, -1):
        for k in range(1, min(width, columns - j)):
            share = band[j, k]
            if share != 0:
                for c in range(count):
                    x[j, c] -= share * x[j + k, c]
        inverse = 1 / band[j, 0]
        for c in range(count):
            x[j, c] *= inverse


@njit(cache=True, nogil=True, fastmath=True)
def _invert_band(factor, inverse):
    """The entries within the band of the inverse of `L L^T`, from the last column to the first."""
    columns, width = factor.shape
    below = np.empty(width)
    found = np.empty(width)
    for j in range(columns - 1, -1, -1):
        count = min(width, columns - j)
        scale = 1 / factor[j, 0]
        for a in range(1, count):
            below[a] = factor[j, a] * scale
            found[a] = 0
        for a in range(1, count):
            column = inverse[j + a]
            share, value = below[a], column[0] * below[a]
            for k in range(1, count - a):
                found[a + k] -= column[k] * share
                value += column[k] * below[a + k]
            found[a] -= value
        diagonal = scale * scale
        for a in range(1, count):
            diagonal -= below[a] * found[a]
            inverse[j, a] = found[a]
        for a in range(count, width):
            inverse[j, a] = 0
        inverse[j, 0] = diagonal
