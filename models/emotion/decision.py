"""What a trained emotion classifier computes, as plain arrays: quick to load and to ask, and without scikit-learn.

Importing scikit-learn and skops takes seconds, which a command that reads one photograph does not have. A skops file is
a zip of arrays and a JSON description of the object that they belong to, so the few arrays that a decision takes are
read as they are; no object is ever made of what the file says.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ModelMismatchError, WeightsMissingError

POLYNOMIAL_DEGREE = 3


@dataclass(frozen=True)
class LinearDecision:
    """Multinomial logistic regression, as `LinearEmotionClassifier` says.

    Attributes
    ----------
    classes_ : (K,) names
    weights : (K, D)
    intercept : (K,)
    """

    classes_: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self.weights.shape[1]

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Probabilities (F, K) of features (F, D): those of the classifier that this was made from."""
        return _softmax(np.asarray(features, np.float64) @ self.weights.T + self.intercept)


@dataclass(frozen=True)
class KernelDecision:
    """Kernel machines over shared support vectors, decoded and calibrated as `EcocSvm` says.

    Attributes
    ----------
    classes_ : (classes,) names
    mean, scale : (D,) of the standardisation
    support : (S, D) support vectors of all learners, each once, standardised
    weights : (S, L) the learners' dual coefficients, 0 where a vector is none of theirs
    intercept : (L,)
    kernel : "rbf", "linear" or "poly"
    gamma : of the kernel
    coding : (classes, L) in {-1, 0, 1}
    temperature : of the softmax
    """

    classes_: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    support: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray
    kernel: str
    gamma: float
    coding: np.ndarray
    temperature: float

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return len(self.mean)

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """Probabilities (F, classes) of features (F, D): those of the classifier that this was made from."""
        standard = (np.asarray(features, np.float64) - self.mean) / self.scale
        scores = self._kernel(standard) @ self.weights + self.intercept
        hinge = np.maximum(0, 1 - self.coding[None] * scores[:, None, :]) / 2
        used = np.abs(self.coding)
        return _softmax(-(hinge * used).sum(axis=2) / used.sum(axis=1) / self.temperature)

    def _kernel(self, standard: np.ndarray) -> np.ndarray:
        """Kernel values (F, S)."""
        products = standard @ self.support.T
        if self.kernel == "linear":
            return products
        if self.kernel == "poly":
            return (self.gamma * products + 1) ** POLYNOMIAL_DEGREE
        squares = (standard**2).sum(axis=1)[:, None] + (self.support**2).sum(axis=1)
        return np.exp(-self.gamma * np.maximum(squares - 2 * products, 0))


def load_decision(path: Path | str, features: int | None = None) -> KernelDecision | LinearDecision:
    """Read a classifier that `save_classifier` wrote; `features`, where given, is how many it must take.

    Raises
    ------
    WeightsMissingError
        The file is missing or no skops file.
    ModelMismatchError
        The file holds something else than a fitted emotion classifier, or one of other features.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root = json.loads(archive.read("schema.json"))
            found = f"{root.get('__module__')}.{root.get('__class__')}"
            if found not in _READERS:
                raise ModelMismatchError(f"{path}: holds a {found}, not an emotion classifier.")
            decision = _READERS[found](_members(root), archive)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError) as error:
        raise WeightsMissingError(
            f"{path}: not a readable classifier ({error}); train it, or copy it there."
        ) from error
    if features is not None and decision.n_features_in_ != features:
        raise ModelMismatchError(
            f"{path}: takes {decision.n_features_in_} features, the network gives {features}; train the classifier "
            "again on this network's expressions."
        )
    return decision


def _linear_decision(classifier: dict, archive: zipfile.ZipFile) -> LinearDecision:
    return LinearDecision(*(_value(classifier[name], archive) for name in ("classes_", "coef_", "intercept_")))


def _kernel_decision(classifier: dict, archive: zipfile.ZipFile) -> KernelDecision:
    scaler = _members(classifier["scaler_"])
    learners = [_members(learner) for learner in classifier["learners_"]["content"]]
    support = [_value(learner["support_vectors_"], archive) for learner in learners]
    coefficients = [_value(learner["dual_coef_"], archive).ravel() for learner in learners]
    shared, places = np.unique(np.concatenate(support), axis=0, return_inverse=True)
    weights = np.zeros((len(shared), len(learners)))
    column = np.repeat(np.arange(len(learners)), [len(own) for own in support])
    np.add.at(weights, (places.ravel(), column), np.concatenate(coefficients))
    return KernelDecision(
        classes_=_value(classifier["classes_"], archive),
        mean=_value(scaler["mean_"], archive),
        scale=_value(scaler["scale_"], archive),
        support=shared,
        weights=weights,
        intercept=np.concatenate([_value(learner["intercept_"], archive) for learner in learners]),
        kernel=str(_value(learners[0]["kernel"], archive)),
        gamma=float(_value(learners[0]["gamma"], archive)),
        coding=_value(classifier["coding_matrix_"], archive).astype(float),
        temperature=float(_value(classifier["temperature_"], archive)),
    )


def _members(node: dict) -> dict:
    """The attributes of an object that a skops schema describes."""
    return node["content"]["content"]


def _value(node: dict, archive: zipfile.ZipFile) -> Any:
    """An array or a JSON value of a skops schema."""
    if node["__loader__"] == "NdArrayNode":
        return np.load(io.BytesIO(archive.read(node["file"])), allow_pickle=False)
    if node["__loader__"] == "JsonNode":
        return json.loads(node["content"])
    raise ValueError(f"{node['__loader__']} where a number or an array is expected")


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


_READERS = {
    "models.emotion.ecoc.EcocSvm": _kernel_decision,
    "models.emotion.zero_shot.LinearEmotionClassifier": _linear_decision,
}
