"""Nested cross-validation of the emotion classifier, and the figures of the papers' tables."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from models.emotion.ecoc import EcocSvm
from models.emotion.labels import EMOTIONS
from models.emotion.protocols import LEARNED
from models.emotion.search import sampled, search, stratified_folds
from models.emotion.settings import EvaluationSettings, SearchSettings

log = logging.getLogger(__name__)

Progress = Callable[[Iterable, str, int | None], Iterable]


@dataclass(frozen=True)
class EmotionEvaluation:
    """What came out.

    Attributes
    ----------
    labels : (K,) the classes that occur, in the order of `EMOTIONS`
    predictions : (repeats, F) the answer for each sample when it was not trained on; empty for those never asked
    folds : (repeats, F) the fold in which each sample was asked; `LEARNED` for those never asked
    confusion : (K, K) counts over all repeats, rows the truth, columns the answer
    accuracy : mean over the repeats of the share of right answers
    accuracy_deviation : its standard deviation over the repeats; 0 for a single one
    class_accuracy : (K,) share of right answers within each class, NaN for one that was never asked
    chance : accuracy of always answering the most frequent class
    parameters : the hyper-parameters chosen, one dict for each repeat and fold
    """

    labels: tuple[str, ...]
    predictions: np.ndarray
    folds: np.ndarray
    confusion: np.ndarray
    accuracy: float
    accuracy_deviation: float
    class_accuracy: np.ndarray
    chance: float
    parameters: list[dict]


def cross_validate(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None,
    settings: EvaluationSettings,
    *,
    seed: int,
    folds: np.ndarray | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> EmotionEvaluation:
    """Train and test on every fold; hyper-parameters are searched for in the training parts alone.

    Parameters
    ----------
    features : (F, D) expression vectors
    labels : (F,) names out of `EMOTIONS`
    groups : (F,) the person of each sample: no one is in training and test at once. None where people are unknown, or
        may be in both
    settings : the protocol
    seed : of folds and searches
    folds : (repeats, F) the fold in which each sample is asked, or `LEARNED`; by default drawn as the settings say
    workers : processes that work on folds side by side; the result is the same with any number
    progress : wraps what is gone through, given it, its name and its length; may show a bar

    Raises
    ------
    ValueError
        Unknown labels, or too few samples or people to split.
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    if unknown := sorted(set(labels) - set(EMOTIONS)):
        raise ValueError(f"{', '.join(unknown)}: not among the emotions {', '.join(EMOTIONS)}.")
    groups = None if groups is None else np.asarray(groups)
    if folds is None:
        folds = np.stack([_drawn_folds(labels, groups, settings.folds, seed + r) for r in range(settings.repeats or 1)])
    places = [(repeat, fold) for repeat, row in enumerate(folds) for fold in np.unique(row[row != LEARNED])]
    show = progress or (lambda items, name, total: items)
    tests = (_Test(features, labels, groups, folds[repeat] == fold, settings, seed + repeat) for repeat, fold in places)
    predictions = np.full(folds.shape, "", dtype=labels.dtype)
    parameters = []
    outcomes = show(_outcomes(tests, workers, progress), "folds", len(places))
    for (repeat, fold), (answers, chosen) in zip(places, outcomes, strict=True):
        asked = folds[repeat] == fold
        predictions[repeat, asked] = answers
        parameters.append(chosen)
        accuracy = (answers == labels[asked]).mean()
        log.info("repeat %d, fold %d: accuracy %.3f with %s", repeat + 1, fold + 1, accuracy, chosen)
    return _summary(labels, predictions, folds, parameters)


def train_classifier(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None,
    settings: SearchSettings,
    *,
    seed: int,
    calibration_folds: int = 5,
) -> EcocSvm:
    """The classifier to be used: searched for and fitted on all samples, with calibrated probabilities.

    Parameters are those of `cross_validate`; how good it is, only that function can say.
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    best = search(features, labels, groups, settings, seed=seed)
    return EcocSvm(**best.parameters, calibration_folds=calibration_folds).fit(features, labels, groups=groups)


@dataclass(frozen=True)
class _Test:
    """One fold: the samples that are asked, all others being learned from."""

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    asked: np.ndarray
    settings: EvaluationSettings
    seed: int

    def outcome(self, progress: Progress | None = None) -> tuple[np.ndarray, dict]:
        """Answers for the samples asked, and the hyper-parameters that were found in the others."""
        seen = np.flatnonzero(~self.asked)
        seen = seen[sampled(self.labels[seen], self.settings.most_samples, self.seed)]
        features, labels = self.features[seen], self.labels[seen]
        groups = None if self.groups is None else self.groups[seen]
        best = search(features, labels, groups, self.settings.search, seed=self.seed, progress=progress)
        classifier = EcocSvm(**best.parameters, calibration_folds=0).fit(features, labels)
        return classifier.predict(self.features[self.asked]), best.parameters


def _outcomes(tests: Iterable[_Test], workers: int, progress: Progress | None) -> Iterator[tuple[np.ndarray, dict]]:
    """The outcomes of tests, in their order; alone, a test shows its own progress."""
    if workers == 1:
        yield from (test.outcome(progress) for test in tests)
        return
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=workers, return_as="generator")(delayed(_Test.outcome)(test) for test in tests)


def _drawn_folds(labels: np.ndarray, groups: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """(F,) the fold in which each sample is asked."""
    numbers = np.full(len(labels), LEARNED)
    for number, (_, unseen) in enumerate(stratified_folds(labels, groups, count, seed)):
        numbers[unseen] = number
    return numbers


def _summary(
    labels: np.ndarray, predictions: np.ndarray, folds: np.ndarray, parameters: list[dict]
) -> EmotionEvaluation:
    present = tuple(emotion for emotion in EMOTIONS if emotion in labels)
    asked = folds != LEARNED
    truth = np.broadcast_to(labels, predictions.shape)
    confusion = confusion_counts(truth[asked], predictions[asked], present)
    accuracies = [(row[used] == labels[used]).mean() for row, used in zip(predictions, asked, strict=True)]
    return EmotionEvaluation(
        labels=present,
        predictions=predictions,
        folds=folds,
        confusion=confusion,
        accuracy=float(np.mean(accuracies)),
        accuracy_deviation=float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0,
        class_accuracy=class_accuracies(truth[asked], predictions[asked], present),
        chance=float(np.unique(truth[asked], return_counts=True)[1].max() / asked.sum()),
        parameters=parameters,
    )


def confusion_counts(truth: np.ndarray, answers: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """(K, K) how often each of `labels` (rows) got each as its answer (F,); other answers do not count."""
    return np.array([[np.sum((truth == row) & (answers == column)) for column in labels] for row in labels])


def class_accuracies(truth: np.ndarray, answers: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """(K,) share of right answers within each class, NaN for one that does not occur."""
    return np.array([(answers[truth == label] == label).mean() if label in truth else np.nan for label in labels])
