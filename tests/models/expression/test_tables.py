"""Tables hold what the rows say, in every format, and grow as the rows come."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from models.errors import DeepExp3DError
from models.expression.tables import check_table_name, print_rows, write_rows

NAN = float("nan")
ROWS = [
    {
        "path": "a, b.png",
        "frame": 0,
        "face": 0,
        "box": [1.0, 2.0, 3.5, 4.0],
        "emotion": "happy",
        "e_00": -1.25,
        "status": "ok",
    },
    {"path": "c.png", "frame": 0, "face": None, "box": None, "emotion": None, "e_00": NAN, "status": "no face"},
    {"path": "d.png", "frame": None, "face": None, "box": None, "emotion": None, "e_00": NAN, "status": 'error: "x"'},
]


def test_csv_has_empty_fields_for_what_is_not_known(tmp_path):
    assert write_rows(iter(ROWS), tmp_path / "table.csv") == 3
    table = pd.read_csv(tmp_path / "table.csv")
    assert table.columns.tolist() == list(ROWS[0])
    assert table.path.tolist() == ["a, b.png", "c.png", "d.png"]
    assert json.loads(table.box[0]) == ROWS[0]["box"]
    assert table.e_00[0] == -1.25
    assert table.loc[1:, ["face", "box", "emotion", "e_00"]].isna().all(axis=None)
    assert table.status[2] == 'error: "x"'


def test_json_is_standard_and_has_null_for_what_is_not_known(tmp_path):
    write_rows(iter(ROWS), tmp_path / "table.json")
    rows = json.loads((tmp_path / "table.json").read_text(), parse_constant=pytest.fail)
    assert rows[0] == ROWS[0]
    assert rows[1]["e_00"] is None


def test_parquet_keeps_types_over_several_groups_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("models.expression.tables.ROW_GROUP", 2)
    write_rows(iter(ROWS), tmp_path / "table.parquet")
    table = pd.read_parquet(tmp_path / "table.parquet", dtype_backend="pyarrow")
    assert len(table) == 3
    assert table.face.dtype == "int64[pyarrow]"
    assert np.array_equal(table.box[0], ROWS[0]["box"])
    assert table.emotion.isna().tolist() == [False, True, True]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_no_rows_are_a_table_too(tmp_path, suffix):
    assert write_rows(iter(()), tmp_path / f"table{suffix}") == 0
    assert (tmp_path / f"table{suffix}").exists()


def test_an_error_on_the_way_leaves_no_half_table(tmp_path):
    def rows():
        yield ROWS[0]
        raise RuntimeError("unplugged")

    with pytest.raises(RuntimeError, match="unplugged"):
        write_rows(rows(), tmp_path / "table.csv")
    assert list(tmp_path.iterdir()) == []


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(DeepExp3DError, match=r"unknown kind of table '\.xlsx'"):
        check_table_name(tmp_path / "table.xlsx")


def test_printed_rows_come_one_by_one():
    stream = io.StringIO()
    lengths = []

    def rows():
        for row in ROWS:
            lengths.append(stream.getvalue().count("\n"))
            yield row

    assert print_rows(rows(), stream) == 3
    assert lengths == [0, 2, 3]
