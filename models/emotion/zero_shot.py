"""An emotion classifier that has seen no photograph: prototypes are rendered, and a network reads their expressions.

Rendered faces teach where the emotions lie as the network sees them, its habit of muting some of them included. What
renders cannot teach is how widely real people scatter: faces at rest are not the model's zero, and poses are weaker or
stronger than prototypes. Both are added to the features: noise as large as neutral faces of real people spread, and a
random strength. How large that is, is one number; no photograph's label takes part.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from models.emotion.ecoc import softmax
from models.emotion.labels import EMOTIONS
from models.emotion.settings import ZeroShotSettings
from models.errors import NoFaceError
from models.morphable_model.model import MorphableModel

# Pictures whose faces are read together: bounds the memory of many thousands.
BATCH = 32


class LinearEmotionClassifier(ClassifierMixin, BaseEstimator):
    """Multinomial logistic regression on expressions, one product of matrices a row.

    Its probabilities need no calibration beyond the log loss that it minimises, as long as what it is fitted to
    scatters as what it will be used on.

    Parameters
    ----------
    C : inverse strength of the penalty on squared weights
    max_iter : of the solver

    Attributes
    ----------
    classes_ : (K,)
    coef_, intercept_ : (K, D) and (K,)
    n_features_in_ : D
    """

    def __init__(self, C=1.0, max_iter=1000):
        self.C = C
        self.max_iter = max_iter

    def fit(self, X, y):
        """Fit to features X (F, D) and labels y (F,)."""
        regression = LogisticRegression(C=self.C, max_iter=self.max_iter).fit(X, y)
        self.classes_ = regression.classes_
        self.coef_, self.intercept_ = regression.coef_, regression.intercept_
        self.n_features_in_ = regression.n_features_in_
        return self

    def decision_function(self, X):
        """Logits (F, K)."""
        return np.asarray(X) @ self.coef_.T + self.intercept_

    def predict(self, X):
        """Most probable class of each row, (F,)."""
        return self.classes_[self.decision_function(X).argmax(axis=1)]

    def predict_proba(self, X):
        """Probabilities (F, K)."""
        return softmax(self.decision_function(X))


def train_zero_shot(
    read: Callable[[list[np.ndarray]], np.ndarray], model: MorphableModel, settings: ZeroShotSettings, seed: int
) -> LinearEmotionClassifier:
    """Render emotions, read them, scatter what was read as real people do, and fit the classifier.

    Parameters
    ----------
    read : from pictures (H, W, 3) uint8 to the expressions (F, n_e) of the largest face in each, in standard
        deviations; NaN where there is none
    model : the face model that is rendered, whose expressions `read` gives

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    NoFaceError
        Some emotion's face was never found.
    """
    features, labels = read_prototypes(read, model, settings, seed)
    return fit_prototypes(features, labels, settings, seed)


def read_prototypes(
    read: Callable[[list[np.ndarray]], np.ndarray], model: MorphableModel, settings: ZeroShotSettings, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Render every emotion of every person and read it: features (F, n_e) and labels (F,).

    Pictures without a face are left out.

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    NoFaceError
        Some emotion's face was never found.
    """
    features, labels = [], []
    pictures = _pictures(model, settings, seed)
    while batch := list(islice(pictures, BATCH)):
        features.append(read([picture.image for picture in batch]))
        labels += [picture.emotion for picture in batch]
    read_features = np.concatenate(features)
    found = np.isfinite(read_features).all(axis=1)
    known = np.array(labels)[found]
    if missing := [emotion for emotion in EMOTIONS if emotion not in known]:
        raise NoFaceError(f"{', '.join(missing)}: no face was found in any rendered picture; render more people.")
    return read_features[found], known


def fit_prototypes(
    features: np.ndarray, labels: np.ndarray, settings: ZeroShotSettings, seed: int
) -> LinearEmotionClassifier:
    """Fit the classifier to prototypes' features (F, n_e) and labels (F,), scattered as real people are."""
    rng = np.random.default_rng([seed, 1])
    return LinearEmotionClassifier(C=settings.C).fit(*scattered(features, labels, settings, rng))


def scattered(
    features: np.ndarray, labels: np.ndarray, settings: ZeroShotSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Copies of the prototypes with a random strength and with noise: features (copies x F, n_e) and labels.

    Neutral faces get the noise that takes their distance from rest to `neutral_scatter`, the others that of `scatter`,
    both in units of the mean distance from neutral to smile.
    """
    neutral = features[labels == "neutral"]
    smile = np.linalg.norm(features[labels == "happy"].mean(0) - neutral.mean(0))
    there = np.square(neutral).sum(axis=1).mean()
    missing = np.sqrt(max((settings.neutral_scatter * smile) ** 2 - there, 0.0))
    copies, copied = np.tile(features, (settings.copies, 1)), np.tile(labels, settings.copies)
    strength = np.exp(settings.strength_deviation * rng.normal(size=(len(copies), 1)))
    shape = noise_shape(neutral, settings.error_share)
    noise = rng.multivariate_normal(np.zeros(len(shape)), shape, len(copies), method="eigh")
    size = np.where(copied == "neutral", missing, settings.scatter * smile)
    return strength * copies + size[:, None] * noise, copied


def noise_shape(neutral: np.ndarray, error_share: float) -> np.ndarray:
    """Covariance (n_e, n_e) of trace 1 of what real people's vectors have and rendered ones lack.

    A share `error_share` has the shape in which neutral faces (F, n_e) of renders differ, which is what identity, view
    and light leave in e; the rest lies in all coefficients alike, since nobody knows how photographs differ.
    """
    errors = np.cov(neutral, rowvar=False)
    even = np.eye(len(errors)) / len(errors)
    # Faces that are all alike have no shape.
    shape = errors / np.trace(errors) if np.trace(errors) > 0 else even
    return error_share * shape + (1 - error_share) * even


def calibration_error(probabilities: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean distance between confidence and accuracy over bins of equally many answers.

    Parameters
    ----------
    probabilities : (F,) of the answers given
    right : (F,) bool
    """
    order = np.argsort(probabilities)
    parts = np.array_split(order, bins)
    gaps = [abs(probabilities[part].mean() - right[part].mean()) * len(part) for part in parts if len(part)]
    return float(np.sum(gaps) / len(right))


def _pictures(model: MorphableModel, settings: ZeroShotSettings, seed: int) -> Iterator:
    from models.rendering.settings import SyntheticImageSettings
    from models.rendering.synthetic_images import posing_subject, render_emotion_image

    style = SyntheticImageSettings(
        intensity=settings.intensity, yaw_spread=settings.yaw_spread, resting_spread=settings.resting_spread
    )
    for person in range(settings.people):
        someone = posing_subject(model, person, seed, style)
        for emotion in EMOTIONS:
            yield render_emotion_image(model, emotion, person, seed=seed, settings=style, person=someone)
