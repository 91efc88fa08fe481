"""Stress detection by subject: what it finds, what it must not find, and what it says of faulty sets."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from models.emotion.protocols import Folds
from models.emotion.settings import SearchSettings
from models.emotion.stress import (
    LEVELS,
    SRD15,
    PublishedSet,
    StressAnswers,
    StressTable,
    accuracies,
    cross_validate_stress,
    drawn_frames,
    evaluate_stress,
    stress_text,
    video_statistics,
)
from models.emotion.stress_settings import StressSettings
from models.errors import DatasetError

NO_SEARCH = SearchSettings("one_vs_all", None, ("rbf",), 1e-3, 1e3, evaluations=0, initial_evaluations=0, folds=2)
QUICK = StressSettings(folds=4, repeats=2, training_frames=200, tuning_frames=60, calibration_folds=0, search=NO_SEARCH)


def stress_table(*, people=12, phases=("2", "3"), frames=10, effect=0.0, person=0.0, seed=0):
    """Frames of a neutral and a stressful video of everybody in each phase.

    Stress moves every feature by `effect`; people differ by `person` from one another.
    """
    rng = np.random.default_rng(seed)
    rows = [(f"s{number:02d}", phase, label) for number in range(people) for phase in phases for label in (False, True)]
    offsets = person * rng.normal(size=(people, 28))
    features = [
        offsets[int(subject[1:])] + effect * label + rng.normal(size=(frames, 28)) for subject, _, label in rows
    ]
    subject, phase, label = (np.array(column) for column in zip(*rows, strict=True))
    return StressTable(np.concatenate(features), np.repeat(np.arange(len(rows)), frames), subject, phase, label)


@pytest.mark.parametrize("classifiers", ["phase", "all"])
def test_stress_that_shows_is_found_in_frames_and_better_in_whole_videos(classifiers):
    table = stress_table(effect=0.25)
    answers = cross_validate_stress(table, replace(QUICK, classifiers=classifiers), seed=0)
    phases, average = accuracies(table, answers)
    assert [phase.phase for phase in phases] == ["2", "3"]
    assert 0.65 < average["frames"].mean < 0.95
    assert average["video_mean_probability"].mean > average["frames"].mean
    assert average["video_majority"].mean > average["frames"].mean
    assert average["video_statistics"].mean > 0.65
    assert average["frames"].mean == pytest.approx(np.mean([phase.accuracy["frames"].mean for phase in phases]))


def test_every_frame_is_asked_once_in_every_repeat():
    table = stress_table(people=5)
    answers = cross_validate_stress(table, QUICK, seed=0)
    assert answers.frames.shape == (2, len(table.features))
    assert np.isfinite(answers.frames).all()
    assert answers.folds == 4


def test_shuffled_labels_score_chance():
    table = stress_table(people=24, effect=1.0)
    shuffled = replace(table, stressful=np.random.default_rng(3).permutation(table.stressful))
    searched = replace(NO_SEARCH, evaluations=3, initial_evaluations=2)
    answers = cross_validate_stress(shuffled, replace(QUICK, search=searched), seed=0)
    _, average = accuracies(shuffled, answers)
    for level in LEVELS:
        assert abs(average[level].mean - 0.5) < 0.15, level


def test_who_somebody_is_tells_nothing_about_their_stress():
    """Each person has one label throughout and a face of their own: frames split at random would be named all right."""
    table = stress_table(people=20, person=3.0)
    always = np.random.default_rng(1).permutation(20) < 10
    table = replace(table, stressful=always[[int(subject[1:]) for subject in table.subject]])
    _, average = accuracies(table, cross_validate_stress(table, QUICK, seed=0))
    assert average["frames"].mean < 0.75


def test_a_tested_subject_has_no_part_in_scaling_and_tuning():
    """Whoever is tested beside somebody is judged alike, whatever that somebody's face does."""
    table = stress_table(people=8, effect=0.5)
    searched = replace(NO_SEARCH, evaluations=3, initial_evaluations=2)
    settings = replace(QUICK, repeats=1, search=searched, calibration_folds=2)
    before = cross_validate_stress(table, settings, seed=0)
    odd = table.subject == "s00"
    changed = replace(table, features=np.where(odd[table.video][:, None], 50.0, table.features))
    after = cross_validate_stress(changed, settings, seed=0)
    same = (before.frames == after.frames)[0]
    mates = {subject for subject in np.unique(table.subject) if same[table.subject[table.video] == subject].all()}
    assert len(mates) == 1, "two people share a fold: the other one's answers must not have moved"
    assert "s00" not in mates


