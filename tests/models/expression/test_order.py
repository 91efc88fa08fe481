"""Every sample is seen as often as asked, in an order that a seed and an epoch's number decide."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.expression.order import Mixture, Source, shuffled

CHUNKS = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def source(chunks, per_video=6):
    return Source(tuple(chunks), np.arange(sum(chunks)) // per_video)


@given(CHUNKS, st.integers(1, 4), st.integers(0, 5))
def test_a_pass_holds_every_sample_once(chunks, together, seed):
    samples, groups = shuffled(source(chunks), together, np.random.default_rng(seed))
    assert sorted(samples) == list(range(sum(chunks)))
    assert (np.unique(groups, return_counts=True)[1] <= together).all()


@given(CHUNKS, st.integers(2, 4))
def test_members_of_a_group_follow_each_other_and_are_of_one_video(chunks, together):
    given_source = source(chunks)
    samples, groups = shuffled(given_source, together, np.random.default_rng(0))
    runs = 1 + np.count_nonzero(np.diff(groups))
    assert (
        runs == len(np.unique(groups)) == sum(-(-count // together) for count in Counter(given_source.videos).values())
    )
    for group in np.unique(groups):
        assert len(set(given_source.videos[samples[groups == group]])) == 1


def test_partners_change_from_pass_to_pass():
    partners = set()
    for seed in range(20):
        samples, groups = shuffled(source([60]), 2, np.random.default_rng(seed))
        partners |= {other for other in samples[groups == groups[samples == 7]] if other != 7}
    assert partners == {6, 8, 9, 10, 11}


def test_large_sources_are_shuffled_window_by_window(monkeypatch):
    monkeypatch.setattr("models.expression.order.WINDOW", 50)
    samples, groups = shuffled(source([10] * 20), 2, np.random.default_rng(0))
    assert sorted(samples) == list(range(200))
    assert len(np.unique(groups)) == 1 + np.count_nonzero(np.diff(groups))
    chunks = [set(window // 10) for window in np.split(samples, 4)]
    assert [len(window) for window in chunks] == [5] * 4


@settings(deadline=None)
@given(st.lists(CHUNKS, min_size=1, max_size=3), st.integers(1, 3), st.integers(0, 3), st.data())
def test_an_epoch_holds_the_asked_shares(chunks, together, number, data):
    shares = tuple(data.draw(st.lists(st.integers(1, 9), min_size=len(chunks), max_size=len(chunks))))
    mixture = Mixture(tuple(map(source, chunks)), shares, together, seed=3)
    rows, total = mixture.epoch(number), sum(map(sum, chunks))
    assert len(rows) == len(mixture)
    for place, share in enumerate(shares):
        assert np.count_nonzero(rows[:, 0] == place) == pytest.approx(total * share / sum(shares), abs=0.5)


def test_no_sample_comes_a_second_time_before_all_have_come_once():
    mixture = Mixture((source([30]), source([70])), (0.75, 0.25), 2, seed=3)
    epochs = [mixture.epoch(number) for number in range(8)]
    for place, (size, count) in enumerate([(30, 75), (70, 25)]):
        stream = [rows[rows[:, 0] == place, 1] for rows in epochs]
        assert {len(part) for part in stream} == {count}
        seen = Counter(np.concatenate(stream).tolist())
        assert len(seen) == size
        assert max(seen.values()) - min(seen.values()) <= 1


def test_sources_are_spread_evenly_over_an_epoch():
    rows = Mixture((source([400]), source([600])), None, 1, seed=3).epoch(0)
    shares = [np.mean(part[:, 0] == 0) for part in np.split(rows, 10)]
    assert max(abs(share - 0.4) for share in shares) < 0.05


def test_an_epoch_depends_on_seed_and_number_alone():
    first, second = (Mixture((source([50, 30]),), None, 2, seed) for seed in (1, 2))
    np.testing.assert_array_equal(first.epoch(4), Mixture((source([50, 30]),), None, 2, 1).epoch(4))
    assert (first.epoch(4) != first.epoch(5)).any()
    assert (first.epoch(4) != second.epoch(4)).any()
