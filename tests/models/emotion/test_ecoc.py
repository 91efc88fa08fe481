"""Coding, decoding and calibration of the emotion classifier, and its manners as a scikit-learn estimator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.utils.estimator_checks import parametrize_with_checks

from models.emotion.ecoc import EcocSvm, coding_matrix, decoding_losses


def calibrated_by_folds(estimator: EcocSvm) -> dict[str, str]:
    """A repeated sample may fall into two folds, a weighted one cannot."""
    reason = "cross-fitted probabilities depend on which samples share a fold"
    return {"check_sample_weight_equivalence_on_dense_data": reason} if estimator.calibration_folds else {}


@parametrize_with_checks(
    [
        EcocSvm(),
        EcocSvm(calibration_folds=0, tol=1e-10),
        EcocSvm(coding="one_vs_one", kernel="linear", calibration_folds=0, tol=1e-10),
    ],
    expected_failed_checks=calibrated_by_folds,
)
def test_it_keeps_the_rules_of_scikit_learn(estimator, check):
    check(estimator)


def test_one_versus_all_sets_each_class_against_the_rest():
    np.testing.assert_array_equal(coding_matrix(3, "one_vs_all"), [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]])


def test_one_versus_one_sets_each_pair_of_classes_apart():
    np.testing.assert_array_equal(coding_matrix(3, "one_vs_one"), [[1, 1, 0], [-1, 0, 1], [0, -1, -1]])


def test_an_unknown_coding_is_refused():
    with pytest.raises(ValueError, match="ternary"):
        coding_matrix(3, "ternary")


def test_decoding_agrees_with_a_calculation_by_hand():
    """Scores 2, -0.5, -3: class 0 loses 0, 0.25 and 0; class 1 loses 1.5, 0.75 and 0; class 2 loses 1.5, 0.25, 2."""
    losses = decoding_losses(np.array([[2.0, -0.5, -3.0]]), coding_matrix(3, "one_vs_all"))
    np.testing.assert_allclose(losses, [[0.25 / 3, 2.25 / 3, 3.75 / 3]])


def test_learners_that_ignore_a_class_have_no_say_in_it():
    """Scores 0.5 (0 or 1), 2 (0 or 2), -1 (1 or 2) under one-versus-one, each class averaged over its two learners."""
    losses = decoding_losses(np.array([[0.5, 2.0, -1.0]]), coding_matrix(3, "one_vs_one"))
    np.testing.assert_allclose(losses, [[(0.25 + 0) / 2, (0.75 + 1) / 2, (1.5 + 0) / 2]])


@given(arrays(float, (5, 7), elements=st.floats(-1, 1)))
def test_scores_within_the_margin_go_to_the_class_of_the_highest(scores):
    """There the hinge is linear, and loss-weighted decoding is the usual rule of the largest score."""
    losses = decoding_losses(scores, coding_matrix(7, "one_vs_all"))
    chosen = losses.argmin(axis=1)
    np.testing.assert_allclose(scores[np.arange(5), chosen], scores.max(axis=1), atol=1e-12)


@pytest.mark.parametrize("coding", ["one_vs_all", "one_vs_one"])
@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
def test_people_never_seen_are_classified(expressions, coding, kernel):
    features, labels, _ = expressions
    classifier = EcocSvm(coding=coding, kernel=kernel, kernel_scale=5.0).fit(features[:140], labels[:140])
    assert (classifier.predict(features[140:]) == labels[140:]).mean() > 0.75


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
def test_the_kernel_scale_divides_the_features(expressions, kernel):
    """Features three times as far apart under a scale three times as large are the same problem."""
    features, labels, _ = expressions
    one = EcocSvm(kernel=kernel, kernel_scale=2.0, calibration_folds=0).fit(features, labels)
    other = EcocSvm(kernel=kernel, kernel_scale=6.0, calibration_folds=0).fit(features, labels)
    other.scaler_.scale_ = one.scaler_.scale_ / 3
    other.learners_ = other._fitted_learners(
        other.scaler_.transform(features), np.searchsorted(other.classes_, labels), np.ones(len(labels))
    )
    np.testing.assert_allclose(one.decision_function(features), other.decision_function(features), atol=2e-3)


def test_probabilities_of_unseen_people_are_calibrated(expressions):
    """The mean confidence is near the share of right answers, though the learners know their training data by heart."""
    features, labels, people = expressions
    seen = np.arange(len(labels)) < 140
    classifier = EcocSvm(C=100.0, kernel_scale=3.0).fit(features[seen], labels[seen], groups=people[seen])
    probabilities = classifier.predict_proba(features[~seen])
    right = classifier.predict(features[~seen]) == labels[~seen]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(
        classifier.classes_[probabilities.argmax(axis=1)], classifier.predict(features[~seen])
    )
    assert abs(probabilities.max(axis=1).mean() - right.mean()) < 0.12


def test_labels_without_meaning_get_probabilities_without_confidence():
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(210, 28)), rng.permutation(np.repeat(np.arange(7), 30))
    classifier = EcocSvm(C=100.0, kernel_scale=5.0).fit(features, labels)
    fresh = classifier.predict_proba(rng.normal(size=(500, 28)))
    assert fresh.max(axis=1).mean() < 0.35


def test_balanced_weights_give_a_rare_class_its_due():
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], [190, 10])
    features = rng.normal(size=(200, 2)) + 1.2 * labels[:, None]
    plain, balanced = (
        EcocSvm(kernel="linear", class_weight=weight).fit(features, labels) for weight in (None, "balanced")
    )
    found = [(model.predict(features)[labels == 1] == 1).mean() for model in (plain, balanced)]
    assert found[1] > found[0] + 0.2


def test_one_class_alone_is_refused():
    with pytest.raises(ValueError, match="two classes"):
        EcocSvm().fit(np.zeros((5, 2)), ["happy"] * 5)