def test_the_same_seed_gives_the_same_answers_and_another_one_others():
    table = stress_table(people=6, effect=0.2, frames=40)
    settings = replace(QUICK, training_frames=60, repeats=1)
    first, again, other = (cross_validate_stress(table, settings, seed=seed).frames for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_answers_do_not_depend_on_the_number_of_processes():
    table = stress_table(people=4, phases=("2",), effect=0.3)
    alone, shared = (cross_validate_stress(table, QUICK, seed=1, workers=workers) for workers in (1, 2))
    np.testing.assert_array_equal(alone.frames, shared.frames)
    np.testing.assert_array_equal(alone.videos, shared.videos)
    assert alone.parameters == shared.parameters


def test_frames_are_drawn_evenly_and_what_short_videos_lack_comes_from_long_ones():
    video = np.repeat([0, 1, 2, 3], [2, 30, 30, 5])
    drawn = drawn_frames(video, np.array([0, 1, 2]), 20, np.random.default_rng(0))
    assert np.bincount(video[drawn], minlength=4).tolist() == [2, 9, 9, 0]
    assert len(np.unique(drawn)) == 20
    everything = drawn_frames(video, np.array([0, 3]), 1000, np.random.default_rng(0))
    np.testing.assert_array_equal(everything, np.flatnonzero(np.isin(video, [0, 3])))


def test_statistics_are_mean_and_deviation_of_each_video():
    table = stress_table(people=2, phases=("2",), frames=7)
    for place, row in enumerate(video_statistics(table)):
        own = table.features[table.video == place]
        np.testing.assert_allclose(row, np.concatenate([own.mean(axis=0), own.std(axis=0)]))


def test_accuracies_are_counted_by_phase_repeat_and_level():
    """Two videos of one phase: the first with three frames of which two are right, the second with one that is not."""
    table = StressTable(
        np.zeros((4, 28)), np.array([0, 0, 0, 1]), np.array(["a", "b"]), np.array(["2", "2"]), np.array([True, False])
    )
    answers = StressAnswers(np.array([[0.9, 0.1, 0.6, 0.7]]), np.array([[True, True]]), 2, [])
    (phase,), average = accuracies(table, answers)
    assert {level: value.mean for level, value in phase.accuracy.items()} == {
        "frames": 0.5,
        "video_mean_probability": 0.5,
        "video_majority": 0.5,
        "video_statistics": 0.5,
    }
    assert (phase.chance_frames, phase.chance_videos) == (0.75, 0.5)
    assert average["frames"].deviation is None, "one repeat has no deviation"


def test_too_few_videos_of_a_label_are_told_with_what_was_found():
    table = stress_table(people=6)
    one_label = replace(table, stressful=table.stressful & (table.phase == "2"))
    with pytest.raises(DatasetError, match="phase 3: 0 stressful and 12 non-stressful videos of 6 subjects"):
        cross_validate_stress(one_label, QUICK, seed=0)
    with pytest.raises(DatasetError, match="of 1 subjects"):
        cross_validate_stress(stress_table(people=1), QUICK, seed=0)


@pytest.mark.parametrize(
    ("name", "value"), [("folds", 1), ("repeats", 0), ("frame_stride", 0), ("classifiers", "video")]
)
def test_settings_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        replace(QUICK, **{name: value})


# A set of as few people as the one below has, for which the paper's figures would be.
SIX = PublishedSet("SRD'15", subjects=6, videos=36, tasks=1)


class Reader:
    """Stands in for what reads videos: made-up expressions by the name of the file."""

    expression_size = 28


@pytest.fixture
def stress_set(tmp_path, monkeypatch):
    """A set whose "videos" are small files; a file's name decides what is read in it. Returns its folder."""
    from models.emotion import stress_videos
    from models.errors import VideoError

    read = []

    def expressions(path, predictor, *, stride, max_side):
        read.append(path.name)
        if "broken" in path.name:
            raise VideoError(f"{path}: is not a video.")
        rng = np.random.default_rng(sum(path.name.encode()))
        values = rng.normal(size=(12, 28)) + 1.0 * path.name.startswith("yes")
        values[0] = np.nan
        if "faceless" in path.name:
            values[:] = np.nan
        return stress_videos.VideoExpressions(np.arange(12) * stride, np.arange(12) / 5, values.astype(np.float32))

    monkeypatch.setattr(stress_videos, "video_expressions", expressions)
    rows = [
        (f"{label}_{person}_{phase}.mp4", f"s{person}", phase, "task", {"yes": "stressful", "no": "neutral"}[label])
        for person in range(6)
        for phase in ("Social exposure", "2", "Stressful Videos")
        for label in ("yes", "no")
    ]
    for name, *_ in rows:
        (tmp_path / name).write_text(name)
    write_manifest(tmp_path, rows)
    return tmp_path, rows, read


def write_manifest(folder, rows, columns=("video", "subject", "phase", "task", "label")):
    with open(folder / "manifest.csv", "w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def test_a_set_is_evaluated_from_its_manifest(stress_set):
    root, _, read = stress_set
    result = evaluate_stress(root, settings=QUICK, seed=0, predictor=Reader())
    assert [phase.phase for phase in result.phases] == ["2", "4"]
    assert not any("Social" in name for name in read), "what is left out is not even read"
    assert result.average["video_majority"].mean > 0.9
    assert result.phases[0].frames == 12 * 11, "frames without a face do not count"
    told = result.to_json()
    assert told["phases"]["4"]["title"] == "Stressful videos"
    assert told["unusable_videos"] == []
    assert any("24 subjects" in problem and "6" in problem for problem in told["problems"])


def test_the_table_for_a_terminal_has_published_figures_beside_measured_ones(stress_set):
    root, _, _ = stress_set
    result = evaluate_stress(root, settings=QUICK, seed=0, predictor=Reader(), published=SIX)
    lines = stress_text(result).splitlines()
    assert [line[:16].strip() for line in lines[1:4]] == ["Emotional recall", "Stressful videos", "Average"]
    assert [line[32:42].strip() for line in lines[1:4]] == ["86.70", "88.83", ""]
    assert result.to_json()["published"] == {"2": 86.7, "4": 88.83}
    assert f"{100 * result.average['frames'].mean:.2f} ±" in lines[3]
    assert lines[5].startswith("4 folds by subject, repeated 2 times")
    assert result.problems == ()


def test_figures_of_a_part_of_the_set_are_marked_and_said_to_be(stress_set):
    root, *_ = stress_set
    result = evaluate_stress(
        root, settings=QUICK, seed=0, predictor=Reader(), published=replace(SIX, videos=48, tasks=4)
    )
    text = stress_text(result)
    assert "86.70 *" in text
    assert "* of all of SRD'15, not of the videos that took part here" in text
    assert not result.to_json()["complete"]


def test_another_set_has_nothing_published_beside_it(stress_set):
    root, *_ = stress_set
    result = evaluate_stress(root, settings=QUICK, seed=0, predictor=Reader())
    assert "86.70" not in stress_text(result)
    assert "SRD'15 has 24 subjects, the manifest lists 6: it is taken for another set" in result.problems[0]
    told = result.to_json()
    assert (told["compared"], told["published"], told["synthetic"]) == (None, {}, False)


def test_rendered_videos_are_called_synthetic_and_compared_with_nothing(stress_set):
    root, *_ = stress_set
    (root / "SYNTHETIC.txt").write_text("rendered\n")
    result = evaluate_stress(root, settings=QUICK, seed=0, predictor=Reader(), published=SIX)
    assert "Synthetic: the videos are rendered" in stress_text(result)
    assert "86.70" not in stress_text(result)
    assert result.to_json()["synthetic"] is True


def test_stored_folds_give_the_same_answers_with_another_seed(stress_set, tmp_path):
    root, *_ = stress_set
    first = evaluate_stress(root, settings=QUICK, seed=3, predictor=Reader())
    first.drawn.save(tmp_path / "folds.json")
    again = evaluate_stress(
        root, settings=replace(QUICK, repeats=1), seed=8, predictor=Reader(), folds=Folds.load(tmp_path / "folds.json")
    )
    assert again.to_json() == first.to_json()
    assert again.drawn == first.drawn


def test_folds_that_are_of_other_videos_or_part_a_person_are_refused(stress_set):
    root, rows, _ = stress_set
    drawn = evaluate_stress(root, settings=QUICK, seed=3, predictor=Reader()).drawn
    name = "yes_0_2.mp4"
    parted = replace(drawn, numbers=drawn.numbers | {name: tuple(1 - fold % 2 for fold in drawn.numbers[name])})
    with pytest.raises(DatasetError, match="the folds part the videos of s0"):
        evaluate_stress(root, settings=QUICK, predictor=Reader(), folds=parted)
    with pytest.raises(DatasetError, match="the folds are of 'kdef'"):
        evaluate_stress(root, settings=QUICK, predictor=Reader(), folds=replace(drawn, benchmark="kdef"))
    write_manifest(root, [row for row in rows if row[0] != name])
    with pytest.raises(DatasetError, match=r"24 videos, of which the manifest lacks 1 \(such as yes_0_2.mp4"):
        evaluate_stress(root, settings=QUICK, predictor=Reader(), folds=drawn)


def test_videos_that_cannot_be_used_are_told_and_the_others_go_on(stress_set):
    root, rows, _ = stress_set
    extra = [(f"{name}.mp4", "s1", "2", "task", "stressful") for name in ("yes_broken", "yes_faceless", "yes_gone")]
    for name in ("yes_broken", "yes_faceless"):
        (root / f"{name}.mp4").write_text(name)
    write_manifest(root, [*extra, *rows])
    result = evaluate_stress(root, settings=QUICK, seed=0, predictor=Reader(), published=None)
    reasons = {reading.video.path.name: reading.status for reading in result.unusable}
    assert set(reasons) == {"yes_broken.mp4", "yes_faceless.mp4", "yes_gone.mp4"}
    assert "not a video" in reasons["yes_broken.mp4"]
    assert reasons["yes_faceless.mp4"] == "no face"
    assert "no such file" in reasons["yes_gone.mp4"]
    assert result.problems[0].startswith("3 of 27 videos took no part")
    assert result.average["video_majority"].mean > 0.9


def test_an_interrupted_run_does_not_read_finished_videos_again(stress_set, tmp_path):
    root, _, read = stress_set
    cache = tmp_path / "cache"
    first = evaluate_stress(root, settings=QUICK, seed=0, predictor=Reader(), cache=cache)
    assert len(read) == 24
    (root / "yes_0_2.mp4").write_text("exchanged")
    read.clear()
    again = evaluate_stress(root, settings=QUICK, seed=0, predictor=Reader(), cache=cache)
    assert read == ["yes_0_2.mp4"]
    assert again.to_json() == first.to_json()
    read.clear()
    evaluate_stress(root, settings=replace(QUICK, frame_stride=2), seed=0, predictor=Reader(), cache=cache)
    assert len(read) == 24, "other frames are asked for"


def test_one_video_under_two_subjects_is_a_leak_that_is_told(stress_set):
    root, _, _ = stress_set
    (root / "yes_1_2.mp4").write_text((root / "yes_0_2.mp4").read_text())
    result = evaluate_stress(root, settings=QUICK, seed=0, predictor=Reader(), published=SRD15)
    assert "(s0, s1)" in result.problems[-1]


def test_fewer_folds_than_asked_for_are_told(stress_set):
    root, _, _ = stress_set
    result = evaluate_stress(root, settings=replace(QUICK, folds=9), seed=0, predictor=Reader())
    assert result.folds == 6
    assert any("9 folds were asked for" in problem for problem in result.problems)


def test_a_set_of_which_nothing_can_be_used_is_refused(stress_set):
    root, rows, _ = stress_set
    with pytest.raises(DatasetError, match="left out"):
        evaluate_stress(root, settings=replace(QUICK, left_out_phases=("1", "2", "4")), predictor=Reader())
    for name, *_ in rows:
        (root / name).unlink()
    with pytest.raises(DatasetError, match=r"none of the 24 videos can be used.*no such file"):
        evaluate_stress(root, settings=QUICK, predictor=Reader())
