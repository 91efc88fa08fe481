"""The fusion paper's tables in the report: rendered people never stand beside published figures."""

import pytest

from models.emotion.report.tables import NOT_MEASURED, NOT_RUN, Kind
from models.rgbd.published import TABLE_1, TABLE_2
from models.rgbd.report_tables import fusion_tables
from models.rgbd.result import AS_TRAINED


def metrics(synthetic: bool) -> dict:
    """Of a single pipeline, as an evaluation writes it."""
    one = {
        "pipeline": "rgb_vgg19",
        "title": "PL-RGB-VGG19",
        "accuracy": 0.6,
        "deviation": 0.05,
        "backbones": {"vgg19": "random weights"},
    }
    return {
        "synthetic": synthetic,
        "results": [one],
        "differences": [],
        "people": 4,
        "repeats": 2,
        "settings": {"training": {"epochs": 12}},
        "description": "60 random people",
        "problems": ["F0002 lacks sad 4."],
    }


def tables(*arguments):
    return {table.name: table for table in fusion_tables(*arguments)}


@pytest.mark.parametrize("arguments", [(None,), (metrics(True),), (metrics(False),)])
def test_every_row_has_a_cell_for_every_column_and_published_figures_stay(arguments):
    found = tables(*arguments)
    for table in found.values():
        assert len(table.columns) == len(table.aligned_right)
        assert {len(row.cells) for row in table.rows} == {len(table.columns)}
    assert [row.cells[1].text for row in found["fusion_table_1"].rows] == [row.printed for row in TABLE_1]
    assert [row.cells[1].text for row in found["fusion_table_2"].rows] == [row.printed for row in TABLE_2] + ["92"]


@pytest.mark.parametrize(
    ("reason", "told"),
    [(None, NOT_RUN), ("put BU-3DFE at IT", NOT_RUN), ("of 2 people none", "not run: of 2 people none")],
)
def test_what_was_not_run_says_why(reason, told):
    cells = [row.cells[2] for row in tables(None, reason)["fusion_table_1"].rows]
    assert {(cell.text, cell.kind) for cell in cells} == {(told, Kind.ABSENT)}


def test_real_figures_stand_beside_the_published_with_their_weights():
    table = tables(metrics(False))["fusion_table_1"]
    cells = {row.cells[1].text: row.cells for row in table.rows}
    assert (cells["81.25"][2].text, cells["81.25"][2].kind) == ("60.00 ± 5.00", Kind.MEASURED)
    assert cells["81.25"][3].text == "vgg19: random weights"
    assert cells["84.72"][2].text == NOT_MEASURED
    assert any("2 repeats, 12 epochs" in note for note in table.notes)


def test_rendered_figures_have_a_table_of_their_own():
    found = tables(metrics(True))
    assert {row.cells[2].text for row in found["fusion_table_1"].rows} == {NOT_RUN}
    (row,) = found["rendered_fusion"].rows
    assert (row.cells[1].text, row.cells[1].kind) == ("60.00 ± 5.00", Kind.SYNTHETIC)
    assert "F0002 lacks sad 4." in found["rendered_fusion"].notes
    assert "rendered_fusion" not in tables(metrics(False))


def test_pipelines_beyond_the_paper_are_rows_of_our_own_and_their_differences_are_told():
    tree = metrics(False)
    further = {**tree["results"][0], "pipeline": "rgb_vgg19_expression", "title": "RGB (VGG-19) + e", "accuracy": 0.65}
    gain = {
        "first": ["rgb_vgg19_expression", AS_TRAINED],
        "second": ["rgb_vgg19", AS_TRAINED],
        **{"difference": 0.05, "low": -0.01, "high": 0.11, "confidence": 0.95},
    }
    table = tables(tree | {"results": [*tree["results"], further], "differences": [gain]})["fusion_table_1"]
    assert len(table.rows) == len(TABLE_1) + 1
    cells = [cell.text for cell in table.rows[-1].cells]
    assert cells == ["beyond the paper: RGB (VGG-19) + e", "", "65.00 ± 5.00", "vgg19: random weights"]
    assert "RGB (VGG-19) + e less PL-RGB-VGG19: +5.00 points (95 %: -1.00 to +11.00)." in table.notes
