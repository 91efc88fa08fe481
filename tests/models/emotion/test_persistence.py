"""Classifiers survive the disk, and nothing harmful comes from it."""

import numpy as np
import pytest
import skops.io

from models.emotion.ecoc import EcocSvm
from models.emotion.persistence import load_classifier, save_classifier
from models.errors import ModelMismatchError, WeightsMissingError


class Stranger:
    """A type that a file has no business to hold."""


@pytest.fixture(scope="module")
def classifier(expressions):
    features, labels, people = expressions
    return EcocSvm(kernel_scale=5.0).fit(features, labels, groups=people)


def test_a_classifier_comes_back_the_same(classifier, expressions, tmp_path):
    save_classifier(classifier, tmp_path / "emotion.skops")
    loaded = load_classifier(tmp_path / "emotion.skops", features=28)
    np.testing.assert_array_equal(loaded.predict_proba(expressions[0]), classifier.predict_proba(expressions[0]))
    np.testing.assert_array_equal(loaded.classes_, classifier.classes_)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsMissingError, match=r"none\.skops"):
        load_classifier(tmp_path / "none.skops")


def test_a_file_that_is_no_classifier_is_refused(tmp_path):
    (tmp_path / "noise.skops").write_bytes(b"noise")
    with pytest.raises(WeightsMissingError, match=r"noise\.skops"):
        load_classifier(tmp_path / "noise.skops")


def test_types_that_are_not_trusted_are_refused(tmp_path):
    skops.io.dump(Stranger(), tmp_path / "stranger.skops")
    with pytest.raises(ModelMismatchError, match="Stranger"):
        load_classifier(tmp_path / "stranger.skops")


def test_an_estimator_of_another_kind_is_refused(tmp_path):
    skops.io.dump({"a": np.zeros(3)}, tmp_path / "dict.skops")
    with pytest.raises(ModelMismatchError, match="dict"):
        load_classifier(tmp_path / "dict.skops")


def test_a_classifier_of_another_number_of_features_is_refused(classifier, tmp_path):
    save_classifier(classifier, tmp_path / "emotion.skops")
    with pytest.raises(ModelMismatchError, match="28 features, the network gives 52"):
        load_classifier(tmp_path / "emotion.skops", features=52)
