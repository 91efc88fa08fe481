"""How suspicious a fit looks beside the others: the order in which people look at fits, and the reasons in words.

Pure functions. They are no part of `models.fitting` because nothing computed depends on them: another way to sort the
queue must not make anybody fit 6,000 videos again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Frames a second at which a face model says how fast expressions change.
MODEL_RATE = 30.0
# Least spread of a figure, as a share of its median: among fits that are all alike, a hair's breadth is no suspicion.
LEAST_SPREAD = 0.1
# No single figure counts for more than this many deviations: else one broken fit's size would be all one sees.
MOST_DEVIATIONS = 10.0
# What a fit that did not converge counts for.
NOT_CONVERGED = 3.0


@dataclass(frozen=True)
class FitFigures:
    """What tells a good fit from a bad one. A figure that is not known is NaN.

    Attributes
    ----------
    residual : median over the frames, over the inter-ocular distance
    identity_norm : `|i|` in standard deviations per component
    uncertainty : posterior standard deviation of the expression over the prior's, root mean square
    jitter : second differences of the expression over those that the face model deems natural, root mean square
    converged : whether the fit's steps became small
    """

    residual: float
    identity_norm: float
    uncertainty: float
    jitter: float
    converged: bool


@dataclass(frozen=True)
class Suspicion:
    """How far a fit stands out (0 is not at all; about 2 is worth a look), and why, the gravest first."""

    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Wording:
    title: str
    scale: float
    unit: str

    def __call__(self, value: float, usual: float) -> str:
        return f"{self.title} {self.scale * value:.3g}{self.unit}, usually {self.scale * usual:.3g}{self.unit}"


FIGURES = {
    "residual": _Wording("residual", 100, " %"),
    "identity_norm": _Wording("identity |i|", 1, ""),
    "uncertainty": _Wording("uncertainty", 1, ""),
    "jitter": _Wording("jitter", 1, ""),
}


def suspicions(fits: Sequence[FitFigures], *, notable: float = 2.0, threshold: float = np.inf) -> list[Suspicion]:
    """The suspicion on each fit, given all of them.

    A figure counts by how many robust standard deviations (1.4826 times the median absolute deviation, at least a
    tenth of the median) it lies above the median of all fits. Below the median it does not count. The score is the
    root of the sum of squares over the figures, a fit that did not converge counting for 3 more deviations.

    Parameters
    ----------
    notable : deviations from which on a figure is named as a reason
    threshold : of `identity_norm`, above which a fit is pruned unless a person keeps it; always a reason
    """
    excess = {name: _excess(np.array([getattr(fit, name) for fit in fits], float)) for name in FIGURES}
    usual = {name: _median(np.array([getattr(fit, name) for fit in fits], float)) for name in FIGURES}
    found = []
    for place, fit in enumerate(fits):
        deviations = {name: float(values[place]) for name, values in excess.items()}
        reasons = [
            (deviations[name], wording(getattr(fit, name), usual[name]))
            for name, wording in FIGURES.items()
            if deviations[name] >= notable
        ]
        if not fit.converged:
            deviations["converged"] = NOT_CONVERGED
            reasons.append((NOT_CONVERGED, "the fit did not converge"))
        if fit.identity_norm > threshold:
            text = f"pruned unless kept: |i| {fit.identity_norm:.2f} is above the threshold {threshold:.2f}"
            reasons.append((np.inf, text))
        reasons.sort(key=lambda reason: -reason[0])
        score = float(np.sqrt(sum(value**2 for value in deviations.values())))
        found.append(Suspicion(score, tuple(text for _, text in reasons)))
    return found


def uncertainty_of(expression_std: np.ndarray, prior_std: np.ndarray) -> float:
    """`FitFigures.uncertainty` of posterior deviations (F, n_e) mm, for those of the prior (n_e,); NaN without any."""
    if not expression_std.size:
        return float("nan")
    return float(np.sqrt(np.mean((np.asarray(expression_std, np.float64) / prior_std) ** 2)))


def jitter_of(expression: np.ndarray, timestamps: np.ndarray, acceleration_covariance: np.ndarray) -> float:
    """`FitFigures.jitter` of an expression (F, n_e) mm at `timestamps` (F,) seconds.

    Second differences are scaled to 30 frames a second, at which the model's covariance (n_e, n_e) mm^2 of them holds.
    NaN for fewer than three frames.
    """
    if len(expression) < 3:
        return float("nan")
    interval = np.median(np.diff(timestamps)) * MODEL_RATE
    acceleration = np.diff(np.asarray(expression, np.float64), n=2, axis=0) / interval**2
    return float(np.sqrt(np.mean(acceleration**2 / np.diag(acceleration_covariance))))


def _excess(values: np.ndarray) -> np.ndarray:
    """Robust standard deviations above the median, in [0, MOST_DEVIATIONS]; 0 where a value is not known."""
    centre = _median(values)
    spread = 1.4826 * _median(np.abs(values - centre))
    spread = max(spread, LEAST_SPREAD * abs(centre), np.finfo(float).tiny)
    return np.nan_to_num(np.clip((values - centre) / spread, 0, MOST_DEVIATIONS))


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0
