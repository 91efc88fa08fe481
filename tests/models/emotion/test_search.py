"""The search finds good settings, and the same ones every time."""

from dataclasses import replace

import numpy as np
import pytest

from models.emotion.ecoc import EcocSvm
from models.emotion.search import search, stratified_folds


def test_the_same_seed_gives_the_same_search(expressions, quick_search):
    first, second = (search(*expressions, quick_search, seed=3) for _ in range(2))
    assert first == second
    assert len(first.trials) == 6
    assert first.error == min(trial["error"] for trial in first.trials)


def test_another_seed_tries_other_settings(expressions, quick_search):
    first, second = (search(*expressions, quick_search, seed=seed) for seed in (3, 4))
    assert first.trials != second.trials


def test_the_search_improves_on_its_random_start(expressions, quick_search):
    features, labels, people = expressions
    noisy = features + 2.0 * np.random.default_rng(1).normal(size=features.shape)
    settings = replace(quick_search, evaluations=16, initial_evaluations=5)
    result = search(noisy, labels, people, settings, seed=0)
    assert result.error < min(trial["error"] for trial in result.trials[:5])


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
@pytest.mark.parametrize("coding", ["one_vs_all", "one_vs_one"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_a_setting_s_error_is_that_of_the_classifier_in_cross_validation(
    expressions, quick_search, kernel, coding, class_weight
):
    features, labels, people = (values[20:] for values in expressions)
    settings = replace(quick_search, kernels=(kernel,), coding=coding, class_weight=class_weight, evaluations=1)
    result = search(features, labels, people, settings, seed=0)
    classifier = EcocSvm(**result.parameters, calibration_folds=0)
    wrong = 0
    for seen, unseen in stratified_folds(labels, people, settings.folds, seed=0):
        wrong += (classifier.fit(features[seen], labels[seen]).predict(features[unseen]) != labels[unseen]).sum()
    assert result.error == pytest.approx(wrong / len(labels))


def test_the_usual_setting_is_tried_first(expressions, quick_search):
    first = search(*expressions, quick_search, seed=0).trials[0]
    assert (first["kernel"], first["C"]) == ("rbf", pytest.approx(1))
    assert first["kernel_scale"] == pytest.approx(np.sqrt(28))


def test_hopeless_settings_are_given_up_early_and_never_chosen(expressions, quick_search):
    result = search(*expressions, replace(quick_search, evaluations=12), seed=1)
    early = [trial for trial in result.trials if trial["folds"] < quick_search.folds]
    assert early
    assert min(trial["error"] for trial in early) > result.error


def test_of_many_samples_a_share_judges_the_settings(expressions, quick_search):
    """Errors are then shares of that many."""
    result = search(*expressions, replace(quick_search, most_samples=105, evaluations=1), seed=0)
    assert result.error * 105 == pytest.approx(round(result.error * 105))
    assert search(*expressions, replace(quick_search, evaluations=1), seed=0).error != result.error


def test_progress_sees_every_setting(expressions, quick_search):
    seen = []
    search(*expressions, quick_search, seed=0, progress=lambda items, name, total: seen.append((name, total)) or items)
    assert seen == [("settings", 6)]


def test_no_evaluations_mean_the_middle_of_the_range(expressions, quick_search):
    result = search(*expressions, replace(quick_search, evaluations=0), seed=0)
    assert result.parameters["C"] == 1.0
    assert result.parameters["kernel_scale"] == pytest.approx(np.sqrt(28))


def test_no_person_is_in_two_folds_and_every_sample_is_tested_once(expressions):
    _, labels, people = expressions
    folds = stratified_folds(labels, people, 10, seed=0)
    assert sorted(np.concatenate([unseen for _, unseen in folds])) == list(range(len(labels)))
    for seen, unseen in folds:
        assert not set(people[seen]) & set(people[unseen])


def test_folds_are_fewer_where_a_class_is_small():
    labels = np.array(["happy"] * 20 + ["sad"] * 3)
    assert len(stratified_folds(labels, None, 10, seed=0)) == 3


def test_a_class_with_a_single_sample_cannot_be_validated():
    with pytest.raises(ValueError, match="two samples"):
        stratified_folds(np.array(["happy"] * 5 + ["sad"]), None, 10, seed=0)
