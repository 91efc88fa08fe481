"""Challenger against champion: who wins, how sure that is, and for whom."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ModelMismatchError
from models.expression.comparison import Comparison, compare, comparison_figure, paired_difference, thirds, view_groups

SETTINGS = {"resamples": 500, "confidence": 0.95, "seed": 1}


@pytest.fixture(scope="module")
def errors():
    """A champion's errors on 40 people, 6 pictures each; some people are harder than others."""
    rng = np.random.default_rng(0)
    people = np.repeat([f"person {n}" for n in range(40)], 6)
    hardness = np.repeat(rng.gamma(4, 0.1, 40), 6)
    return hardness * rng.gamma(8, 1 / 8, 240), people


def test_a_smaller_error_everywhere_is_better(errors):
    champion, people = errors
    found = compare(0.9 * champion, champion, people, {}, **SETTINGS).overall
    assert found.change == pytest.approx(-0.1)
    assert found.verdict == "better"
    assert not found.worse_than(0.0)


def test_noise_alone_decides_nothing(errors):
    champion, people = errors
    noise = np.random.default_rng(5).normal(0, 0.1, len(champion))
    found = compare(champion * (1 + noise), champion, people, {}, **SETTINGS).overall
    assert found.verdict == "undecided"


def test_a_greater_error_is_worse_only_beyond_the_tolerance(errors):
    champion, people = errors
    found = compare(1.1 * champion, champion, people, {}, **SETTINGS).overall
    assert found.verdict == "worse"
    assert found.worse_than(0.05)
    assert not found.worse_than(0.15)


def test_a_regression_that_the_mean_hides_is_named(errors):
    champion, people = errors
    view = np.where(np.arange(len(champion)) % 6 == 0, "over 45 degrees", "0 to 15 degrees")
    challenger = champion * np.where(view == "over 45 degrees", 1.4, 0.8)
    found = compare(challenger, champion, people, {"view": view}, **SETTINGS)
    assert found.overall.verdict == "better"
    assert found.regressions(0.05) == ["view: over 45 degrees"]


def test_equal_networks_do_not_differ_in_any_draw(errors):
    champion, people = errors
    found = paired_difference(champion, champion, people, **SETTINGS)
    assert (found.low, found.high, found.change) == (0, 0, 0)


def test_networks_without_error_are_equal():
    zeros = np.zeros(6)
    found = paired_difference(zeros, zeros, np.arange(6), **SETTINGS)
    assert (found.low, found.high, found.change, found.verdict) == (0, 0, 0, "undecided")


def test_people_count_not_pictures(errors):
    """The same pictures, each twice, say nothing new."""
    champion, people = errors
    challenger = champion * (1 + np.random.default_rng(2).normal(0, 0.3, len(champion)))
    once = paired_difference(challenger, champion, people, **SETTINGS)
    twice = paired_difference(*(np.tile(values, 2) for values in (challenger, champion, people)), **SETTINGS)
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))
    assert (twice.pictures, twice.people) == (480, 40)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_the_pictures_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    values = rng.gamma(2, 1, (2, 30))
    people = rng.integers(0, 8, 30)
    order = rng.permutation(30)
    first = paired_difference(*values, people, **SETTINGS)
    second = paired_difference(*values[:, order], people[order], **SETTINGS)
    assert (first.low, first.high) == pytest.approx((second.low, second.high))


def test_the_same_seed_gives_the_same_interval(errors):
    champion, people = errors
    challenger = champion[::-1]
    one, two = (paired_difference(challenger, champion, people, **SETTINGS) for _ in range(2))
    assert one == two
    other = paired_difference(challenger, champion, people, **SETTINGS | {"seed": 2})
    assert other.low != one.low


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """60 people, a true change of 10 %: at 90 % confidence some 90 of 100 intervals hold it."""
    rng = np.random.default_rng(3)
    covered = 0
    for repeat in range(200):
        hardness = rng.gamma(4, 0.25, 60)
        champion = hardness * rng.gamma(10, 0.1, 60)
        challenger = 1.1 * hardness * rng.gamma(10, 0.1, 60)
        found = paired_difference(challenger, champion, np.arange(60), resamples=400, confidence=0.9, seed=repeat)
        covered += found.low <= 0.1 <= found.high
    assert 165 <= covered <= 195


def test_subgroups_of_few_people_are_left_out(errors):
    champion, people = errors
    glasses = np.where(np.isin(people, ["person 1", "person 2"]), "glasses", "")
    assert compare(champion, champion, people, {"wears": glasses}, **SETTINGS).subgroups == {}


@pytest.mark.parametrize("count", [0, 5])
def test_errors_of_other_pictures_are_refused(count):
    with pytest.raises(ModelMismatchError, match="one error of each network"):
        compare(np.ones(count), np.ones(0), np.ones(0), {}, **SETTINGS)


def test_views_are_binned_by_the_size_of_the_turn():
    assert view_groups(np.array([-3.0, 16.0, -31.0, 80.0])).tolist() == [
        "0 to 15 degrees",
        "15 to 30 degrees",
        "30 to 45 degrees",
        "over 45 degrees",
    ]


def test_thirds_hold_as_many_each():
    names, counts = np.unique(thirds(np.arange(30.0), ("weak", "medium", "strong")), return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"weak": 10, "medium": 10, "strong": 10}


def test_the_figure_has_a_row_for_each_subgroup(errors):
    champion, people = errors
    view = np.where(np.arange(len(champion)) % 2, "left", "right")
    found: Comparison = compare(champion * 1.2, champion, people, {"side": view}, **SETTINGS)
    labels = [label.get_text() for label in comparison_figure(found, 0.05).axes[0].get_yticklabels()]
    assert [label.split(" (")[0] for label in labels] == ["all", "side: left", "side: right"]
