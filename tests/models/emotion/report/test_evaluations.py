"""Figures that were measured by command stand in the tables by the rules of the pipeline's own."""

import json
from dataclasses import replace

import pytest

from models.emotion.report.evaluations import read_evaluations, with_evaluations
from models.emotion.report.measurements import MeasuredAccuracy, Measurements
from models.emotion.report.tables import NOT_RUN, all_tables

LEVELS = ("frames", "video_mean_probability", "video_majority", "video_statistics")
OWN = MeasuredAccuracy(0.8, None, 490, "deepexp3d", "10 folds", False, False)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def result(accuracy=0.9, **changes):
    return {
        "benchmark": "kdef_frontal",
        "accuracy": accuracy,
        "deviation": 0.01,
        "images": 490,
        "features": "deepexp3d",
        "protocol": "paper",
        "by_subject": False,
        "synthetic": False,
        "complete": True,
        "class_accuracy": {"happy": 0.99},
        "problems": [],
    } | changes


def put(folder, name, tree):
    folder.joinpath(name).write_text(tree if isinstance(tree, str) else json.dumps(tree))


def shown(folder, measured=None):
    """Tables by name, each as the texts of its rows, and what was left out."""
    evaluations, left_out = read_evaluations(folder)
    measured = with_evaluations(replace(measured or Measurements(), left_out=left_out), evaluations)
    return {
        table.name: [[cell.text for cell in row.cells] for row in table.rows] for table in all_tables(measured)
    }, measured


def own_row(found, published):
    (row,) = (row for row in found["table_3"] if row[2] == published)
    return row[3:]


def test_without_a_folder_nothing_changes(tmp_path):
    assert read_evaluations(tmp_path / "absent") == ((), ())


def test_an_evaluated_benchmark_stands_beside_its_published_row_with_its_file(folder):
    subject = result(0.85, by_subject=True, protocol="subject", deviation=None)
    put(folder, "kdef.json", result() | {"results": [result(), subject]})
    put(folder, "kdef-folds-paper.json", {"benchmark": "kdef_frontal", "protocol": "paper", "seed": 3, "folds": {}})
    found, measured = shown(folder)
    assert own_row(found, "92.24 ± 0.70") == ["90.00 ± 1.00", "85.00", "490 images, kdef.json"]
    assert measured.left_out == ()


def test_a_part_of_a_set_is_marked_and_rendered_people_stand_apart(folder):
    put(folder, "part.json", result(complete=False))
    put(folder, "rendered.json", result(0.7, benchmark="ckplus", synthetic=True, complete=False))
    found, measured = shown(folder)
    assert own_row(found, "92.24 ± 0.70")[0] == "90.00 ± 1.00 *"
    assert own_row(found, "96.45 ± 0.8")[0] == NOT_RUN
    assert found["rendered_accuracies"][0][:2] == ["CK+", "70.00 ± 1.00"]
    notes = next(table for table in all_tables(measured) if table.name == "table_3").notes
    assert any(note.startswith("* Not of all of the set") for note in notes)


def test_several_features_are_compared_and_other_sets_have_rows_of_their_own(folder):
    fits = [result(0.9 - 0.1 * place, features=name) for place, name in enumerate(("deepexp3d", "image_fit"))]
    put(folder, "features.json", fits[0] | {"results": fits})
    put(folder, "jaffe.json", result(0.6, benchmark="jaffe", deviation=None))
    put(folder, "mine.json", result(0.5, benchmark="custom", deviation=None))
    found, _ = shown(folder)
    assert [row[:3] for row in found["features"]] == [
        ["KDEF, frontal", "DeepExp3D, 28", "90.00 ± 1.00"],
        ["", "fit of each image, 28", "80.00 ± 1.00"],
    ]
    assert [row[:2] for row in found["further_accuracies"] if row[1] != NOT_RUN] == [
        ["JAFFE", "60.00"],
        ["your own photographs: mine", "50.00"],
    ]


@pytest.mark.parametrize(
    ("complete", "own_complete", "by_command"), [(True, True, True), (False, True, False), (True, False, True)]
)
def test_the_whole_set_goes_before_a_part_and_a_file_before_the_pipeline(folder, complete, own_complete, by_command):
    put(folder, "kdef.json", result(complete=complete))
    own = replace(OWN, complete=own_complete)
    subject = replace(own, by_subject=True, accuracy=0.75)
    found, measured = shown(folder, Measurements(accuracies={"kdef_frontal": [own, subject]}))
    paper, by_subject, _ = own_row(found, "92.24 ± 0.70")
    assert paper.startswith("90.00" if by_command else "80.00")
    assert by_subject.startswith("75.00"), "the file does not tell of it"
    assert bool(measured.left_out) is not by_command


def test_of_two_files_the_first_is_shown_and_the_other_named(folder):
    put(folder, "a.json", result(0.9))
    put(folder, "b.json", result(0.8))
    found, measured = shown(folder)
    assert own_row(found, "92.24 ± 0.70")[0] == "90.00 ± 1.00"
    assert len(measured.left_out) == 1
    assert measured.left_out[0].startswith("b.json: not shown")


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ("{", "cannot be read as JSON"),
        ([1], "no result of an evaluation"),
        ({"benchmark": "bu3dfe", "results": []}, "of no benchmark of emotions (bu3dfe)"),
        (result(accuracy=None), "damaged"),
        (result(accuracy="much"), "damaged"),
        ({"benchmark": "kdef_views", "views": [{}]}, "damaged"),
        ({"benchmark": "srd15", "phases": {"2": {}}}, "damaged"),
    ],
)
def test_what_is_no_result_is_named_and_left_out(folder, tree, reason):
    put(folder, "other.json", tree)
    found, measured = shown(folder, Measurements(accuracies={"kdef_frontal": [OWN]}))
    (line,) = measured.left_out
    assert line.startswith("other.json: left out")
    assert reason in line
    assert "deepexp3d evaluate BENCHMARK --json FILE" in line
    assert own_row(found, "92.24 ± 0.70")[0] == "80.00"


def test_angles_and_stress_take_the_place_of_rendered_ones(folder):
    view = {"view": 45.0, "pairs": 3, "mse": 0.25, "share": 0.5}
    views = {"benchmark": "rafd_views", "semi_profile": view, "views": [view], "synthetic": False, "complete": False}
    put(folder, "views.json", views)
    accuracy = {level: {"mean": 0.8, "deviation": 0.01} for level in LEVELS}
    phase = {"title": "Emotional recall", "accuracy": accuracy, "chance": {"frames": 0.5, "videos": 0.5}}
    stress = {"benchmark": "srd15", "phases": {"2": phase}, "average": accuracy, "protocol": "5 folds"}
    put(folder, "stress.json", stress | {"synthetic": False, "compared": "SRD'15", "complete": True})
    rendered = Measurements(views={"rafd": views | {"synthetic": True}}, stress=stress | {"synthetic": True})
    found, measured = shown(folder, rendered)
    assert found["view_invariance"][0][3] == "0.250 *"
    assert found["table_4"][0][4] == "80.00 ± 1.00"
    assert measured.left_out == ()
    put(folder, "views.json", views | {"synthetic": True})
    assert shown(folder, Measurements(views={"rafd": views}))[1].left_out[0].startswith("views.json: not shown")
