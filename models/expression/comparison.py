"""Which of two networks is better on the same pictures, how sure that is, and for whom it is not so.

Pictures of one person are alike, so that the bootstrap draws people, not pictures: an interval from draws of single
pictures would be too narrow. Both networks are judged on the same draw, which removes what the draw itself does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.errors import ModelMismatchError

YAW_EDGES = (15.0, 30.0, 45.0)


@dataclass(frozen=True)
class PairedDifference:
    """Errors of a challenger and a champion on the same pictures.

    Attributes
    ----------
    challenger, champion : mean squared errors of e, squared standard deviations
    low, high : interval of the relative change, challenger over champion minus 1; below 0 is better
    pictures, people : how many it rests on
    """

    challenger: float
    champion: float
    low: float
    high: float
    pictures: int
    people: int

    @property
    def change(self) -> float:
        """Relative change of the error; -0.1 says that the challenger's is a tenth smaller."""
        return self.challenger / self.champion - 1 if self.champion > 0 else 0.0

    def worse_than(self, tolerance: float) -> bool:
        """Whether the whole interval lies above `tolerance`: more than chance, and more than is tolerated."""
        return self.low > tolerance

    @property
    def verdict(self) -> str:
        """better, worse, or undecided: where zero lies with respect to the interval."""
        if self.high < 0:
            return "better"
        return "worse" if self.low > 0 else "undecided"


@dataclass(frozen=True)
class Comparison:
    """A challenger beside a champion: over all pictures, and by subgroup ("view: 30 to 45 degrees")."""

    overall: PairedDifference
    subgroups: dict[str, PairedDifference]

    def regressions(self, tolerance: float) -> list[str]:
        """Subgroups in which the challenger is worse by more than `tolerance`, the worst first."""
        worse = [name for name, found in self.subgroups.items() if found.worse_than(tolerance)]
        return sorted(worse, key=lambda name: -self.subgroups[name].change)


def compare(
    challenger: np.ndarray,
    champion: np.ndarray,
    people: np.ndarray,
    groups: Mapping[str, np.ndarray],
    *,
    resamples: int,
    confidence: float,
    seed: int,
    fewest_people: int = 3,
) -> Comparison:
    """Compare two networks by their errors on the same pictures.

    Parameters
    ----------
    challenger, champion : (F,) mean squared error of e of each picture, squared standard deviations
    people : (F,) who is pictured
    groups : attribute -> (F,) its value for each picture; "" belongs to no group
    resamples : draws of the bootstrap
    confidence : of the intervals, such as 0.95; those of the subgroups of one attribute share what is left over
        (Bonferroni), so that many subgroups do not raise false alarms
    seed : of the draws
    fewest_people : subgroups of fewer are left out: no interval means anything there

    Raises
    ------
    ModelMismatchError
        The arrays do not speak of the same pictures, or there is none.
    """
    challenger, champion, people = np.asarray(challenger, float), np.asarray(champion, float), np.asarray(people)
    if not challenger.shape == champion.shape == people.shape or challenger.ndim != 1 or not len(people):
        raise ModelMismatchError(
            f"errors of {challenger.shape} and {champion.shape} pictures of {people.shape} people cannot be compared; "
            "give one error of each network for every picture."
        )
    settings = {"resamples": resamples, "seed": seed}
    overall = paired_difference(challenger, champion, people, confidence=confidence, **settings)
    subgroups = {}
    for attribute, values in groups.items():
        names = [name for name in dict.fromkeys(np.asarray(values).tolist()) if name]
        shared = 1 - (1 - confidence) / max(len(names), 1)
        for name in sorted(names):
            chosen = np.asarray(values) == name
            if len(np.unique(people[chosen])) >= fewest_people:
                subgroups[f"{attribute}: {name}"] = paired_difference(
                    challenger[chosen], champion[chosen], people[chosen], confidence=shared, **settings
                )
    return Comparison(overall, subgroups)


def paired_difference(
    challenger: np.ndarray, champion: np.ndarray, people: np.ndarray, *, resamples: int, confidence: float, seed: int
) -> PairedDifference:
    """The relative change of the error and its percentile interval, by a bootstrap over people.

    Parameters as for `compare`.
    """
    names, index = np.unique(people, return_inverse=True)
    sums = np.stack([np.bincount(index, weights=values) for values in (challenger, champion)])
    counts = np.bincount(index)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    drawn = draws @ sums.T / (draws @ counts)[:, None]
    # Two networks without error are equally good, whatever the quotient would be.
    change = np.divide(drawn[:, 0], drawn[:, 1], out=np.ones(resamples), where=drawn[:, 1] > 0) - 1
    tail = (1 - confidence) / 2
    low, high = np.quantile(change, [tail, 1 - tail])
    return PairedDifference(
        challenger=float(challenger.mean()),
        champion=float(champion.mean()),
        low=float(low),
        high=float(high),
        pictures=len(people),
        people=len(names),
    )


def view_groups(yaw: np.ndarray, edges: tuple[float, ...] = YAW_EDGES) -> np.ndarray:
    """Names (F,) of the bins of the head's turn, by its size in degrees; `yaw` (F,)."""
    bounds = [0.0, *edges]
    names = [f"{low:g} to {high:g} degrees" for low, high in pairwise(bounds)]
    names.append(f"over {bounds[-1]:g} degrees")
    return np.array(names)[np.digitize(np.abs(yaw), edges)]


def thirds(values: np.ndarray, names: tuple[str, str, str]) -> np.ndarray:
    """Names (F,) of the third of all that each of `values` (F,) belongs to, from the least to the greatest."""
    return np.array(names)[np.digitize(values, np.quantile(values, [1 / 3, 2 / 3]))]


def comparison_figure(comparison: Comparison, tolerance: float):
    """The relative change of the error with its interval: over all, and for each subgroup."""
    from matplotlib.figure import Figure

    rows = {"all": comparison.overall, **comparison.subgroups}
    figure = Figure(figsize=(7.5, 0.9 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="0.4", linewidth=1)
    axes.axvline(100 * tolerance, color="#b5482a", linewidth=1, linestyle="--", label="tolerated")
    for place, found in enumerate(rows.values()):
        colour = "#b5482a" if found.worse_than(tolerance) else "#2f7d4f" if found.verdict == "better" else "#55606b"
        axes.plot([100 * found.low, 100 * found.high], [place, place], color=colour, linewidth=2.5)
        axes.plot(100 * found.change, place, "o", color=colour, markersize=6)
    axes.set_yticks(range(len(rows)), [f"{name} ({found.people} people)" for name, found in rows.items()])
    axes.invert_yaxis()
    axes.set_xlabel("change of the mean squared error, % (left is better)")
    axes.legend(frameon=False, loc="lower right", fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
