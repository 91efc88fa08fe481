"""An evaluation counts what it says it counts, and says what is wrong with a set."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.emotion.benchmark_evaluation import (
    OpenedBenchmark,
    compare_features,
    evaluate_features,
    known_protocols,
    open_benchmark,
)
from models.emotion.benchmark_files import FIGURES, write_folder
from models.emotion.benchmark_result import comparison_json
from models.emotion.benchmark_tables import benchmarks_text, results_text
from models.emotion.benchmarks import BENCHMARKS
from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.detections import Detections
from models.emotion.features import FeatureTable
from models.emotion.labels import EMOTIONS
from models.emotion.protocols import Folds, Measure, draw_folds
from models.emotion.settings import EvaluationSettings, SearchSettings
from models.errors import DatasetError

PEOPLE = 12
CODES = ("NE", "AN", "DI", "AF", "HA", "SA", "SU")
ONE_TRY = EvaluationSettings(search=SearchSettings(evaluations=1, folds=2))


def write_set(root: Path, people: int = PEOPLE, sessions: str = "A") -> None:
    """KDEF, frontal: files whose contents nobody looks at, each another."""
    for person in range(people):
        for session in sessions:
            stem = f"{session}{'FM'[person % 2]}{person // 2 + 1:02d}"
            (root / stem).mkdir(parents=True)
            for code in CODES:
                (root / stem / f"{stem}{code}S.JPG").write_text(f"{stem}{code}")


def read_without_opening(name: str, root: Path | str) -> DatasetContents:
    """KDEF as its reader gives it, of files that are no pictures."""
    codes = dict(zip(CODES, EMOTIONS, strict=True))
    photographs = tuple(
        Photograph(
            path,
            codes[path.stem[4:6]],
            path.stem[1:4],
            take=path.stem[0],
            attributes={"gender": {"F": "female", "M": "male"}[path.stem[1]], "age": "23"},
        )
        for path in sorted(Path(root).glob("*/*.JPG"))
    )
    return DatasetContents("kdef", Path(root), photographs, {"profile view": 3}, ("Two photographs are missing.",))


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("models.emotion.benchmark_evaluation.read_dataset", read_without_opening)
    write_set(tmp_path / "KDEF")
    return tmp_path / "KDEF"


@pytest.fixture
def opened(root) -> OpenedBenchmark:
    return open_benchmark("kdef_frontal", root, seed=1)


def table_of(opened: OpenedBenchmark, noise: float = 0.5, seed: int = 0) -> FeatureTable:
    """Features that tell the emotion as well as the noise allows."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(7, 10))
    places = [EMOTIONS.index(label) for label in opened.labels]
    values = centres[places] + noise * rng.normal(size=(len(places), 10))
    return FeatureTable(tuple(one.path for one in opened.photographs), values)


def evaluated(opened: OpenedBenchmark, table: FeatureTable, protocol: str = "subject", settings=ONE_TRY, **options):
    chosen = opened.benchmark.protocol(protocol)
    folds = draw_folds(opened.photographs, opened.root, chosen, repeats=settings.repeats, seed=opened.seed)
    return evaluate_features(opened, table, chosen, folds, settings, **options)


def test_figures_follow_from_the_answers(opened):
    result = evaluated(opened, table_of(opened), settings=replace(ONE_TRY, repeats=2))
    right = np.array([[answer == result.truth[name] for answer in row] for name, row in result.answers.items()])
    assert result.accuracy == pytest.approx(right.mean())
    assert result.deviation == pytest.approx(right.mean(axis=0).std(ddof=1))
    assert result.confusion.sum() == 2 * 7 * PEOPLE
    assert result.confusion.trace() == right.sum()
    happy = [row for name, row in zip(result.answers, right, strict=True) if result.truth[name] == "happy"]
    assert result.class_accuracy["happy"] == pytest.approx(np.mean(happy))
    assert result.chance == pytest.approx(1 / 7)
    assert 0.5 < result.accuracy < 1
    assert len(result.parameters) == 20
    assert result.counts == dict.fromkeys(EMOTIONS, PEOPLE)


