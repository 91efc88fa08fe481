"""Bayesian optimisation of the support vector machines' hyper-parameters (paper, section III-D).

A setting is judged by cross-validation. Its folds' distances and products are computed once; of a setting that is
hopeless after some of them the others are not asked.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from models.emotion.bayesian_optimisation import SearchSpace, minimise
from models.emotion.decision import POLYNOMIAL_DEGREE
from models.emotion.ecoc import EcocSvm, coding_matrix, decoding_losses, learner_scores
from models.emotion.settings import SearchSettings

log = logging.getLogger(__name__)

# A setting is given up when its error exceeds the least by more than this many standard errors of what was seen of it.
HOPELESS = 2.0


@dataclass(frozen=True)
class SearchResult:
    """The best setting and what was tried on the way.

    Attributes
    ----------
    parameters : keyword arguments of `EcocSvm`
    error : its cross-validated share of wrong answers, NaN where nothing was searched
    trials : each setting with its error, in the order of trial; `folds` says in how many folds it was judged
    """

    parameters: dict
    error: float
    trials: list[dict]


def search(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None,
    settings: SearchSettings,
    *,
    seed: int,
    progress: Callable[[Iterable, str, int | None], Iterable] | None = None,
) -> SearchResult:
    """Find the setting of least cross-validated error by expected improvement under a Gaussian process.

    Nothing but the given samples is looked at: inside a cross-validation, give the training part.

    Parameters
    ----------
    features : (F, D)
    labels : (F,)
    groups : (F,) the person of each sample, never split between the folds, or None
    settings : what to search
    seed : of the folds and the search; the same seed gives the same result
    progress : wraps the trials, given them, their name and their number; may show a bar

    Raises
    ------
    ValueError
        A class has fewer samples than two, so that no setting can be judged.
    """
    fixed = {"coding": settings.coding, "class_weight": settings.class_weight}
    middle = {"kernel": settings.kernels[0], "C": 1.0, "kernel_scale": float(np.sqrt(features.shape[1]))}
    if not settings.evaluations:
        return SearchResult({**fixed, **middle}, float("nan"), [])
    chosen = sampled(labels, settings.most_samples, seed)
    features, labels = features[chosen], labels[chosen]
    groups = None if groups is None else groups[chosen]
    folds = stratified_folds(labels, groups, settings.folds, seed)
    judge = _Judge([_Fold.of(features, labels, *fold, settings) for fold in folds], settings)
    space = SearchSpace(settings.kernels, *np.tile([[settings.smallest], [settings.largest]], 2))
    tried = minimise(
        space,
        judge.error,
        space.place(middle["kernel"], [middle["C"], middle["kernel_scale"]]),
        evaluations=settings.evaluations,
        initial=settings.initial_evaluations,
        seed=seed,
    )
    if progress is not None:
        tried = progress(tried, "settings", settings.evaluations)
    trials = []
    for kernel, (C, kernel_scale), error in tried:
        parameters = {"kernel": kernel, "C": float(C), "kernel_scale": float(kernel_scale)}
        trials.append({**parameters, "error": error, "folds": judge.folds_asked})
        log.debug("trial %d: error %.3f with %s", len(trials), error, parameters)
    best = min(trials, key=lambda trial: trial["error"])
    return SearchResult({**fixed, **{name: best[name] for name in middle}}, best["error"], trials)


def stratified_folds(
    labels: np.ndarray, groups: np.ndarray | None, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Indices (training, testing) of shuffled folds with the classes' shares kept and no person in two of them.

    There are fewer folds than asked for where a class has fewer samples, or the data fewer people.

    Raises
    ------
    ValueError
        A class has but one sample, or all samples are of one person.
    """
    count = min(folds, np.unique(labels, return_counts=True)[1].min())
    if groups is not None:
        count = min(count, len(np.unique(groups)))
    if count < 2:
        raise ValueError("cross-validation needs two samples of every class, and two people where people are known.")
    if groups is None:
        return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(labels, labels))
    return list(StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(labels, labels, groups))


