"""Published figures stand in every table, and what was measured stands beside them or says why it does not."""

from dataclasses import replace

import pytest

from models.emotion import published
from models.emotion.report.measurements import FoundSet, MeasuredAccuracy, Measurements, accuracies_of
from models.emotion.report.tables import NOT_MEASURED, NOT_RUN, Cell, Kind, all_tables

ONE = MeasuredAccuracy(0.9712, 0.004, 469, "deepexp3d", "10 folds", False, False, {"happy": 0.985, "sad": 0.7})
LEVELS = ("frames", "video_mean_probability", "video_majority", "video_statistics")


def tables(measured=None):
    return {table.name: table for table in all_tables(measured or Measurements())}


def texts(table):
    return [[cell.text for cell in row.cells] for row in table.rows]


def row_of(table, *beginning):
    (row,) = (row for row in table.rows if [cell.text for cell in row.cells[: len(beginning)]] == list(beginning))
    return row


def test_every_row_has_a_cell_for_every_column():
    for table in all_tables(Measurements()):
        assert len(table.columns) == len(table.aligned_right)
        assert all(len(row.cells) == len(table.columns) for row in table.rows), table.name


def test_every_published_figure_is_there_when_nothing_was_measured():
    found = tables()
    assert [row[0] for row in texts(found["table_1"])] == [row.name for row in published.DATABASES]
    assert [row[1] for row in texts(found["table_2"])] == [row.printed for row in published.RUN_TIMES]
    assert [row[2] for row in texts(found["table_3"])] == [row.printed for row in published.ACCURACIES]
    assert [row[1:4] for row in texts(found["table_4"])] == [
        ["82.99", "83.50", "86.70"],
        ["85.42", "92.60", "88.42"],
        ["85.83", "85.90", "88.83"],
        ["84.75", "87.33", "87.98"],
    ]
    assert [row[1] for row in texts(found["expression_errors"])] == ["0.007", "0.026", "0.098"]
    assert texts(found["view_invariance"])[0][2] == "0.008"
    assert any("97.63" in text and "97.65" in text for row in texts(found["disagreements"]) for text in row)


def test_what_was_not_run_says_so():
    found = tables()
    own = [row for row in found["table_3"].rows if row.own]
    assert len(own) == 5
    assert {row.cells[3].text for row in own} == {NOT_RUN}
    assert {row.cells[3].kind for row in own} == {Kind.ABSENT}
    assert {row[4] for row in texts(found["table_4"])} == {NOT_RUN}
    assert row_of(found["table_2"], published.PAPER).cells[2].text == NOT_MEASURED
    assert {row[-1] for row in texts(found["table_1"])} == {"data absent"}


def test_another_reason_than_absent_data_is_told():
    measured = Measurements(not_run={"rafdb": "put RAF-DB at data/datasets/rafdb", "cfee": "recorded landmarks"})
    own = {row.cells[2].text: row.cells[3].text for row in tables(measured)["table_3"].rows if row.own}
    assert own["82.06 ± 0.73"] == NOT_RUN
    assert own["96.43 ± 1.1"] == "not run: recorded landmarks"


def test_measured_accuracies_stand_beside_the_papers_own_row():
    measured = Measurements(
        accuracies={"radfd_frontal": [ONE, replace(ONE, accuracy=0.9432, deviation=None, by_subject=True)]}
    )
    (row,) = (row for row in tables(measured)["table_3"].rows if row.cells[2].text == "97.65 ± 1.00")
    assert [cell.text for cell in row.cells[3:]] == ["97.12 ± 0.40", "94.32", "469 images"]
    assert row.cells[3].kind is Kind.MEASURED


def test_figures_of_rendered_people_never_stand_beside_published_ones():
    synthetic = replace(ONE, synthetic=True, by_subject=True)
    measured = Measurements(
        accuracies={"kdef_frontal": [synthetic], "synthetic": [synthetic]},
        not_run={},
        benchmark_titles={"kdef_frontal": "KDEF, frontal", "synthetic": "rendered people"},
    )
    found = tables(measured)
    (row,) = (row for row in found["table_3"].rows if row.cells[2].text == "92.24 ± 0.70")
    assert row.cells[3].text == NOT_RUN
    assert {row.cells[3].text for row in found["class_accuracies"].rows} == {NOT_RUN}
    assert [row[0] for row in texts(found["further_accuracies"])] == []
    apart = found["rendered_accuracies"]
    assert texts(apart) == [
        ["KDEF, frontal", NOT_MEASURED, "97.12 ± 0.40", "469 images"],
        ["rendered people", NOT_MEASURED, "97.12 ± 0.40", "469 images"],
    ]
    assert {row.cells[2].kind for row in apart.rows} == {Kind.SYNTHETIC}
    assert "rendered_accuracies" not in tables()


