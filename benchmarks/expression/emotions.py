"""The zero-shot emotion classifier: on emotions that other rendered people pose, and on real photographs."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.expression.faces import TestSets
from benchmarks.expression.measures import answers
from models.emotion.labels import EMOTIONS
from models.emotion.zero_shot import calibration_error
from models.expression.runtime import NetworkSession

REPEATS = 200


def measure_zero_shot(session: NetworkSession, classifier, sets: TestSets, london: Path | None) -> dict[str, float]:
    """Figures of a classifier on a network's expressions; `classifier` has `classes_` and `predict_proba`."""
    posed = sets.posed_emotions()
    found = posed.faces.found
    features = answers(session, posed)[""][found]
    figures = {
        f"zero_shot_rendered_{name}": value
        for name, value in _quality(classifier, features, posed.condition[found]).items()
    }
    if london:
        photographs = sets.london(london)
        found = photographs.faces.found
        figures |= _on_photographs(classifier, answers(session, photographs)[""][found], photographs.condition[found])
    for rows in (1, 8):
        figures[f"zero_shot_microseconds_{rows}"] = _microseconds(
            lambda x: classifier.predict_proba(x), features[:rows]
        )
    return figures


def _quality(classifier, features: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    probabilities = classifier.predict_proba(features)
    right = classifier.classes_[probabilities.argmax(axis=1)] == labels
    of_truth = probabilities[np.arange(len(labels)), np.searchsorted(classifier.classes_, labels)]
    return {
        "accuracy": float(right.mean()),
        "log_loss": float(-np.log(np.maximum(of_truth, 1e-12)).mean()),
        "calibration_error": calibration_error(probabilities.max(axis=1), right),
    }


def _on_photographs(classifier, features: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and shares of answers on photographs of neutral and happy faces."""
    figures = {f"zero_shot_london_{name}": value for name, value in _quality(classifier, features, labels).items()}
    probabilities = classifier.predict_proba(features)
    of = {name: probabilities[:, list(classifier.classes_).index(name)] for name in ("neutral", "happy")}
    happier = of["happy"] > of["neutral"]
    figures["zero_shot_london_binary_accuracy"] = float(np.mean(happier == (labels == "happy")))
    answered = classifier.classes_[probabilities.argmax(axis=1)]
    for shown in ("neutral", "happy"):
        for emotion in EMOTIONS:
            figures[f"zero_shot_london_{shown}_as_{emotion}"] = float(np.mean(answered[labels == shown] == emotion))
    return figures


def _microseconds(work: Callable[[np.ndarray], object], rows: np.ndarray) -> float:
    """Least time of many calls, microseconds a row: what else a machine does only ever adds."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work(rows)
        times.append(time.perf_counter() - started)
    return 1e6 * min(times) / len(rows)
