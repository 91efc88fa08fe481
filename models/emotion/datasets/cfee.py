"""Compound Facial Expressions of Emotion: 230 people, neutral, six basic and fifteen compound emotions."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS
from models.emotion.datasets.inspection import Inspection, images_below, subfolders
from models.emotion.datasets.tables import delimiter, opened_table
from models.emotion.labels import emotion_of
from models.errors import DatasetError

_FOLDER = "CFEE_Database_230"
_GROUP = re.compile(r"\d\d-\d\d")
_NAME = re.compile(r"(?P<category>\d\d)_(?P<subject>\d{3})(_\d+)?")
CATEGORIES = "categories.csv"

# As the set's users number them. The publisher's own list is the sheet "summary" of AU_annotation_all_subjects.xls.
_ASSUMED = {
    "01": "neutral",
    "02": "happy",
    "03": "sad",
    "04": "angry",
    "05": "surprised",
    "06": "disgusted",
    "07": "fearful",
}


def looks_like_cfee(folder: Path) -> bool:
    """Whether a folder is or holds `CFEE_Database_230` with its folders such as 01-04."""
    return bool(_groups(folder))


def read_cfee(root: Path, verify: bool = False) -> DatasetContents:
    """CFEE by the names of its files.

    The layout is assumed, as the set's users describe it: `CFEE_Database_230/01-04/Images1/01_126_3963.jpg` is category
    01, person 126, photograph 3963. Categories above 07 are compound emotions and left out. That 01 to 07 stand for
    neutral, happy, sad, angry, surprised, disgusted and fearful could not be verified, and `problems` says so; a table
    `categories.csv` in the root, with the columns number and label, replaces it.

    Raises
    ------
    DatasetError
        A table cannot be read, or no photograph can be used.
    """
    inspection = Inspection(DATASETS["cfee"], root)
    categories = _categories(root / CATEGORIES)
    if categories is None:
        categories = _ASSUMED
        inspection.problems.append(
            f"What the numbers of the categories stand for is assumed ({', '.join(map(' '.join, _ASSUMED.items()))}): "
            f"compare with the sheet 'summary' of AU_annotation_all_subjects.xls, and write {root / CATEGORIES} with "
            "the columns number and label."
        )
    unknown = []
    for group in _groups(root):
        for path in images_below(group):
            match = _NAME.fullmatch(path.stem)
            if match is None:
                unknown.append(path.relative_to(root))
            elif not inspection.is_first(path.stem, path):
                continue
            elif match["category"] in categories:
                inspection.photographs.append(
                    Photograph(path, categories[match["category"]], match["subject"], take=path.stem[7:] or None)
                )
            else:
                inspection.left_out["compound emotion"] += 1
    inspection.note("Images that are not called as those of CFEE are", unknown)
    return inspection.contents(verify)


def _groups(root: Path) -> list[Path]:
    """The folders 01-04, 05-08 and so on."""
    here = [folder for folder in subfolders(root) if _GROUP.fullmatch(folder.name)]
    return here or [folder for folder in subfolders(root / _FOLDER) if _GROUP.fullmatch(folder.name)]


def _categories(table: Path) -> Mapping[str, str] | None:
    """Number of a category, two digits, to emotion; None where there is no table."""
    if not table.is_file():
        return None
    categories = {}
    with opened_table(table) as file:
        rows = csv.DictReader(file, delimiter=delimiter(file))
        if missing := {"number", "label"} - set(rows.fieldnames or ()):
            raise DatasetError(f"{table}: lacks the column {', '.join(sorted(missing))}; it needs number and label.")
        for row in rows:
            if label := emotion_of(row["label"] or ""):
                categories[(row["number"] or "").strip().zfill(2)] = label
    return categories
