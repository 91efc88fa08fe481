"""An expression space with its statistics, from what publishers give: Gaussian components, or named blend shapes.

Where a model comes without training samples, how its coefficients move is not known. Defaults: Gaussian components
are independent with the publisher's deviations, about his mean expression; the covariance of second differences at 30
frames a second is that of expressions times `ACCELERATION_SHARE`, the ratio of the two traces in the embedded model.
Blend shapes with ARKit's names are driven by the same natural sequences as the embedded model; others get independent
activations, used equally often.
"""

from dataclasses import dataclass, field

import numpy as np

from models.morphable_model.expressions import EXPRESSION_UNITS, sample_activations

# Trace of the embedded model's `expression_acceleration_covariance` over that of its `expression_covariance`.
ACCELERATION_SHARE = 0.0096
# How often a blend shape is used, and the mean square of its activation when it is (uniform in [0, 1]).
_USAGE, _MEAN_STRENGTH, _MEAN_SQUARE_STRENGTH = 0.2, 1 / 2, 1 / 3
_PAIR_CORRELATION = 0.6
_SEQUENCES, _FRAMES = 200, 300


@dataclass(frozen=True)
class ExpressionSpace:
    """The expression part of a `MorphableModel`.

    Attributes
    ----------
    basis, std, mean, covariance, acceleration_covariance : as in `MorphableModel`
    published : (L, n_e) the publisher's modes as coefficients, mm
    kept : share of the modes' variance that lies in the basis
    units : the extras `unit_names` and `units` of a model with face units
    """

    basis: np.ndarray
    std: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    acceleration_covariance: np.ndarray
    published: np.ndarray
    kept: float
    units: dict[str, np.ndarray] = field(default_factory=dict)


def orthonormal_modes(modes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Orthonormal basis (3N, n), deviations (n,) in order, and the share of variance kept, of modes (3N, K).

    n is `size`, or the rank of the modes where that is less. The sign of a column makes its largest entry positive.
    """
    frame, mixing = np.linalg.qr(modes)
    vectors, std, _ = np.linalg.svd(mixing)
    count = min(size, int((std > 1e-6 * std[0]).sum()))
    basis = frame @ vectors[:, :count]
    largest = np.abs(basis).argmax(0)
    basis = basis * np.sign(basis[largest, np.arange(count)])
    return basis, std[:count], float((std[:count] ** 2).sum() / (std**2).sum())


def gaussian_space(modes: np.ndarray, mean: np.ndarray, size: int) -> ExpressionSpace:
    """Expressions `mean + modes b` with b white: the span of largest second moment about rest.

    Parameters
    ----------
    modes : (3N, L) mm at one standard deviation
    mean : (3N,) mm from rest
    """
    about_rest = np.column_stack([modes, mean]) if mean.any() else modes
    basis, std, kept = orthonormal_modes(about_rest, size)
    published = modes.T @ basis
    covariance = published.T @ published
    return ExpressionSpace(basis, std, mean @ basis, covariance, ACCELERATION_SHARE * covariance, published, kept)


def blend_shape_space(shapes: np.ndarray, names: tuple[str, ...], size: int) -> ExpressionSpace:
    """Expressions `a @ shapes` with activations a in [0, 1].

    The span is chosen on shapes scaled to equal norm, so that brows and nose, small in millimetres, are kept, and its
    columns are in order of energy, as in the embedded model.

    Parameters
    ----------
    shapes : (L, 3N) mm at full activation
    names : ARKit's (eyeBlinkLeft); halves of one-piece names (browInnerUpLeft) count half each towards the whole
    """
    norms = np.linalg.norm(shapes, axis=1)
    shapes, names = shapes[norms > 0], [name for name, norm in zip(names, norms, strict=True) if norm > 0]
    pairs = _pair_correlation(names)
    root = np.linalg.cholesky(pairs)
    chosen, _, kept = orthonormal_modes((shapes / norms[norms > 0, None]).T @ root, size)
    coefficients = shapes @ chosen
    spread = _MEAN_SQUARE_STRENGTH * _USAGE
    activations = _natural_activations(names)
    moment = pairs if activations is None else np.tensordot(activations, activations, ((0, 1), (0, 1)))
    rotation = np.linalg.eigh(coefficients.T @ moment @ coefficients)[1][:, ::-1]
    basis = chosen @ rotation
    basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(basis.shape[1])])
    coefficients = shapes @ basis
    std = np.sqrt(np.einsum("kj,kl,lj->j", coefficients, spread * pairs, coefficients))
    if activations is None:
        mean = _USAGE * _MEAN_STRENGTH * coefficients.sum(0)
        covariance = coefficients.T @ (spread * pairs) @ coefficients - np.outer(mean, mean)
        acceleration = ACCELERATION_SHARE * covariance
    else:
        movement = activations @ coefficients
        flat = movement.reshape(-1, movement.shape[-1])
        mean, covariance = flat.mean(0), np.cov(flat.T)
        acceleration = np.cov(np.diff(movement, 2, axis=1).reshape(-1, movement.shape[-1]).T)
    return ExpressionSpace(
        basis,
        std,
        mean,
        np.atleast_2d(covariance),
        np.atleast_2d(acceleration),
        coefficients,
        kept,
        _units(coefficients, names),
    )


def _natural_activations(names: list[str]) -> np.ndarray | None:
    """Activations (sequences, F, L) of natural expressions, or None where the names are not those they speak of."""
    spread = _spread_units(names)
    if spread is None:
        return None
    rng = np.random.default_rng(0)
    return np.stack([sample_activations(_FRAMES, rng) for _ in range(_SEQUENCES)]) @ spread


def _spread_units(names: list[str]) -> np.ndarray | None:
    """(43, L): which shapes make up each unit; None where one has none."""
    spread = np.array([[name in (unit, f"{unit}Left", f"{unit}Right") for name in names] for unit in EXPRESSION_UNITS])
    return spread.astype(float) if spread.any(1).all() else None


def _units(coefficients: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    spread = _spread_units(names)
    if spread is None:
        return {"unit_names": np.array(names), "units": coefficients.astype(np.float32)}
    return {"unit_names": np.array(EXPRESSION_UNITS), "units": (spread @ coefficients).astype(np.float32)}


def _pair_correlation(names: list[str]) -> np.ndarray:
    """Correlation (L, L) of shapes that are used independently, but for the two halves of a pair."""
    correlation = np.eye(len(names))
    for column, name in enumerate(names):
        if name.endswith("Left") and (other := f"{name[:-4]}Right") in names:
            row = names.index(other)
            correlation[row, column] = correlation[column, row] = _PAIR_CORRELATION
    return correlation