def test_table_three_is_of_the_networks_features_and_others_are_compared_apart():
    fit = replace(ONE, features="shared_fit", accuracy=0.99)
    measured = Measurements(accuracies={"ckplus": [fit, ONE]}, benchmark_titles={"ckplus": "CK+"})
    found = tables(measured)
    (row,) = (row for row in found["table_3"].rows if row.cells[2].text == "96.45 ± 0.8")
    assert row.cells[3].text.startswith("97.12")
    assert [row[1:3] for row in texts(found["features"])] == [
        ["fit with shared identity, 28", "99.00 ± 0.40"],
        ["DeepExp3D, 28", "97.12 ± 0.40"],
    ]
    assert "features" not in tables(Measurements(accuracies={"ckplus": [ONE]}))


def test_classes_that_the_text_names_are_compared():
    measured = Measurements(accuracies={"kdef_frontal": [ONE]}, benchmark_titles={"kdef_frontal": "KDEF, frontal"})
    rows = texts(tables(measured)["class_accuracies"])
    assert rows[0] == ["KDEF, frontal", "happy", "100.0", "98.5", NOT_MEASURED]
    assert rows[1][3] == NOT_MEASURED, "disgusted was not told"


def test_run_times_are_told_in_seconds_and_untrained_networks_are_called_so():
    inference = {
        "resnet50_photograph_ms": 31.24,
        "small_frame_ms": 7.0,
        "resnet50_random_weights": True,
        "small_random_weights": False,
        "per_image_fit_ms": 22.0,
        "load_average": 0.25,
    }
    table = tables(Measurements(inference=inference))["table_2"]
    assert row_of(table, published.PAPER).cells[2].text == "0.0312"
    rows = dict(row[::2] for row in texts(table)[len(published.RUN_TIMES) :])
    assert rows == {
        "DeepExp3D here, ResNet-50, a photograph (untrained weights)": "0.0312",
        "DeepExp3D here, small, a camera's frame": "0.0070",
        "3DMM fit of one image": "0.0220",
    }
    assert "load average 0.2" in table.notes[0]


@pytest.fixture
def stress():
    def of(value):
        return {level: {"mean": value, "deviation": 0.01} for level in LEVELS}

    return {
        "phases": {
            "2": {"title": "Emotional recall", "accuracy": of(0.8), "chance": {"frames": 0.5, "videos": 0.6}},
            "talk": {"title": "talk", "accuracy": of(0.7), "chance": {"frames": 0.5, "videos": 0.5}},
        },
        "average": of(0.75),
        "protocol": "5 folds by subject",
        "problems": ["1 of 9 videos took no part."],
        "synthetic": False,
    }


def test_stress_is_told_by_phase_with_chance_and_problems_and_other_phases_below(stress):
    table = tables(Measurements(stress=stress))["table_4"]
    assert row_of(table, "Emotional recall").cells[4].text == "80.00 ± 1.00"
    assert row_of(table, "Average").cells[7].text == "75.00 ± 1.00"
    assert row_of(table, "Stressful videos").cells[4].text == NOT_RUN
    assert [cell.text for cell in row_of(table, "talk").cells[3:5]] == ["", "70.00 ± 1.00"]
    assert "Emotional recall 50.0 and 60.0" in " ".join(table.notes)
    assert table.notes[-1] == "1 of 9 videos took no part."


def test_stress_of_rendered_people_has_a_table_of_its_own(stress):
    found = tables(Measurements(stress=stress | {"synthetic": True}))
    assert {row[4] for row in texts(found["table_4"])} == {NOT_RUN}
    assert [row[0] for row in texts(found["rendered_stress"])] == ["Emotional recall", "talk", "Average"]
    assert found["rendered_stress"].rows[0].cells[1] == Cell("80.00 ± 1.00", Kind.SYNTHETIC)
    assert "rendered_stress" not in tables(Measurements(stress=stress))


def test_stress_of_another_set_never_stands_beside_published_figures(stress):
    found = tables(Measurements(stress=stress | {"compared": None}))
    assert {row[4] for row in texts(found["table_4"])} == {NOT_RUN}
    assert [row[0] for row in texts(found["other_stress"])] == ["Emotional recall", "talk", "Average"]
    assert "other_stress" not in tables(Measurements(stress=stress))


