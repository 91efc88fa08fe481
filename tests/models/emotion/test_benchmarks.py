"""Every benchmark takes the photographs that section IV-A takes."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from models.emotion.benchmarks import BENCHMARKS, Selection
from models.emotion.datasets import DATASETS
from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.labels import EMOTIONS
from models.emotion.protocols import Measure, Splitting

ROOT = Path("set")


def several_views(people: int, takes: tuple[str, ...]) -> DatasetContents:
    """A set as RaFD or KDEF is: everybody, every emotion, five angles and each of the takes."""
    photographs = [
        Photograph(
            ROOT / f"{person}{emotion}{view:+.0f}{take}.jpg", emotion, f"p{person}", view, f"{person}{emotion}", take
        )
        for person in range(people)
        for emotion in EMOTIONS
        for view in (-90.0, -45.0, 0.0, 45.0, 90.0)
        for take in takes
    ]
    return DatasetContents("set", ROOT, tuple(sorted(photographs, key=lambda one: one.path)), {}, ())


RAFD = several_views(67, ("frontal", "left", "right"))
KDEF = several_views(70, ("A", "B"))


def test_rafd_frontal_is_67_people_in_seven_emotions_who_look_straight_ahead():
    chosen = BENCHMARKS["radfd_frontal"].select(RAFD, seed=0)
    assert len(chosen) == BENCHMARKS["radfd_frontal"].expected == 67 * 7
    assert {(one.view, one.take) for one in chosen} == {(0.0, "frontal")}


def test_rafd_semi_profile_takes_one_side_of_each_person():
    chosen = BENCHMARKS["radfd_semiprofile"].select(RAFD, seed=0)
    assert len(chosen) == 469
    sides = {one.subject: one.view for one in chosen}
    assert all(one.view == sides[one.subject] for one in chosen)
    assert min(Counter(sides.values()).values()) > 20
    assert set(sides.values()) == {-45.0, 45.0}


def test_kdef_frontal_takes_one_session_of_each_person_and_emotion():
    chosen = BENCHMARKS["kdef_frontal"].select(KDEF, seed=0)
    assert len(chosen) == 490
    assert set(Counter((one.subject, one.label) for one in chosen).values()) == {1}
    assert min(Counter(one.take for one in chosen).values()) > 200
    assert len({one.take for one in chosen if one.subject == "p3"}) == 2


def test_kdef_semi_profile_is_one_photograph_of_each_person_and_emotion():
    chosen = BENCHMARKS["kdef_semiprofile"].select(KDEF, seed=0)
    assert len(chosen) == 490
    assert {abs(one.view) for one in chosen} == {45.0}


def test_all_of_kdef_s_frontal_photographs_are_a_benchmark_too():
    assert len(BENCHMARKS["kdef"].select(KDEF, seed=0)) == 980


@pytest.mark.parametrize("name", ["radfd_semiprofile", "kdef_frontal", "kdef_semiprofile"])
def test_the_seed_alone_decides_what_is_picked(name):
    contents = RAFD if name.startswith("radfd") else KDEF
    backwards = replace(contents, photographs=contents.photographs[::-1])
    first = BENCHMARKS[name].select(contents, seed=5)
    assert first == BENCHMARKS[name].select(backwards, seed=5)
    assert first != BENCHMARKS[name].select(contents, seed=6)


def sequences() -> DatasetContents:
    """CK+: two sequences of each of three people, the first frame neutral, the last at the peak."""
    photographs = [
        Photograph(
            ROOT / f"{person}/{number}/{take}.png", label if take == "peak" else "neutral", f"p{person}", take=take
        )
        for person in range(3)
        for number, label in enumerate(("happy", "sad"))
        for take in ("onset", "peak")
    ]
    return DatasetContents("ckplus", ROOT, tuple(photographs), {"contempt": 1}, ())


def test_ck_takes_the_peaks_alone():
    chosen = BENCHMARKS["ckplus"].select(sequences(), seed=0)
    assert Counter(one.label for one in chosen) == {"happy": 3, "sad": 3}


def test_ck_with_seven_classes_has_one_neutral_face_of_each_person():
    chosen = BENCHMARKS["ckplus_neutral"].select(sequences(), seed=0)
    assert Counter(one.label for one in chosen) == {"happy": 3, "sad": 3, "neutral": 3}
    assert len({one.subject for one in chosen if one.label == "neutral"}) == 3


def test_an_empty_set_gives_an_empty_selection():
    assert Selection(one_view=True, one_take=True, neutral="one").of((), seed=0) == ()


def test_every_benchmark_takes_a_set_that_is_described():
    assert {benchmark.dataset for benchmark in BENCHMARKS.values()} <= set(DATASETS)
    assert all(benchmark.name == name for name, benchmark in BENCHMARKS.items())


def test_what_table_iii_states_stands_beside():
    published = BENCHMARKS["kdef_frontal"].published
    assert (published.accuracy, published.deviation) == (92.24, 0.70)
    assert BENCHMARKS["kdef_semiprofile"].published is None


def test_averages_of_classes_are_taken_where_the_paper_takes_them():
    averaged = {name for name, one in BENCHMARKS.items() if one.paper.measure is Measure.CLASS_AVERAGE}
    assert averaged == {"rafdb", "cfee", "affectnet"}
    assert BENCHMARKS["rafdb"].paper.splitting is Splitting.PUBLISHED


def test_every_benchmark_can_be_split_by_person():
    assert all(one.protocol("subject").keeps_people_together for one in BENCHMARKS.values())
    assert not any(one.protocol("paper").keeps_people_together for one in BENCHMARKS.values())
    with pytest.raises(KeyError):
        BENCHMARKS["cfee"].protocol("mine")
