"""Folds keep people together where they must, follow the publisher where there is a split, and travel as files."""

from pathlib import Path

import numpy as np
import pytest

from models.emotion.datasets.contents import Photograph
from models.emotion.labels import EMOTIONS
from models.emotion.protocols import (
    BY_SUBJECT,
    HELD_OUT,
    LEARNED,
    Folds,
    Protocol,
    Splitting,
    draw_folds,
    relative_name,
)
from models.errors import DatasetError

ROOT = Path("set")
STRATIFIED = Protocol("paper", "", Splitting.STRATIFIED)
PUBLISHED = Protocol("paper", "", Splitting.PUBLISHED)
AS_GIVEN = Protocol("paper", "", Splitting.AS_GIVEN)


def photographs(people: int = 20, named: bool = True, split=lambda person: None) -> list[Photograph]:
    return [
        Photograph(
            ROOT / f"{person:02d}" / f"{emotion}.png", emotion, f"p{person}" if named else None, split=split(person)
        )
        for person in range(people)
        for emotion in EMOTIONS
    ]


def numbers(protocol: Protocol, given: list[Photograph], repeats: int = 1, seed: int = 0) -> np.ndarray:
    folds = draw_folds(given, ROOT, protocol, repeats=repeats, seed=seed)
    return folds.of([photograph.path.relative_to(ROOT).as_posix() for photograph in given])


def test_ten_stratified_folds_test_every_photograph_once_and_keep_the_classes_shares():
    (row,) = numbers(STRATIFIED, given := photographs())
    assert sorted(set(row)) == list(range(10))
    labels = np.array([photograph.label for photograph in given])
    for fold in range(10):
        assert set(np.unique(labels[row == fold], return_counts=True)[1]) == {2}


def test_photographs_of_a_person_are_parted_by_the_paper_and_kept_together_by_subject():
    given = photographs()
    people = np.array([photograph.subject for photograph in given])

    def folds_of_a_person(protocol):
        (row,) = numbers(protocol, given)
        return [len(set(row[people == person])) for person in set(people)]

    assert max(folds_of_a_person(BY_SUBJECT)) == 1
    assert min(folds_of_a_person(STRATIFIED)) > 1


def test_every_repeat_is_split_anew_and_the_same_seed_splits_alike():
    given = photographs()
    first = numbers(BY_SUBJECT, given, repeats=2, seed=4)
    assert (first[0] != first[1]).any()
    np.testing.assert_array_equal(first, numbers(BY_SUBJECT, given, repeats=2, seed=4))
    assert (first != numbers(BY_SUBJECT, given, repeats=2, seed=14)).any()


@pytest.mark.parametrize("protocol", [PUBLISHED, AS_GIVEN])
def test_the_publisher_s_test_part_is_tested_the_training_part_learned_from_and_the_other_held_out(protocol):
    given = photographs(split=lambda person: ("train", "validation", "test")[person % 3])
    (row,) = numbers(protocol, given)
    expected = {"train": LEARNED, "validation": HELD_OUT, "test": 0}
    np.testing.assert_array_equal(row, [expected[photograph.split] for photograph in given])


def test_a_validation_part_is_tested_where_there_is_no_other():
    given = photographs(split=lambda person: ("train", "validation")[person % 2])
    (row,) = numbers(PUBLISHED, given)
    np.testing.assert_array_equal(row == 0, [photograph.split == "validation" for photograph in given])


def test_without_a_published_split_photographs_are_split_here():
    (row,) = numbers(AS_GIVEN, photographs())
    assert set(row) == set(range(10))


def test_a_missing_split_is_said_with_counts():
    given = photographs(people=4, split=lambda person: None if person else "train")
    with pytest.raises(DatasetError, match="21 of 28"):
        numbers(PUBLISHED, given)


def test_a_missing_part_is_named():
    with pytest.raises(DatasetError, match="'train'"):
        numbers(PUBLISHED, photographs(split=lambda person: "test"))


def test_folds_by_person_need_people():
    with pytest.raises(DatasetError, match="who is on the photographs"):
        numbers(BY_SUBJECT, photographs(named=False))


def test_who_is_not_named_counts_as_a_person_of_its_own():
    given = photographs(people=10) + [Photograph(ROOT / f"{k}.png", "happy", None) for k in range(20)]
    (row,) = numbers(BY_SUBJECT, given)
    assert len(set(row[70:])) > 5


def test_a_single_person_cannot_be_split_by_person():
    with pytest.raises(DatasetError, match="7 photographs of 1 people"):
        numbers(BY_SUBJECT, photographs(people=1))


def test_photographs_are_called_alike_wherever_their_set_lies(tmp_path, monkeypatch):
    names = []
    for machine in ("here", "there/below"):
        root, cache = tmp_path / machine / "set", tmp_path / machine / "cache"
        monkeypatch.setenv("DEEPEXP3D_CACHE", str(cache))
        paths = [
            root / "a" / "1.jpg",
            cache / "fer2013" / "abc" / "train" / "fer0000000.png",
            root.parent / "b" / "2.jpg",
        ]
        names.append([relative_name(path, root) for path in paths])
    assert names[0] == names[1] == ["a/1.jpg", "fer2013/abc/train/fer0000000.png", "../b/2.jpg"]


@pytest.mark.parametrize("benchmark", ["kdef", None])
def test_folds_come_back_from_their_file(tmp_path, benchmark):
    folds = draw_folds(photographs(), ROOT, BY_SUBJECT, repeats=3, seed=7, benchmark=benchmark)
    folds.save(tmp_path / "folds.json")
    assert Folds.load(tmp_path / "folds.json") == folds
    assert folds.repeats == 3


@pytest.mark.parametrize(
    "text", ["", "[]", '{"folds": {}}', '{"protocol": "paper", "seed": 1, "folds": {"a": [1], "b": [1, 2]}}']
)
def test_a_file_that_holds_no_folds_is_refused(tmp_path, text):
    path = tmp_path / "folds.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match="folds"):
        Folds.load(path)