def test_stress_of_a_part_of_the_set_is_marked_and_a_single_repeat_has_no_deviation(stress):
    for accuracies in (stress["average"], stress["phases"]["2"]["accuracy"]):
        for value in accuracies.values():
            value["deviation"] = None
    table = tables(Measurements(stress=stress | {"compared": "SRD'15", "complete": False}))["table_4"]
    assert row_of(table, "Emotional recall").cells[4].text == "80.00 *"
    assert table.notes[-1].startswith("* Not of all of the set")


def test_errors_and_views_stand_beside_the_published_ones():
    view = {"view": 45.0, "pairs": 1407, "mse": 0.0912, "share": 0.104}
    measured = Measurements(
        views={"rafd": {"semi_profile": view, "views": [view], "synthetic": False}},
        expression={
            "errors": [
                {"method": "deepexp3d_finetuned", "against": "whole-video fit", "mse": 0.4},
                {"method": "deepexp3d_finetuned", "against": "known truth (synthetic)", "mse": 0.9},
                {"method": "per-frame linear fit", "against": "whole-video fit", "mse": 0.8},
            ],
            "unseen_people": {"deepexp3d_finetuned_view_invariance_mse": 0.2},
        },
    )
    found = tables(measured)
    assert [row[2] for row in texts(found["expression_errors"])] == ["0.400", "not rebuilt", "0.800"]
    rows = texts(found["view_invariance"])
    assert rows[0] == ["RaFD", "semi-profile, 45°", "0.008", "0.091", "10 %", "1,407"]
    assert rows[1][:2] == ["RaFD", "+45°"]
    assert row_of(found["view_invariance"], "KDEF").cells[3].text == NOT_RUN
    assert row_of(found["view_invariance"], "rendered people (synthetic)").cells[3].kind is Kind.SYNTHETIC


def test_a_rendered_stand_in_is_not_taken_for_the_set_when_views_are_compared():
    view = {"view": 45.0, "pairs": 56, "mse": 0.2, "share": 0.3}
    measured = Measurements(
        views={"rafd": {"semi_profile": view, "views": [view], "synthetic": True}},
        expression={
            "errors": [{"method": "deepexp3d_finetuned", "against": "whole-video fit", "mse": 0.4}],
            "test_videos": {"all": 3, "rendered": 3},
        },
    )
    found = tables(measured)
    first, second, third = found["view_invariance"].rows
    assert first.cells[3].text == NOT_RUN
    assert (second.cells[0].text, second.cells[3]) == ("RaFD, rendered (synthetic)", Cell("0.200", Kind.SYNTHETIC))
    assert third.cells[0].text == "KDEF"
    assert found["expression_errors"].rows[0].cells[2] == Cell("0.400", Kind.SYNTHETIC)
    assert found["expression_errors"].notes[-1] == "Measured on 3 test videos; 3 are rendered."


def test_errors_on_some_real_videos_are_no_synthetic_figure_and_say_how_many_are_rendered():
    error = {"method": "deepexp3d_finetuned", "against": "whole-video fit", "mse": 0.4}
    measured = Measurements(expression={"errors": [error], "test_videos": {"all": 5, "rendered": 3}})
    table = tables(measured)["expression_errors"]
    assert table.rows[0].cells[2] == Cell("0.400", Kind.MEASURED)
    assert "3 are rendered" in table.notes[-1]


def test_what_lies_here_of_a_set_is_told_with_its_problems():
    measured = Measurements(found={"kdef": FoundSet(4899, 70, ("One photograph of 4900 is missing.",))})
    table = tables(measured)["table_1"]
    assert row_of(table, "KDEF [47]").cells[-1].text == "4,899 images, 70 people"
    assert table.notes[-1] == "KDEF [47]: One photograph of 4900 is missing."


def test_metrics_of_several_results_and_of_one_are_understood():
    one = {"accuracy": 0.9, "deviation": 0.0, "images": 70, "protocol": "10 folds by person, tuned", "synthetic": True}
    (read,) = accuracies_of(one)
    assert (read.accuracy, read.deviation, read.by_subject, read.synthetic) == (0.9, None, True, True)
    several = {
        "accuracy": 0.9,
        "results": [
            {"accuracy": 0.9, "deviation": None, "images": 7, "features": "deepexp3d", "by_subject": False},
            {"accuracy": 0.8, "deviation": 0.1, "images": 7, "features": "image_fit", "by_subject": True},
        ],
    }
    assert [(row.features, row.by_subject, row.deviation) for row in accuracies_of(several)] == [
        ("deepexp3d", False, None),
        ("image_fit", True, 0.1),
    ]
    assert accuracies_of({"accuracy": None}) == ()
