"""Minimising what is costly and noisy: expected improvement under a Gaussian process (Snoek et al., NeurIPS 2012)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from models.emotion.gaussian_process import fitted_process

# Where expected improvement is looked at: anywhere, and about the best settings so far, this far from them in shares
# of the ranges.
ANYWHERE, NEAR_THE_BEST = 1000, 300
NEAR = 0.08
BEST = 3
# Two categories are as far apart as this share of a range: a quadratic kernel tells something of a linear one.
CATEGORY_DISTANCE = 0.5


@dataclass(frozen=True)
class SearchSpace:
    """A category and numbers on logarithmic scales.

    Attributes
    ----------
    categories : (K,) names
    low, high : (D,) bounds of the numbers, above zero
    """

    categories: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Settings (count, 1 + D) anywhere: the category's number, then the numbers' places in [0, 1]."""
        category = rng.integers(len(self.categories), size=(count, 1))
        return np.concatenate([category, rng.uniform(size=(count, len(self.low)))], axis=1)

    def near(self, setting: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
        """Settings (count, 1 + D) of the same category about one (1 + D,)."""
        moved = setting[1:] + NEAR * rng.normal(size=(count, len(self.low)))
        return np.concatenate([np.full((count, 1), setting[0]), np.clip(moved, 0, 1)], axis=1)

    def place(self, category: str, numbers: Sequence[float]) -> np.ndarray:
        """The setting (1 + D,) of a category and numbers (D,), these brought within their bounds."""
        share = np.log(np.asarray(numbers) / self.low) / np.log(self.high / self.low)
        return np.concatenate([[self.categories.index(category)], np.clip(share, 0, 1)])

    def values(self, setting: np.ndarray) -> tuple[str, np.ndarray]:
        """The category and numbers (D,) that a setting (1 + D,) stands for."""
        return self.categories[int(setting[0])], self.low * (self.high / self.low) ** setting[1:]

    def coordinates(self, settings: np.ndarray) -> np.ndarray:
        """Points (F, K + D) whose distances are those of settings (F, 1 + D)."""
        one_hot = np.eye(len(self.categories))[settings[:, 0].astype(int)]
        return np.concatenate([CATEGORY_DISTANCE * one_hot, settings[:, 1:]], axis=1)


def minimise(
    space: SearchSpace,
    error: Callable[[str, np.ndarray, float], float],
    start: np.ndarray,
    *,
    evaluations: int,
    initial: int,
    seed: int,
) -> Iterator[tuple[str, np.ndarray, float]]:
    """Try settings; yield each as (category, numbers (D,), error).

    Parameters
    ----------
    error : of a category, numbers (D,) and the least error so far, infinity at first
    start : (1 + D,) the setting that is tried first
    evaluations : how many are tried
    initial : how many of them, the first included, are drawn at random before the model of the errors guides the choice
    seed : of whatever is drawn
    """
    rng = np.random.default_rng(seed)
    tried, errors = np.zeros((0, len(start))), np.zeros(0)
    for number in range(evaluations):
        if number == 0:
            setting = start
        elif number < initial or np.ptp(errors) == 0:
            setting = space.draw(rng, 1)[0]
        else:
            setting = most_promising(space, tried, errors, rng)
        category, numbers = space.values(setting)
        found = error(category, numbers, errors.min(initial=np.inf))
        tried, errors = np.concatenate([tried, setting[None]]), np.append(errors, found)
        yield category, numbers, found


def most_promising(space: SearchSpace, tried: np.ndarray, errors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The setting (1 + D,) of largest expected improvement on those tried (F, 1 + D), whose errors (F,) differ."""
    # What is hopeless is all the same to the search; left as large as it is, it would hide the differences between the
    # good ones.
    level = np.minimum(errors, np.median(errors) + 2 * (np.median(errors) - errors.min()) + 1e-9)
    process = fitted_process(space.coordinates(tried), level)
    best = tried[np.argsort(errors, kind="stable")[:BEST]]
    near = [space.near(setting, rng, NEAR_THE_BEST) for setting in best]
    candidates = np.concatenate([space.draw(rng, ANYWHERE), *near])
    mean, deviation = process.predict(space.coordinates(candidates))
    # Of noisy errors the least is a matter of luck: improvement is on the least that the model believes in.
    least = process.predict(space.coordinates(tried))[0].min()
    return candidates[expected_improvement(mean, deviation, least).argmax()]


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, least: float) -> np.ndarray:
    """By how much normal variables of means (F,) and standard deviations (F,) are expected to fall below `least`."""
    deviation = np.maximum(deviation, 1e-12)
    distance = (least - mean) / deviation
    density = np.exp(-0.5 * distance**2) / np.sqrt(2 * np.pi)
    return deviation * (distance * ndtr(distance) + density)
