"""People are divided as the protocols say, and nobody who is tested is learned from."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DatasetError
from models.rgbd.contents import Scan
from models.rgbd.pipelines import CLASSES
from models.rgbd.protocol import (
    PROTOCOLS,
    Divisions,
    complete_people,
    draw_divisions,
    intensities_in,
    require_people,
)

HUNDRED = [f"F{number:04d}" for number in range(1, 57)] + [f"M{number:04d}" for number in range(1, 45)]


@given(st.sampled_from(sorted(PROTOCOLS)), st.integers(0, 2**31), st.integers(3, 100))
def test_nobody_is_in_training_and_test_at_once(protocol, seed, count):
    drawn = draw_divisions(HUNDRED[:count], PROTOCOLS[protocol], seed=seed, repeats=4)
    for repeat in drawn.repeats:
        assert repeat.train
        assert repeat.test
        assert not set(repeat.train) & set(repeat.test)
        assert len(set(repeat.train)) == len(repeat.train)


def test_the_papers_protocol_keeps_sixty_people_and_tests_six_of_them_200_times():
    drawn = draw_divisions(HUNDRED, PROTOCOLS["paper"], seed=1)
    assert len(drawn.repeats) == 200
    assert {(len(repeat.train), len(repeat.test)) for repeat in drawn.repeats} == {(54, 6)}
    assert {tuple(sorted((*repeat.train, *repeat.test))) for repeat in drawn.repeats} == {drawn.people}
    assert len(drawn.people) == 60
    assert len({repeat.test for repeat in drawn.repeats}) > 190
    assert drawn.problems == ()


def test_people_are_drawn_anew_where_the_protocol_says_so():
    drawn = draw_divisions(HUNDRED, PROTOCOLS["redrawn"], seed=1)
    chosen = [frozenset((*repeat.train, *repeat.test)) for repeat in drawn.repeats]
    assert {len(people) for people in chosen} == {60}
    assert len(set(chosen)) > 190


def test_all_people_are_divided_ninety_to_ten():
    drawn = draw_divisions(HUNDRED, PROTOCOLS["all"], seed=1)
    assert {(len(repeat.train), len(repeat.test)) for repeat in drawn.repeats} == {(90, 10)}
    assert drawn.people == tuple(HUNDRED)


def test_ten_folds_test_everybody_once():
    drawn = draw_divisions(HUNDRED, PROTOCOLS["tenfold"], seed=1)
    tested = [person for repeat in drawn.repeats for person in repeat.test]
    assert sorted(tested) == list(drawn.people)
    assert len(drawn.repeats) == 10


def test_more_repeats_do_not_change_the_first_ones():
    few, many = (draw_divisions(HUNDRED, PROTOCOLS["redrawn"], seed=3, repeats=count).repeats for count in (3, 9))
    assert many[:3] == few


def test_the_order_in_which_people_are_found_does_not_matter():
    one, other = (draw_divisions(people, PROTOCOLS["paper"], seed=3) for people in (HUNDRED, HUNDRED[::-1]))
    assert one == other


def test_fewer_people_and_repeats_than_the_protocols_are_said():
    drawn = draw_divisions(HUNDRED[:20], PROTOCOLS["paper"], seed=3, repeats=5)
    assert {(len(repeat.train), len(repeat.test)) for repeat in drawn.repeats} == {(18, 2)}
    assert any("60 people; here 20" in problem for problem in drawn.problems)
    assert any("200 repeats; these are 5" in problem for problem in drawn.problems)


def test_two_people_are_too_few():
    with pytest.raises(DatasetError, match="found 2 people"):
        draw_divisions(HUNDRED[:2], PROTOCOLS["paper"], seed=3)


def test_divisions_come_back_from_their_file(tmp_path):
    drawn = draw_divisions(HUNDRED[:20], PROTOCOLS["paper"], seed=3, repeats=5)
    drawn.save(tmp_path / "divisions.json")
    assert Divisions.load(tmp_path / "divisions.json") == drawn


def test_stored_divisions_that_test_people_whom_they_learn_from_are_refused(tmp_path):
    path = tmp_path / "divisions.json"
    draw_divisions(HUNDRED[:20], PROTOCOLS["paper"], seed=3, repeats=2).save(path)
    tree = json.loads(path.read_text())
    tree["repeats"][1]["train"].append(tree["repeats"][1]["test"][0])
    path.write_text(json.dumps(tree))
    with pytest.raises(DatasetError, match="repeat 2 tests"):
        Divisions.load(path)


@pytest.mark.parametrize("content", ["", "[]", '{"protocol": "paper", "seed": 1, "problems": []}'])
def test_a_file_of_other_things_is_named(tmp_path, content):
    path = tmp_path / "divisions.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"divisions\.json"):
        Divisions.load(path)


def test_who_lacks_an_expression_is_told_with_what_is_missing():
    rows = [(person, label, level) for person in ("A", "B") for label in CLASSES for level in (2, 3, 4)]
    rows.remove(("B", "sad", 4))
    rows.remove(("A", "sad", 2))
    complete, lacking = complete_people(*map(np.array, zip(*rows, strict=True)))
    assert complete == ["A"]
    assert lacking == {"B": ["sad 4"]}


def shown(people, levels) -> list[tuple[str, str, int]]:
    """Person, expression and intensity of people who show everything at some intensities."""
    return [(person, label, level) for person in people for label in CLASSES for level in levels]


def arrays(rows) -> tuple[np.ndarray, ...]:
    return tuple(map(np.array, zip(*rows, strict=True)))


def test_a_set_with_one_scan_of_each_expression_takes_part_with_that_one():
    rows = shown("ABC", (4,))
    assert intensities_in(*arrays(rows)) == (4,)
    assert complete_people(*arrays(rows)) == (["A", "B", "C"], {})


def test_a_few_scans_of_another_intensity_keep_nobody_from_taking_part():
    rows = [*shown("ABCDE", (4,)), *shown("A", (3,)), ("B", "happy", 3)]
    assert intensities_in(*arrays(rows)) == (4,)
    assert complete_people(*arrays(rows))[0] == list("ABCDE")


def test_both_intensities_take_part_where_most_people_show_both():
    rows = [*shown("ABC", (3, 4)), *shown("DE", (4,))]
    assert intensities_in(*arrays(rows)) == (3, 4)
    assert complete_people(*arrays(rows))[0] == list("ABC")


def scanned(rows) -> list[Scan]:
    return [Scan(Path("s.ply"), Path("s.png"), None, *row) for row in rows]


def test_too_few_people_are_told_before_their_scans_are_prepared():
    require_people(scanned(shown("ABC", (3, 4))), (3, 4))
    require_people(scanned(shown("ABC", (4,))), (3, 4))
    rows = shown("ABC", (3, 4))
    rows.remove(("B", "sad", 4))
    with pytest.raises(DatasetError, match=r"found 2 people with all six expressions.*B lacks sad 4"):
        require_people(scanned(rows), (3, 4))
    with pytest.raises(DatasetError, match="found 0 people"):
        require_people(scanned(shown("ABC", (1,))), (3, 4))
