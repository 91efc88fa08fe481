"""Nested cross-validation of the emotion classifier, and the figures of the papers' tables."""

import logging
from dataclasses import dataclass

import numpy as np

from models.emotion.ecoc import EcocSvm
from models.emotion.labels import EMOTIONS
from models.emotion.search import search, stratified_folds
from models.emotion.settings import EvaluationSettings, SearchSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmotionEvaluation:
    """What came out.

    Attributes
    ----------
    labels : (K,) the classes that occur, in the order of `EMOTIONS`
    predictions : (repeats, F) the answer for each sample when it was not trained on
    confusion : (K, K) counts over all repeats, rows the truth, columns the answer
    accuracy : mean over the repeats of the share of right answers
    accuracy_deviation : its standard deviation over the repeats; 0 for a single one
    class_accuracy : (K,) share of right answers within each class
    chance : accuracy of always answering the most frequent class
    parameters : the hyper-parameters chosen, one dict for each repeat and fold
    """

    labels: tuple[str, ...]
    predictions: np.ndarray
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
) -> EmotionEvaluation:
    """Train and test on every fold; hyper-parameters are searched for in the training parts alone.

    Parameters
    ----------
    features : (F, D) expression vectors
    labels : (F,) names out of `EMOTIONS`
    groups : (F,) the person of each sample: no one is in training and test at once. None where people are unknown
    settings : the protocol
    seed : of folds and searches

    Raises
    ------
    ValueError
        Unknown labels, or too few samples or people to split.
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    if unknown := sorted(set(labels) - set(EMOTIONS)):
        raise ValueError(f"{', '.join(unknown)}: not among the emotions {', '.join(EMOTIONS)}.")
    groups = None if groups is None else np.asarray(groups)
    predictions = np.empty((settings.repeats, len(labels)), dtype=labels.dtype)
    parameters = []
    for repeat in range(settings.repeats):
        folds = stratified_folds(labels, groups, settings.folds, seed + repeat)
        for number, (seen, unseen) in enumerate(folds):
            seen_groups = None if groups is None else groups[seen]
            best = search(features[seen], labels[seen], seen_groups, settings.search, seed=seed + repeat)
            classifier = EcocSvm(**best.parameters, calibration_folds=0).fit(features[seen], labels[seen])
            predictions[repeat, unseen] = classifier.predict(features[unseen])
            parameters.append(best.parameters)
            log.info(
                "repeat %d, fold %d of %d: accuracy %.3f",
                repeat + 1,
                number + 1,
                len(folds),
                (predictions[repeat, unseen] == labels[unseen]).mean(),
            )
    return _summary(labels, predictions, parameters)


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


def _summary(labels: np.ndarray, predictions: np.ndarray, parameters: list[dict]) -> EmotionEvaluation:
    present = tuple(emotion for emotion in EMOTIONS if emotion in labels)
    place = {emotion: index for index, emotion in enumerate(present)}
    truth = np.array([place[label] for label in labels])
    answers = np.array([[place[answer] for answer in row] for row in predictions])
    confusion = np.zeros((len(present), len(present)), int)
    np.add.at(confusion, (np.tile(truth, len(answers)), answers.reshape(-1)), 1)
    accuracies = (answers == truth).mean(axis=1)
    return EmotionEvaluation(
        labels=present,
        predictions=predictions,
        confusion=confusion,
        accuracy=float(accuracies.mean()),
        accuracy_deviation=float(accuracies.std(ddof=1)) if len(accuracies) > 1 else 0.0,
        class_accuracy=confusion.diagonal() / confusion.sum(axis=1),
        chance=float(np.bincount(truth).max() / len(truth)),
        parameters=parameters,
    )
