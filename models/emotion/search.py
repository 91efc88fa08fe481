"""Bayesian optimisation of the support vector machines' hyper-parameters (paper, section III-D)."""

import logging
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from models.emotion.ecoc import EcocSvm
from models.emotion.settings import SearchSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchResult:
    """The best setting and what was tried on the way.

    Attributes
    ----------
    parameters : keyword arguments of `EcocSvm`
    error : its cross-validated share of wrong answers, NaN where nothing was searched
    trials : each setting with its error, in the order of trial
    """

    parameters: dict
    error: float
    trials: list[dict]


def search(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, settings: SearchSettings, *, seed: int
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

    Raises
    ------
    ValueError
        A class has fewer samples than two, so that no setting can be judged.
    """
    import optuna

    fixed = {"coding": settings.coding, "class_weight": settings.class_weight}
    if not settings.evaluations:
        middle = {"kernel": settings.kernels[0], "C": 1.0, "kernel_scale": float(np.sqrt(features.shape[1]))}
        return SearchResult({**fixed, **middle}, float("nan"), [])
    folds = stratified_folds(labels, groups, settings.folds, seed)

    def error(trial: optuna.Trial) -> float:
        parameters = {
            "kernel": trial.suggest_categorical("kernel", settings.kernels),
            "C": trial.suggest_float("C", settings.smallest, settings.largest, log=True),
            "kernel_scale": trial.suggest_float("kernel_scale", settings.smallest, settings.largest, log=True),
        }
        # Probabilities play no part in the choice: do without their cross-fitting.
        classifier = EcocSvm(**fixed, **parameters, calibration_folds=0)
        wrong = 0
        for seen, unseen in folds:
            classifier.fit(features[seen], labels[seen])
            wrong += (classifier.predict(features[unseen]) != labels[unseen]).sum()
        return wrong / len(labels)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=settings.initial_evaluations)
    study = optuna.create_study(sampler=sampler)
    study.optimize(error, n_trials=settings.evaluations, callbacks=[_report_progress])
    trials = [{**trial.params, "error": trial.value} for trial in study.trials]
    return SearchResult({**fixed, **study.best_params}, study.best_value, trials)


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


def _report_progress(study, trial) -> None:
    log.info("trial %d: error %.3f (best %.3f) with %s", trial.number + 1, trial.value, study.best_value, trial.params)
