"""The emotion benchmark measures what its keys say."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.emotion import SETS, key_of, made_up_people, measure_protocol, measure_search, shuffled
from models.emotion.benchmark_evaluation import OpenedBenchmark
from models.emotion.benchmarks import BENCHMARKS
from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.labels import EMOTIONS
from models.emotion.settings import EvaluationSettings, SearchSettings


@dataclass(frozen=True)
class Named:
    """As much of a result as its key depends on."""

    benchmark: str
    features: str
    protocol: str


@pytest.mark.parametrize(
    ("result", "key"),
    [
        (Named("radfd_frontal", "deepexp3d", "paper"), "synthetic_radfd_frontal"),
        (Named("kdef_semiprofile", "deepexp3d", "subject"), "synthetic_kdef_semiprofile_subject"),
        (Named("kdef_frontal", "shared_fit", "paper"), "synthetic_kdef_frontal_shared_fit"),
    ],
)
def test_keys_name_benchmark_features_and_protocol(result, key):
    assert key_of(result) == key


def test_every_rendered_set_has_benchmarks_of_its_own():
    for dataset, names in SETS.items():
        assert {BENCHMARKS[name].dataset for name in names} == {dataset}


def test_shuffling_changes_whose_label_is_whose_and_nothing_else():
    photographs = tuple(Photograph(Path(f"{k:02d}.png"), EMOTIONS[k % 7], f"p{k // 7}") for k in range(70))
    contents = DatasetContents("kdef", Path(), photographs, {}, ())
    opened = OpenedBenchmark(BENCHMARKS["kdef"], contents, photographs, 0)
    mixed = shuffled(opened)
    assert sorted(mixed.labels) == sorted(opened.labels)
    assert (mixed.labels == opened.labels).mean() < 0.4
    np.testing.assert_array_equal(mixed.people, opened.people)


def test_the_protocol_is_timed_as_a_whole():
    settings = EvaluationSettings(folds=2, search=SearchSettings(evaluations=1, folds=2))
    figures = measure_protocol(42, settings, workers=1)
    assert set(figures) == {"protocol_seconds_42"}
    assert figures["protocol_seconds_42"] > 0


def test_what_the_search_is_worth_is_told_beside_a_plain_machine():
    settings = EvaluationSettings(folds=2, search=SearchSettings(evaluations=2, initial_evaluations=1, folds=2))
    figures = measure_search(8, 1, settings, workers=1)
    assert set(figures) == {"plain_svm", "tuned", "tuned_5_folds"}
    assert all(1 / 7 < value <= 1 for value in figures.values())


def test_made_up_people_show_every_emotion_once():
    features, labels, people = made_up_people(5, seed=1)
    assert features.shape == (35, 28)
    assert all(sorted(labels[people == person]) == sorted(EMOTIONS) for person in range(5))
