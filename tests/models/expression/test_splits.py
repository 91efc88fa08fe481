"""Splits by person."""

from hypothesis import given
from hypothesis import strategies as st

from models.expression.splits import SPLITS, split_by_person

FRACTIONS = {"train": 0.7, "val": 0.15, "test": 0.15}
names = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=40)


@given(names, st.randoms(), st.integers(0, 5))
def test_the_order_of_the_videos_does_not_matter(people, random, seed):
    shuffled = list(people)
    random.shuffle(shuffled)
    assert split_by_person(shuffled, FRACTIONS, seed) == split_by_person(people, FRACTIONS, seed)


@given(names.filter(lambda people: len(set(people)) >= 3))
def test_no_split_is_empty_from_three_people_on(people):
    assert set(split_by_person(people, FRACTIONS, 0).values()) == set(SPLITS)


def test_shares_are_those_of_the_paper():
    split = split_by_person([f"person {k}" for k in range(1000)], FRACTIONS, 0)
    counts = {name: list(split.values()).count(name) for name in SPLITS}
    assert counts == {"train": 700, "val": 150, "test": 150}


def test_another_seed_gives_another_assignment():
    people = [f"person {k}" for k in range(50)]
    assert split_by_person(people, FRACTIONS, 0) != split_by_person(people, FRACTIONS, 1)
