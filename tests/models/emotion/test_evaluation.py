"""Nested cross-validation tells skill from luck."""

from dataclasses import replace

import numpy as np
import pytest

from models.emotion.evaluation import cross_validate, train_classifier
from models.emotion.labels import EMOTIONS
from models.emotion.protocols import LEARNED
from models.emotion.search import search
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


def test_given_folds_are_kept_and_what_is_in_none_of_them_is_only_learned_from(expressions, quick_search):
    features, labels, _ = expressions
    folds = np.full((2, len(labels)), LEARNED)
    folds[0, :21], folds[1, 21:63], folds[1, 63:70] = 0, 0, 1
    result = cross_validate(features, labels, None, EvaluationSettings(search=quick_search), seed=0, folds=folds)
    np.testing.assert_array_equal(result.predictions != "", folds != LEARNED)
    assert len(result.parameters) == 3
    first, second = ((result.predictions[r] == labels)[folds[r] != LEARNED].mean() for r in range(2))
    assert result.accuracy == pytest.approx((first + second) / 2)
    assert result.confusion.sum() == 21 + 49


def test_processes_side_by_side_change_nothing(expressions, quick_search):
    settings = EvaluationSettings(3, 1, replace(quick_search, evaluations=2))
    alone, together = (cross_validate(*expressions, settings, seed=0, workers=workers) for workers in (1, 2))
    np.testing.assert_array_equal(alone.predictions, together.predictions)
    assert alone.parameters == together.parameters


def test_large_training_parts_are_thinned(expressions, quick_search, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        "models.emotion.evaluation.search",
        lambda features, *arguments, **options: sizes.append(len(features)) or search(features, *arguments, **options),
    )
    settings = EvaluationSettings(3, 1, replace(quick_search, evaluations=1), most_samples=70)
    result = cross_validate(*expressions, settings, seed=0)
    assert sizes == [70, 70, 70]
    assert result.accuracy > 0.6


def test_progress_sees_every_fold(expressions, quick_search):
    seen = []
    settings = EvaluationSettings(3, 2, replace(quick_search, evaluations=1))
    cross_validate(
        *expressions, settings, seed=0, progress=lambda items, name, total: seen.append((name, total)) or items
    )
    assert seen == [("folds", 6)] + [("settings", 1)] * 6


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
