"""Nested cross-validation tells skill from luck."""

from dataclasses import replace

import numpy as np
import pytest

from models.emotion.evaluation import cross_validate, train_classifier
from models.emotion.labels import EMOTIONS
from models.emotion.settings import EvaluationSettings


def test_real_labels_are_learnt_and_counted_right(expressions, quick_search):
    features, labels, people = expressions
    result = cross_validate(features, labels, people, EvaluationSettings(4, 2, quick_search), seed=0)
    assert result.accuracy > 0.7
    assert result.labels == EMOTIONS
    assert result.confusion.sum() == 2 * len(labels)
    assert result.confusion.trace() / result.confusion.sum() == pytest.approx(result.accuracy)
    np.testing.assert_allclose(result.class_accuracy.mean(), result.accuracy, atol=1e-9)
    assert len(result.parameters) == 8
    assert result.accuracy_deviation == pytest.approx(
        np.std([(row == labels).mean() for row in result.predictions], ddof=1)
    )


def test_shuffled_labels_score_chance(expressions, quick_search):
    """Were anything of a test fold seen in the search or the fit, this would come out above one in seven."""
    features, labels, people = expressions
    shuffled = np.random.default_rng(5).permutation(labels)
    settings = EvaluationSettings(4, 1, replace(quick_search, evaluations=5))
    result = cross_validate(features, shuffled, people, settings, seed=0)
    assert abs(result.accuracy - 1 / 7) < 0.09


def test_a_copied_person_gives_nothing_away_when_people_are_known(quick_search):
    """Features that name the person but not the emotion: only a split within people could exploit them."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 8)
    features = np.repeat(rng.normal(size=(20, 28)), 8, axis=0) + 0.01 * rng.normal(size=(160, 28))
    labels = np.repeat(rng.choice(["happy", "sad"], 20), 8)
    kept_apart = cross_validate(features, labels, people, EvaluationSettings(5, 1, quick_search), seed=0)
    mixed = cross_validate(features, labels, None, EvaluationSettings(5, 1, quick_search), seed=0)
    assert mixed.accuracy > 0.95
    assert kept_apart.accuracy < 0.75


def test_classes_that_do_not_occur_are_left_out(expressions, quick_search):
    features, labels, people = expressions
    chosen = np.isin(labels, ["happy", "neutral"])
    result = cross_validate(
        features[chosen], labels[chosen], people[chosen], EvaluationSettings(3, 1, quick_search), seed=0
    )
    assert result.labels == ("neutral", "happy")
    assert result.confusion.shape == (2, 2)


def test_labels_that_are_no_emotions_are_named(expressions, quick_search):
    features, labels, people = expressions
    with pytest.raises(ValueError, match="bored"):
        cross_validate(features, np.full(len(labels), "bored"), people, EvaluationSettings(3, 1, quick_search), seed=0)


def test_the_final_classifier_is_trained_on_everything(expressions, quick_search):
    features, labels, people = expressions
    classifier = train_classifier(features, labels, people, quick_search, seed=0)
    assert (classifier.predict(features) == labels).mean() > 0.8
    assert set(classifier.classes_) == set(EMOTIONS)
