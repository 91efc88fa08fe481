"""Classifiers on disk, as skops files: read without unpickling, and only what is known to be harmless."""

from pathlib import Path
from zipfile import BadZipFile

from models.emotion.ecoc import EcocSvm
from models.emotion.zero_shot import LinearEmotionClassifier
from models.errors import ModelMismatchError, WeightsMissingError
from models.storage import written_whole

# Beside numpy arrays and scikit-learn's own estimators, which skops trusts, a file may hold these and nothing else.
TRUSTED = ["models.emotion.ecoc.EcocSvm", "models.emotion.zero_shot.LinearEmotionClassifier"]

EmotionClassifier = EcocSvm | LinearEmotionClassifier


def save_classifier(classifier: EmotionClassifier, path: Path | str) -> None:
    """Write a fitted classifier."""
    import skops.io

    with written_whole(path) as temporary:
        skops.io.dump(classifier, temporary)


def load_classifier(path: Path | str, features: int | None = None) -> EmotionClassifier:
    """Read a classifier; `features`, where given, is how many it must take.

    Raises
    ------
    WeightsMissingError
        The file is missing or no skops file.
    ModelMismatchError
        The file holds types that are not trusted, something else than a classifier, or one of other features.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        classifier = skops.io.load(path, trusted=TRUSTED)
    except UntrustedTypesFoundException as error:
        raise ModelMismatchError(f"{path}: refused, it holds types that are not trusted ({error}).") from error
    except (OSError, BadZipFile, KeyError, ValueError, TypeError) as error:
        raise WeightsMissingError(
            f"{path}: not a readable classifier ({error}); train it, or copy it there."
        ) from error
    if not isinstance(classifier, EmotionClassifier) or not hasattr(classifier, "classes_"):
        raise ModelMismatchError(f"{path}: holds a {type(classifier).__name__}, not a fitted emotion classifier.")
    if features is not None and classifier.n_features_in_ != features:
        raise ModelMismatchError(
            f"{path}: takes {classifier.n_features_in_} features, the network gives {features}; train the classifier "
            "again on this network's expressions."
        )
    return classifier
