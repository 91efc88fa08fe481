"""How far a fit is from the truth.

Because the bases are orthonormal, squared distances over all vertices of the head are squared distances of
coefficients: nothing here builds a mesh.
"""

import numpy as np
from scipy.special import ndtri

from models.fitting.pose import rotation_angle_degrees
from models.fitting.reconstruction import Reconstruction
from models.fitting.simulation import SimulatedVideo
from models.morphable_model import MorphableModel


def unexplained_expression_variance(estimated: np.ndarray, true: np.ndarray) -> float:
    """Squared error over the squared size of the true expression, over all vertices and frames; (F, n_e) mm both.

    0 is perfect; 1 is what a fit that sees no expression at all (e = 0) gets.
    """
    return float(np.sum((estimated - true) ** 2) / np.sum(true**2))


def unexplained_landmark_variance(estimated: np.ndarray, true: np.ndarray, model: MorphableModel) -> float:
    """The same over the 68 landmarks instead of all vertices."""
    basis = model.landmark_expression_basis.reshape(-1, model.expression_size)
    return float(np.sum(((estimated - true) @ basis.T) ** 2) / np.sum((true @ basis.T) ** 2))


def expression_mse(estimated: np.ndarray, true: np.ndarray, model: MorphableModel) -> float:
    """Mean squared error of the coefficients in standard deviations."""
    return float(np.mean(((estimated - true) / model.expression_std) ** 2))


def vertex_error(estimated: np.ndarray, true: np.ndarray, model: MorphableModel) -> float:
    """Root mean square distance of the vertices that expression coefficients (F, n_e) move, over the inter-ocular
    distance."""
    squared = np.sum((estimated - true) ** 2) / (len(true) * len(model.mean))
    return float(np.sqrt(squared) / model.interocular_distance)


def jitter(estimated: np.ndarray, true: np.ndarray) -> float:
    """Root mean square second difference of the error (F, n_e), mm: what a viewer sees as trembling."""
    return float(np.sqrt(np.mean(np.sum(np.diff(estimated - true, 2, axis=0) ** 2, axis=1))))


def interval_coverage(estimated: np.ndarray, std: np.ndarray, true: np.ndarray, level: float = 0.9) -> float:
    """Share of the true coefficients (F, n_e) inside the central interval of `level` about the estimated ones.

    `level` itself is perfect: less means that a fit is surer of itself than it should be, more the opposite.
    """
    return float(np.mean(np.abs(estimated - true) <= ndtri((1 + level) / 2) * std))


def evaluate(fit: Reconstruction, truth: SimulatedVideo, model: MorphableModel) -> dict[str, float]:
    """All measures of one fit, by name.

    `identity_error` is the share of the identity's squared norm that is wrong; `rotation_error_deg` the mean angle;
    `reprojection_residual` the fit's own median over frames. `interval_coverage_90` is there where the fit has
    standard deviations.
    """
    identity = np.broadcast_to(fit.identity, (*fit.identity.shape[:-1], model.identity_size))
    measured = {
        "unexplained_expression_variance": unexplained_expression_variance(fit.expression, truth.expression),
        "unexplained_landmark_variance": unexplained_landmark_variance(fit.expression, truth.expression, model),
        "expression_mse": expression_mse(fit.expression, truth.expression, model),
        "vertex_error": vertex_error(fit.expression, truth.expression, model),
        "mean_expression_error": float(np.linalg.norm((fit.expression - truth.expression).mean(0))),
        "identity_error": float(np.mean(np.sum((identity - truth.identity) ** 2, -1)) / np.sum(truth.identity**2)),
        "rotation_error_deg": float(rotation_angle_degrees(fit.rotation, truth.camera.rotation).mean()),
        "jitter": jitter(fit.expression, truth.expression),
        "reprojection_residual": float(np.nanmedian(fit.residual)),
    }
    if len(fit.expression_std):
        measured["interval_coverage_90"] = interval_coverage(fit.expression, fit.expression_std, truth.expression)
    return measured