@dataclass(frozen=True)
class _Fold:
    """What all settings share in one fold of S samples that are learned from and U that are asked.

    Attributes
    ----------
    products, unseen_products : (S, S) and (U, S) inner products of standardised features
    squares, unseen_squares : (S,) and (U,) squared lengths
    sides : (S, learners) of the coding
    weight : (S,) of the samples
    coding : (classes, learners)
    truth : (U,) place of each label among the classes learned; -1 where it is none of them
    """

    products: np.ndarray
    unseen_products: np.ndarray
    squares: np.ndarray
    unseen_squares: np.ndarray
    sides: np.ndarray
    weight: np.ndarray
    coding: np.ndarray
    truth: np.ndarray

    @classmethod
    def of(cls, features, labels, seen, unseen, settings: SearchSettings) -> "_Fold":
        scaler = StandardScaler().fit(features[seen])
        known, asked = scaler.transform(features[seen]), scaler.transform(features[unseen])
        classes, places = np.unique(labels[seen], return_inverse=True)
        coding = coding_matrix(len(classes), settings.coding)
        weight = np.ones(len(seen))
        if settings.class_weight is not None:
            weight = compute_sample_weight(settings.class_weight, labels[seen])
        equal = labels[unseen][:, None] == classes
        return cls(
            products=known @ known.T,
            unseen_products=asked @ known.T,
            squares=(known**2).sum(axis=1),
            unseen_squares=(asked**2).sum(axis=1),
            sides=coding[places],
            weight=weight,
            coding=coding,
            truth=np.where(equal.any(axis=1), equal.argmax(axis=1), -1),
        )

    def wrong(self, kernel: str, C: float, kernel_scale: float, tol: float, max_iter: int) -> int:
        """How many unseen samples `EcocSvm` with these parameters gets wrong."""
        values, unseen_values = (
            kernel_values(kernel, products, squares, self.squares, kernel_scale)
            for products, squares in ((self.products, self.squares), (self.unseen_products, self.unseen_squares))
        )
        scores = learner_scores(values, unseen_values, self.sides, self.weight, C=C, tol=tol, max_iter=max_iter)
        return int((decoding_losses(scores, self.coding).argmin(axis=1) != self.truth).sum())


def kernel_values(
    kernel: str, products: np.ndarray, squares: np.ndarray, other_squares: np.ndarray, kernel_scale: float
) -> np.ndarray:
    """Kernel values (A, B), as `EcocSvm` takes them, from inner products (A, B) and squared lengths (A,) and (B,)."""
    if kernel == "linear":
        return products / kernel_scale**2
    if kernel == "poly":
        return (products / kernel_scale**2 + 1) ** POLYNOMIAL_DEGREE
    distances = np.maximum(squares[:, None] + other_squares - 2 * products, 0)
    return np.exp(-distances / kernel_scale**2)


class _Judge:
    """Errors of settings, over as many folds as it takes to tell that one is hopeless."""

    def __init__(self, folds: list[_Fold], settings: SearchSettings):
        self.folds = folds
        self.solver = {"tol": EcocSvm().tol, "max_iter": settings.most_iterations}
        self.folds_asked = 0

    def error(self, kernel: str, numbers: np.ndarray, least: float) -> float:
        """Share of wrong answers in the folds asked; more than `least` where they are not all."""
        wrong = asked = 0
        for number, fold in enumerate(self.folds):
            wrong += fold.wrong(kernel, *numbers, **self.solver)
            asked += len(fold.truth)
            self.folds_asked = number + 1
            share = wrong / asked
            if share - HOPELESS * np.sqrt(share * (1 - share) / asked) > least:
                break
        return share


def sampled(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Indices of all samples, or of `most` with the classes' shares kept."""
    everything = np.arange(len(labels))
    if len(labels) <= most:
        return everything
    return np.sort(train_test_split(everything, train_size=most, stratify=labels, random_state=seed)[0])
