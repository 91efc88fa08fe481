"""How far the expressions of new videos are from those that a network has learned from.

The population stability index compares shares of values in bins whose edges are the deciles of the training data:
PSI = sum_b (p_b - q_b) ln(p_b / q_b), here averaged over the coefficients. 0 is the same distribution; above 0.25 is
customarily called a significant shift. Few videos never have the shares of many, so the index of as many videos drawn
from the training data tells what is chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.storage import load_arrays, save_arrays

BINS = 10
# Added to every bin, of each distribution, in frames: an empty bin would make the index infinite.
_PSEUDO_COUNT = 0.5


@dataclass(frozen=True)
class ExpressionStatistics:
    """What of a training set's expressions is kept to compare later ones with.

    Attributes
    ----------
    videos : (V,) names
    edges : (n_e, 9) deciles of each coefficient, standard deviations
    counts : (V, n_e, 10) frames of each video in each bin
    """

    videos: np.ndarray
    edges: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, expressions: dict[str, np.ndarray]) -> "ExpressionStatistics":
        """Of videos' expressions: name -> (F, n_e) in standard deviations.

        Raises
        ------
        ModelMismatchError
            There is no frame at all.
        """
        present = {name: values for name, values in expressions.items() if len(values)}
        if not present:
            raise ModelMismatchError("no video has a frame; expression statistics need at least one.")
        quantiles = np.linspace(0, 1, BINS + 1)[1:-1]
        edges = np.quantile(np.concatenate(list(present.values())), quantiles, axis=0).T
        counts = np.stack([bin_counts(values, edges) for values in present.values()])
        return cls(np.array(list(present)), edges, counts)

    def save(self, path: Path | str) -> None:
        """Write one npz."""
        save_arrays(path, videos=self.videos, edges=self.edges, counts=self.counts)

    @classmethod
    def load(cls, path: Path | str) -> "ExpressionStatistics":
        """Read what `save` wrote.

        Raises
        ------
        ModelMismatchError
            The file is missing, or is none of these.
        """
        try:
            return cls(**load_arrays(path))
        except (OSError, ValueError, TypeError) as error:
            raise ModelMismatchError(f"{path}: no statistics of a training set ({error}); export again.") from error


@dataclass(frozen=True)
class ExpressionDrift:
    """How far a batch of videos is from the training data.

    Attributes
    ----------
    index : population stability index, mean over the coefficients
    chance : what 95 of 100 draws of as many training videos stay below
    of_coefficient : (n_e,) the index of each coefficient
    videos : how many videos were compared
    """

    index: float
    chance: float
    of_coefficient: np.ndarray
    videos: int

    def exceeds(self, bound: float) -> bool:
        """Whether it is both more than chance and more than `bound`."""
        return self.index > max(bound, self.chance)


def bin_counts(expression: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Frames (n_e, 10) of `expression` (F, n_e) that lie in each bin between `edges` (n_e, 9)."""
    return np.stack(
        [
            np.bincount(np.searchsorted(own, values, side="right"), minlength=BINS)
            for own, values in zip(edges, np.asarray(expression).T, strict=True)
        ]
    )


def population_stability(counts: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The index of each coefficient (...,): frames in bins (..., B) against those of a reference (..., B)."""
    p, q = (np.asarray(values, float) + _PSEUDO_COUNT for values in (counts, reference))
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    return ((p - q) * np.log(p / q)).sum(-1)


def expression_drift(
    reference: ExpressionStatistics, new: Sequence[np.ndarray], *, draws: int = 200, seed: int = 0
) -> ExpressionDrift:
    """Drift of new videos' expressions, each (F, n_e) in standard deviations, from the training data.

    Parameters
    ----------
    draws : of as many training videos, for the level of chance
    seed : of these draws

    Raises
    ------
    ModelMismatchError
        The new videos have another number of coefficients.
    """
    size = len(reference.edges)
    if wrong := [values.shape for values in new if values.ndim != 2 or values.shape[1] != size]:
        raise ModelMismatchError(f"expressions of shape {wrong[0]}, where the training data have {size} coefficients.")
    if not new:
        return ExpressionDrift(0.0, 0.0, np.zeros(size), 0)
    total = reference.counts.sum(0)
    counts = np.sum([bin_counts(values, reference.edges) for values in new], axis=0)
    of_coefficient = population_stability(counts, total)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(reference.videos), size=(draws, len(new)))
    by_chance = [population_stability(reference.counts[chosen].sum(0), total).mean() for chosen in drawn]
    return ExpressionDrift(
        index=float(of_coefficient.mean()),
        chance=float(np.quantile(by_chance, 0.95)),
        of_coefficient=of_coefficient,
        videos=len(new),
    )


def drift_figure(drift: ExpressionDrift, bound: float):
    """The index of each coefficient, with the bound."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.bar(np.arange(len(drift.of_coefficient)), drift.of_coefficient, color="#3b6ea5")
    axes.axhline(bound, color="#b5482a", linewidth=1, linestyle="--", label="bound of the mean")
    axes.axhline(drift.index, color="0.3", linewidth=1, label="mean")
    axes.set_xlabel("coefficient of e")
    axes.set_ylabel("stability index")
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
