"""Labelled images of one's own: one folder for each emotion, or a table.

    root/happy/anna__01.jpg       the folder names the emotion; what stands before "__", if anything, the person
    root/manifest.csv             columns path (relative to root), label, and, if known, subject, view (degrees),
                                  moment, take, split (train, validation, test), gender, ethnicity, age

Names of emotions are understood in any case and in the usual variants (anger, happiness, ...).
"""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS
from models.emotion.datasets.inspection import Inspection, images_below, named, subfolders
from models.emotion.datasets.tables import delimiter, opened_table
from models.emotion.labels import EMOTIONS, emotion_of
from models.errors import DatasetError
from models.expression.images import IMAGE_SUFFIXES

MANIFEST = "manifest.csv"

_ATTRIBUTES = ("gender", "ethnicity", "age")
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "development", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_CONTEMPT = ("contempt", "contemptuous", "co")


def read_manifest(root: Path, verify: bool = False, name: str = "manifest") -> DatasetContents:
    """The labelled images of a folder, by its `manifest.csv` where it has one, else by its folders.

    Contempt is left out and counted. Rows whose image is missing are left out and listed.

    Parameters
    ----------
    name : the set that the manifest describes

    Raises
    ------
    DatasetError
        There is no image, a folder or a row of the manifest names no known emotion, a view is no number, a split has no
        known name, or the manifest lacks a column.
    """
    inspection = Inspection(DATASETS[name], root)
    if (root / MANIFEST).is_file():
        _read_table(inspection, root / MANIFEST)
    else:
        _read_folders(inspection)
    if not inspection.photographs and not inspection.problems:
        raise DatasetError(f"{root}: holds no image; put {', '.join(IMAGE_SUFFIXES)} files into {root}/EMOTION/.")
    return inspection.contents(verify)


def _read_folders(inspection: Inspection) -> None:
    for folder in subfolders(inspection.root):
        images = list(images_below(folder))
        if folder.name.strip().lower() in _CONTEMPT:
            inspection.left_out["contempt"] += len(images)
            continue
        label = emotion_of(folder.name)
        if label is None:
            hint = "; or read that folder" if any(emotion_of(below.name) for below in subfolders(folder)) else ""
            raise DatasetError(
                f"{folder}: no emotion is called so; name it one of {', '.join(EMOTIONS)}, or move it away{hint}."
            )
        for path in images:
            subject, separator, _ = path.stem.partition("__")
            inspection.photographs.append(Photograph(path, label, subject if separator else None))


def _read_table(inspection: Inspection, manifest: Path) -> None:
    missing, wrong = [], []
    with opened_table(manifest) as file:
        rows = csv.DictReader(file, delimiter=delimiter(file))
        if lacking := {"path", "label"} - set(rows.fieldnames or ()):
            raise DatasetError(f"{manifest}: lacks the column {', '.join(sorted(lacking))}; it needs path and label.")
        for row in rows:
            # Tables from Windows part folders by a backslash.
            path = manifest.parent / (row["path"] or "").strip().replace("\\", "/")
            label = emotion_of(row["label"] or "")
            if label is None and (row["label"] or "").strip().lower() in _CONTEMPT:
                inspection.left_out["contempt"] += 1
            elif label is None:
                wrong.append(f"line {rows.line_num}: '{row['label']}'")
            elif not path.is_file():
                missing.append(f"{row['path']} (line {rows.line_num})")
            elif inspection.is_first(str(path), path):
                inspection.photographs.append(_photograph(path, label, row, f"{manifest}, line {rows.line_num}"))
    if wrong:
        raise DatasetError(f"{manifest}, {named(wrong)}: no emotion is called so; use one of {', '.join(EMOTIONS)}.")
    inspection.note(f"Rows of {MANIFEST} without an image", missing)


def _photograph(path: Path, label: str, row: Mapping[str, str], place: str) -> Photograph:
    def cell(column: str) -> str | None:
        return (row.get(column) or "").strip() or None

    return Photograph(
        path=path,
        label=label,
        subject=cell("subject"),
        view=_degrees(cell("view"), place),
        moment=cell("moment"),
        take=cell("take"),
        split=_part(cell("split"), place),
        attributes={column: value for column in _ATTRIBUTES if (value := cell(column))},
    )


def _part(split: str | None, place: str) -> str | None:
    """A part of the set's split by the name that `Photograph` has for it."""
    if split is None:
        return None
    if split.lower() not in _SPLITS:
        raise DatasetError(f"{place}: no split is called '{split}'; use train, validation or test, or leave it empty.")
    return _SPLITS[split.lower()]


def _degrees(view: str | None, place: str) -> float:
    """Degrees of yaw, given as such or as "frontal"."""
    if view is None or view.lower() == "frontal":
        return 0.0
    try:
        degrees = float(view)
    except ValueError:
        degrees = math.nan
    if not math.isfinite(degrees):
        raise DatasetError(f"{place}: the view '{view}' is no number of degrees; write 0 for a frontal photograph.")
    return degrees
