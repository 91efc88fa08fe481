"""Tables of labels, whoever saved them."""

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from models.errors import DatasetError


@contextlib.contextmanager
def opened_table(path: Path) -> Iterator[TextIO]:
    """A table, open for the `csv` module. Spreadsheet programs put a byte order mark in front, which is skipped.

    Raises
    ------
    DatasetError
        The file may not be read, is no UTF-8 text or no table. Raised while it is read, too.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield file
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path}: is no UTF-8 text ({error.reason} at byte {error.start}); save it as CSV in UTF-8."
        ) from error
    except csv.Error as error:
        raise DatasetError(f"{path}: is no table ({error}); save it as CSV in UTF-8.") from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); check the permissions.") from error


def delimiter(file: TextIO) -> str:
    """What stands between the columns, by the header: spreadsheets of many countries write semicolons."""
    header = file.readline()
    file.seek(0)
    return ";" if header.count(";") > header.count(",") else ","
