"""The search finds good settings, and the same ones every time."""

from dataclasses import replace

import numpy as np
import pytest

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