def test_subgroups_are_those_that_the_set_tells(opened):
    result = evaluated(opened, table_of(opened))
    female = [name for name in result.answers if "/AF" in f"/{name}"]
    right = np.mean([result.answers[name][0] == result.truth[name] for name in female])
    assert result.subgroups["gender"]["female"] == {"accuracy": pytest.approx(right), "photographs": len(female)}
    assert set(result.subgroups["gender"]) == {"female", "male"}
    assert list(result.subgroups["age"]) == ["20 to 29"]
    assert "ethnicity" not in result.subgroups


def test_shuffled_labels_score_chance(opened):
    table = table_of(opened)
    order = np.random.default_rng(3).permutation(len(table.values))
    settings = replace(ONE_TRY, search=SearchSettings(evaluations=4, initial_evaluations=4, folds=2))
    result = evaluated(opened, replace(table, values=table.values[order]), settings=settings)
    assert abs(result.accuracy - 1 / 7) < 0.13


@pytest.mark.parametrize(("policy", "images"), [("leave_out", 7 * PEOPLE - 4), ("wrong", 7 * PEOPLE)])
def test_photographs_without_a_face_are_left_out_or_count_as_wrong(opened, policy, images):
    table = table_of(opened, noise=0.01)
    table.values[:4] = np.nan
    result = evaluated(opened, table, without_face=policy)
    assert (result.without_face_count, result.asked_without_face) == (4, 4)
    assert result.accuracy == pytest.approx(1 if policy == "leave_out" else 1 - 4 / (7 * PEOPLE))
    assert result.to_json()["images"] == images
    assert result.confusion.sum() == 7 * PEOPLE - 4
    assert all(result.answers[name] == ("",) for name in list(result.answers)[:4])


def test_an_unknown_policy_is_refused(opened):
    with pytest.raises(DatasetError, match="leave_out, wrong"):
        evaluated(opened, table_of(opened), without_face="ignore")


def test_class_averages_weigh_every_class_alike(opened):
    """Of a rare class all answers are wrong."""
    rare = [place for place, label in enumerate(opened.labels) if label == "sad"][6:]
    kept = [place for place in range(len(opened.labels)) if place not in rare]
    fewer = replace(opened, photographs=tuple(opened.photographs[place] for place in kept))
    table = table_of(fewer, noise=0.01)
    table.values[fewer.labels == "sad"] = table.values[fewer.labels == "happy"][:6]
    protocol = replace(fewer.benchmark.paper, measure=Measure.CLASS_AVERAGE, folds=2)
    folds = draw_folds(fewer.photographs, fewer.root, protocol, repeats=1, seed=0)
    result = evaluate_features(fewer, table, protocol, folds, ONE_TRY)
    assert result.class_accuracy["sad"] == 0
    assert result.accuracy == pytest.approx(np.mean(list(result.class_accuracy.values())))
    assert result.accuracy < 6.01 / 7


def test_the_paper_s_figure_stands_beside_its_own_protocol_alone(opened):
    assert evaluated(opened, table_of(opened), "paper").published.accuracy == 92.24
    assert evaluated(opened, table_of(opened), "subject").published is None


def test_stored_folds_give_the_same_photographs_folds_and_figures(root, opened, tmp_path):
    first = evaluated(opened, table_of(opened))
    first.folds.save(tmp_path / "folds.json")
    folds = Folds.load(tmp_path / "folds.json")
    again = open_benchmark("kdef_frontal", root, seed=99, folds=folds)
    second = evaluate_features(again, table_of(again), again.benchmark.protocol("subject"), folds, ONE_TRY)
    assert second.accuracy == first.accuracy
    assert second.answers == first.answers
    assert second.seed == 1
    assert known_protocols(again, folds) == ["subject"]


