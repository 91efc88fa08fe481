"""How much expression changes with the angle that a face is seen from (section IV-A).

RaFD and KDEF photograph each moment from five angles at once: whatever differs between two photographs of one moment
is not expression. The paper states a mean squared error of 0.008 between semi-profile and frontal images without naming
the unit, so that the share of the variance of e stands beside every figure here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.emotion.datasets.contents import Photograph

SEMI_PROFILE = 45.0
# Sets that photograph a moment from several angles at once, and what they are called.
SETS = {"rafd": "RaFD", "kdef": "KDEF"}
# The one whose semi-profiles the paper states a figure of.
PUBLISHED_SET = "rafd"


def view_benchmark(dataset: str) -> str:
    """What the comparison of a set's angles is called among the benchmarks."""
    return f"{dataset}_views"


@dataclass(frozen=True)
class ViewDifference:
    """Photographs from one angle against the frontal ones of the same moments.

    Attributes
    ----------
    view : degrees of yaw, as in `Photograph`
    pairs, people : how many were compared; `people` is 0 where the set does not tell
    mse : mean squared difference of e, squared standard deviations
    share : `mse` over the variance of e between the frontal photographs. 0 is perfect, 2 is what two photographs have
        that know nothing of each other; NaN where the frontal photographs do not differ
    coefficients : (n_e,) mean squared difference of each coefficient
    coefficient_shares : (n_e,) the same over the coefficient's own variance, NaN where it has none
    """

    view: float
    pairs: int
    people: int
    mse: float
    share: float
    coefficients: np.ndarray
    coefficient_shares: np.ndarray


@dataclass(frozen=True)
class ViewInvariance:
    """What came out for one set.

    Attributes
    ----------
    views : by angle, from the subject's right to the left
    semi_profile : both angles of 45 degrees together, as the paper's figure; None where there is no such pair
    photographs : given
    without_face : of them, those in which no face was found
    unpaired : of them, turned ones that have no frontal photograph of their moment, or whose moment is not known
    """

    views: tuple[ViewDifference, ...]
    semi_profile: ViewDifference | None
    photographs: int
    without_face: int
    unpaired: int

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists; what cannot be computed is None."""
        return {
            "semi_profile": None if self.semi_profile is None else _as_json(self.semi_profile),
            "views": [_as_json(view) for view in self.views],
            "photographs": self.photographs,
            "without_face": self.without_face,
            "unpaired": self.unpaired,
        }


def compare_views(photographs: Sequence[Photograph], vectors: np.ndarray) -> ViewInvariance:
    """Compare every turned photograph with the frontal one of its moment.

    Parameters
    ----------
    photographs : P of them
    vectors : (P, n_e) their expressions in standard deviations, NaN where no face was found

    Raises
    ------
    ValueError
        There are not as many vectors as photographs.
    """
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or len(vectors) != len(photographs):
        raise ValueError(f"{len(photographs)} photographs need as many vectors, got an array of {vectors.shape}.")
    found = np.isfinite(vectors).all(axis=1)
    frontal = {
        photograph.moment: place
        for place, photograph in reversed(list(enumerate(photographs)))
        if photograph.view == 0 and photograph.moment is not None and found[place]
    }
    turned = [place for place, photograph in enumerate(photographs) if photograph.view != 0 and found[place]]
    paired = [place for place in turned if photographs[place].moment in frontal]
    partners = [frontal[photographs[place].moment] for place in paired]
    # Over the frontal photographs alone: views that are harder to read must not widen what they are measured by.
    variance = vectors[sorted(frontal.values())].var(axis=0) if frontal else np.zeros(vectors.shape[1])

    def difference(view: float, chosen: np.ndarray) -> ViewDifference:
        places, others = np.array(paired)[chosen], np.array(partners)[chosen]
        coefficients = ((vectors[places] - vectors[others]) ** 2).mean(axis=0)
        people = {photographs[place].subject for place in places} - {None}
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.where(variance > 0, coefficients / variance, np.nan)
        return ViewDifference(
            view=view,
            pairs=len(places),
            people=len(people),
            mse=float(coefficients.mean()),
            share=float(coefficients.mean() / variance.mean()) if variance.any() else float("nan"),
            coefficients=coefficients,
            coefficient_shares=shares,
        )

    angles = np.array([photographs[place].view for place in paired])
    semi_profile = np.abs(angles) == SEMI_PROFILE
    return ViewInvariance(
        views=tuple(difference(float(view), angles == view) for view in np.unique(angles)),
        semi_profile=difference(SEMI_PROFILE, semi_profile) if semi_profile.any() else None,
        photographs=len(photographs),
        without_face=int((~found).sum()),
        unpaired=len(turned) - len(paired),
    )


def view_figure(results: dict[str, ViewInvariance]):
    """Mean squared difference by angle, a bar for each set, as a matplotlib figure.

    Parameters
    ----------
    results : name of the set -> what came out
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    angles = sorted({view.view for result in results.values() for view in result.views})
    width = 0.8 / max(len(results), 1)
    for number, (name, result) in enumerate(results.items()):
        shift = (number - (len(results) - 1) / 2) * width
        positions = [angles.index(view.view) + shift for view in result.views]
        heights = [view.mse for view in result.views]
        bars = axes.bar(positions, heights, 0.92 * width, color=_COLOURS[number % len(_COLOURS)], label=name)
        shares = [_share_in_words(view.share) for view in result.views]
        axes.bar_label(bars, shares, padding=2, fontsize=8, color="#445")
    axes.set_xticks(range(len(angles)), [f"{angle:+.0f}°" for angle in angles])
    axes.set_xlabel("angle (positive: turned to the subject's left)")
    axes.set_ylabel("MSE of e against frontal, std²")
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, title="label: share of e's variance", title_fontsize=8, fontsize=9, loc="best")
    return figure


_COLOURS = ("#2f5f96", "#c9883a", "#5a9367", "#8a5a9e")


def _share_in_words(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else ""


def _as_json(difference: ViewDifference) -> dict[str, Any]:
    return {
        "view": difference.view,
        "pairs": difference.pairs,
        "people": difference.people,
        "mse": difference.mse,
        "share": _number(difference.share),
        "coefficients": difference.coefficients.tolist(),
        "coefficient_shares": [_number(share) for share in difference.coefficient_shares],
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
