"""Rows of predictions as CSV, Parquet or JSON, written as they come: a long video never is in memory as a table."""

import csv
import json
import math
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from models.errors import DeepExp3DError
from models.storage import written_whole

# Rows of a Parquet file that are written together.
ROW_GROUP = 10_000
TEXT_COLUMNS = ("path", "emotion", "status")
WHOLE_COLUMNS = ("frame", "face")


def write_rows(rows: Iterable[dict], path: Path | str) -> int:
    """Write rows that all have the same columns, in the format of the file's suffix, and return how many there were.

    What is not known (None, NaN) is an empty field in CSV, null in JSON and Parquet; boxes are lists of four numbers.
    The file appears once it is whole.

    Raises
    ------
    DeepExp3DError
        The suffix is none of .csv, .parquet and .json.
    DiskFullError
        No space left.
    """
    path = Path(path)
    check_table_name(path)
    with written_whole(path) as temporary:
        return _WRITERS[path.suffix](rows, temporary)


def check_table_name(path: Path | str) -> None:
    """Refuse a file whose suffix names no format, before any work is done.

    Raises
    ------
    DeepExp3DError
        As `write_rows`.
    """
    suffix = Path(path).suffix
    if suffix not in _WRITERS:
        raise DeepExp3DError(f"{path}: unknown kind of table '{suffix}'; end the name in {', '.join(_WRITERS)}.")


def print_rows(rows: Iterable[dict], stream: TextIO) -> int:
    """Write rows as CSV to an open file, each as soon as it is there."""
    writer = None
    count = 0
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: "" if _unknown(value) else value for name, value in row.items()})
        stream.flush()
        count += 1
    return count


def _write_csv(rows: Iterable[dict], path: Path) -> int:
    with open(path, "w", newline="", encoding="utf-8") as file:
        return print_rows(rows, file)


def _write_json(rows: Iterable[dict], path: Path) -> int:
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write("[")
        for row in rows:
            known = {name: None if _unknown(value) else value for name, value in row.items()}
            file.write((",\n " if count else "\n ") + json.dumps(known))
            count += 1
        file.write("\n]\n")
    return count


def _write_parquet(rows: Iterable[dict], path: Path) -> int:
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        rows, first = iter(()), {}
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([(name, _parquet_type(pyarrow, name)) for name in first])
    rows = chain([first], rows) if first else rows
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for group in _groups(rows, ROW_GROUP):
            known = [{name: None if _unknown(value) else value for name, value in row.items()} for row in group]
            writer.write_table(pyarrow.Table.from_pylist(known, schema))
            count += len(group)
    return count


def _parquet_type(pyarrow, name: str):
    if name in TEXT_COLUMNS:
        return pyarrow.string()
    if name in WHOLE_COLUMNS:
        return pyarrow.int64()
    return pyarrow.list_(pyarrow.float64()) if name == "box" else pyarrow.float64()


def _groups(rows: Iterator[dict], size: int) -> Iterator[list[dict]]:
    while group := list(islice(rows, size)):
        yield group


def _unknown(value) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


_WRITERS = {".csv": _write_csv, ".parquet": _write_parquet, ".json": _write_json}