def with_splits(opened: OpenedBenchmark, split) -> OpenedBenchmark:
    """The photographs as a manifest's, with the parts that a function of their number says."""
    named = (replace(one, split=split(place)) for place, one in enumerate(opened.photographs))
    return replace(opened, benchmark=BENCHMARKS["custom"], photographs=tuple(named))


def test_a_validation_part_is_held_out_and_said_to_be(opened):
    """Whatever it holds changes no answer."""
    parts = with_splits(opened, lambda place: ("train", "test", "validation")[place // 7 % 3])
    table = table_of(parts)
    before = evaluated(parts, table, "paper")
    held_out = np.array([photograph.split == "validation" for photograph in parts.photographs])
    table.values[held_out] = 100.0
    assert evaluated(parts, table, "paper").answers == before.answers
    assert "28 photographs of the set's validation part are held out" in " ".join(before.problems)
    assert before.asked == before.confusion.sum() == 28
    assert before.description == "the set's own split"
    text = results_text([replace(before, features="deepexp3d")])
    assert "--repeats" not in text, "the split would be the same again"


def test_a_split_with_gaps_is_not_replaced_by_folds_unsaid(opened):
    gaps = with_splits(opened, lambda place: None if place < 3 else ("train", "test")[place % 2])
    result = evaluated(gaps, table_of(gaps), "paper")
    assert "3 of 84 photographs have no split in the manifest" in " ".join(result.problems)
    assert result.description.startswith("10 stratified folds of photographs")
    without = with_splits(opened, lambda place: None)
    assert "manifest" not in " ".join(evaluated(without, table_of(without), "paper").problems)


def test_folds_of_another_folder_are_refused_with_counts(root, opened, tmp_path):
    folds = evaluated(opened, table_of(opened)).folds
    (root / "AF01" / "AF01HAS.JPG").unlink()
    with pytest.raises(DatasetError, match=r"84 photographs, of which 1 are not there \(such as AF01/AF01HAS"):
        open_benchmark("kdef_frontal", root, folds=folds)


def test_folds_of_another_protocol_are_refused(opened):
    folds = evaluated(opened, table_of(opened)).folds
    with pytest.raises(DatasetError, match="drawn for the protocol 'subject'"):
        next(compare_features(opened, ["shared_fit"], ["paper"], folds=folds))


def test_folds_of_another_benchmark_are_refused_by_their_name(root, opened):
    folds = replace(evaluated(opened, table_of(opened)).folds, benchmark="kdef")
    with pytest.raises(DatasetError, match="drawn for 'kdef', asked for is 'kdef_frontal'"):
        open_benchmark("kdef_frontal", root, folds=folds)


def test_folds_that_do_not_say_whose_they_are_are_known_by_their_photographs(tmp_path, root):
    """Both sessions of a person are no pick of one of them."""
    write_set(tmp_path / "both", people=3, sessions="AB")
    both = open_benchmark("kdef", tmp_path / "both")
    folds = draw_folds(both.photographs, both.root, both.benchmark.paper, repeats=1, seed=0)
    with pytest.raises(DatasetError, match=r"21 of 42 photographs that are no part of 'kdef_frontal' \(such as"):
        open_benchmark("kdef_frontal", tmp_path / "both", folds=folds)
    assert open_benchmark("kdef", tmp_path / "both", folds=folds).names == both.names


def test_what_a_reader_must_know_is_said(opened):
    problems = " ".join(evaluated(opened, table_of(opened)).problems)
    assert "Two photographs are missing." in problems
    assert "490 photographs, 84 of them are here" in problems


def test_too_few_people_for_ten_folds_are_said(tmp_path, root):
    write_set(tmp_path / "few", people=4)
    few = open_benchmark("kdef_frontal", tmp_path / "few")
    problems = " ".join(evaluated(few, table_of(few)).problems)
    assert "Expected 10 folds, made 4: there are 4 photographs of" in problems
    assert "there are 4 people" in problems


def test_a_published_figure_beside_a_part_of_the_set_is_marked_and_said_to_be_of_the_whole(opened):
    without_sad = replace(opened, photographs=tuple(one for one in opened.photographs if one.label != "sad"))
    result = evaluated(without_sad, table_of(without_sad), "paper")
    problems = " ".join(result.problems)
    assert "No photograph is sad: fewer emotions are easier to tell apart." in problems
    assert (
        "* The published figure is of the whole set and does not compare with this one: no photograph is sad; "
        "72 of 490 photographs are here." in problems
    )
    assert not result.to_json()["complete"]
    assert "92.24 ± 0.70 *" in results_text([replace(result, features="deepexp3d")])


def test_of_a_whole_set_nothing_is_marked(opened):
    whole = replace(opened, benchmark=replace(opened.benchmark, expected=84))
    result = evaluated(whole, table_of(whole), "paper")
    assert result.complete
    assert "*" not in results_text([replace(result, features="deepexp3d")])


def test_the_papers_protocol_is_repeated_ten_times_where_nobody_asks_for_less(opened):
    settings = replace(ONE_TRY, repeats=None, search=SearchSettings(evaluations=0, folds=2))
    tables = {"deepexp3d": table_of(opened)}
    asked = {
        protocol: next(compare_features(opened, ["deepexp3d"], [protocol], settings=settings, tables=tables))
        for protocol in ("paper", "subject")
    }
    assert {name: result.folds.repeats for name, result in asked.items()} == {"paper": 10, "subject": 1}
    assert asked["paper"].deviation is not None
    text = results_text(list(asked.values()))
    assert "subject: one repeat, whose deviation is that of its folds; --repeats 10 splits anew" in text


def test_identical_photographs_in_different_folds_are_warned_of(root):
    (root / "AF01" / "AF01HAS.JPG").write_bytes((root / "AM03" / "AM03HAS.JPG").read_bytes())
    opened = open_benchmark("kdef_frontal", root)
    problems = " ".join(evaluated(opened, table_of(opened), "paper").problems)
    assert "1 photographs are there more than once" in problems
    assert "AF01/AF01HAS.JPG and AM03/AM03HAS.JPG" in problems


def test_identical_photographs_in_one_fold_do_no_harm(root):
    (root / "AF01" / "AF01HAS.JPG").write_bytes((root / "AF01" / "AF01SAS.JPG").read_bytes())
    opened = open_benchmark("kdef_frontal", root)
    assert "more than once" not in " ".join(evaluated(opened, table_of(opened), "subject").problems)


def test_a_class_without_faces_is_named_with_what_was_found(opened):
    table = table_of(opened)
    table.values[opened.labels == "sad"] = np.nan
    with pytest.raises(DatasetError, match="0 of 'sad'"):
        evaluated(opened, table)


def test_too_few_people_to_tune_on_are_said(tmp_path, root):
    write_set(tmp_path / "two", people=2, sessions="AB")
    two = open_benchmark("kdef", tmp_path / "two")
    with pytest.raises(DatasetError, match=r"too small to be tuned on: .*two people"):
        evaluated(two, table_of(two))


def test_an_unknown_benchmark_lists_those_there_are():
    with pytest.raises(DatasetError, match=r"kdeff: .*kdef_frontal"):
        open_benchmark("kdeff", Path())


def test_a_data_set_s_name_is_answered_with_its_benchmarks():
    with pytest.raises(DatasetError, match=r"rafd: .*radfd_frontal, radfd_semiprofile\.$"):
        open_benchmark("rafd", Path())


def test_a_set_without_the_wanted_photographs_says_what_it_has(root):
    with pytest.raises(DatasetError, match=r"semiprofile.*expected.*45 degrees.*found 84 photographs, of the views 0"):
        open_benchmark("kdef_semiprofile", root)


@pytest.mark.parametrize(
    ("features", "protocols", "name"), [(["mine"], ["paper"], "mine"), (["shared_fit"], ["his"], "his")]
)
def test_unknown_features_and_protocols_are_named(opened, features, protocols, name):
    with pytest.raises(DatasetError, match=name):
        next(compare_features(opened, features, protocols))


def test_all_features_are_compared_on_the_same_folds(opened, monkeypatch):
    detected = []

    def detect(paths, *arguments, **options):
        detected.append(len(paths))
        return Detections(np.zeros((len(paths), 68, 2)), np.zeros((len(paths), 146, 2)), {paths[3]: "damaged"})

    monkeypatch.setattr("models.emotion.benchmark_evaluation.detect_photographs", detect)
    monkeypatch.setattr(
        "models.emotion.benchmark_evaluation.compute_features",
        lambda name, *arguments, **options: table_of(opened, noise={"image_fit": 1.5, "blendshapes": 0.2}[name]),
    )
    monkeypatch.setattr("models.emotion.benchmark_evaluation.versions", lambda *arguments: {"numpy": "2"})
    results = list(compare_features(opened, ["image_fit", "blendshapes"], ["paper", "subject"], settings=ONE_TRY))
    assert detected == [84]
    assert [(one.features, one.protocol) for one in results] == [
        (features, protocol) for features in ("image_fit", "blendshapes") for protocol in ("paper", "subject")
    ]
    assert results[0].folds == results[2].folds
    assert results[1].folds == results[3].folds != results[0].folds
    assert results[2].accuracy > results[0].accuracy
    assert "1 photographs cannot be read" in results[0].problems[-1]
    assert set(results[0].seconds) == {"landmarks", "features", "evaluation"}


@pytest.fixture
def results(opened):
    return [
        replace(evaluated(opened, table_of(opened), protocol), features="deepexp3d", seconds={"landmarks": 2.0})
        for protocol in ("paper", "subject")
    ]


def test_the_file_of_figures_has_the_first_result_on_top_and_all_below(results):
    tree = json.loads(json.dumps(comparison_json(results)))
    assert tree["accuracy"] == pytest.approx(results[0].accuracy, abs=1e-6)
    assert [one["protocol"] for one in tree["results"]] == ["paper", "subject"]
    assert tree["published"] == {"accuracy": 92.24, "deviation": 0.7}
    assert tree["results"][1]["published"] is None
    assert tree["results"][1]["by_subject"]
    assert tree["left_out"] == {"profile view": 3}


def test_a_folder_of_results_holds_figures_folds_answers_and_pictures(results, tmp_path):
    write_folder(results, tmp_path)
    answers = pd.read_csv(tmp_path / "answers-deepexp3d-subject.csv")
    assert len(answers) == 84
    assert (answers.label == answers.answer_0).mean() == pytest.approx(results[1].accuracy)
    assert Folds.load(next(tmp_path.glob("*-folds-paper.json"))) == results[0].folds
    assert (tmp_path / "confusion-deepexp3d-paper.png").stat().st_size > 5000
    assert json.loads((tmp_path / FIGURES).read_text())["people"] == PEOPLE


def test_the_table_shows_measured_beside_published(results):
    text = results_text(results)
    lines = text.splitlines()
    assert lines[0] == "KDEF, frontal: 84 photographs of 12 people, no face found in 0"
    (paper,) = [line for line in lines if line.startswith("deepexp3d  paper") and "92.24 ± 0.70" in line]
    assert f"{100 * results[0].accuracy:.1f}" in paper
    assert "gender: female" in text
    assert text.count("Two photographs are missing.") == 1
    assert max(map(len, lines)) <= 120


def test_every_benchmark_is_listed_with_its_source():
    text = benchmarks_text()
    assert all(name in text for name in BENCHMARKS)
    assert "rafd.nl" in text
    assert "kdef_frontal, published: 92.24 ± 0.70 %" in text
    assert max(map(len, text.splitlines())) <= 120
