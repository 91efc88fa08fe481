"""AffectNet: web images with eight emotions."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS
from models.emotion.datasets.inspection import Inspection, images_below
from models.emotion.datasets.tables import opened_table
from models.errors import DatasetError

_LABELS = ("neutral", "happy", "sad", "surprised", "fearful", "disgusted", "angry")
_OTHERS = {7: "contempt", 8: "none of the emotions", 9: "uncertain emotion", 10: "no face"}

# The test part was never given out: everybody reports on the validation part.
_TABLES = {"training.csv": "train", "validation.csv": "test"}
_FOLDERS = {"train_set": "train", "val_set": "test"}

_COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)


def looks_like_affectnet(folder: Path) -> bool:
    """Whether a folder holds one of the two forms in which AffectNet is given out."""
    return bool(_tables(folder)) or any((folder / part / "annotations").is_dir() for part in _FOLDERS)


def read_affectnet(root: Path, verify: bool = False) -> DatasetContents:
    """AffectNet's manually annotated part, in either form; nobody tells who is who in it.

    The complete form has `Manually_Annotated_file_lists/training.csv` and `validation.csv` (columns
    subDirectory_filePath, ..., expression, valence, arousal) beside `Manually_Annotated_Images/689/....jpg`. The
    smaller one, with eight emotions, has `train_set` and `val_set` with `images/0.jpg` and `annotations/0_exp.npy` in
    them. `split` is "train", or "test" for the validation part, as the publisher's test part was never given out.

    Raises
    ------
    DatasetError
        A table is not of this form, or no photograph can be used.
    """
    inspection = Inspection(DATASETS["affectnet"], root)
    missing = []
    found = _of_tables(root) if _tables(root) else _of_folders(root, inspection)
    for path, number, split in found:
        if not path.is_file():
            missing.append(path.relative_to(root))
        elif not inspection.is_first(str(path), path):
            continue
        elif number < len(_LABELS):
            inspection.photographs.append(Photograph(path, _LABELS[number], None, split=split))
        else:
            inspection.left_out[_OTHERS[number]] += 1
    inspection.note("Labels without an image", missing)
    return inspection.contents(verify)


def _tables(root: Path) -> list[Path]:
    folders = (root / "Manually_Annotated_file_lists", root / "Manually_Annotated", root)
    return [folder / name for name in _TABLES for folder in folders if (folder / name).is_file()]


def _of_tables(root: Path) -> Iterator[tuple[Path, int, str]]:
    """Path, number of the emotion and split of every row."""
    name = "Manually_Annotated_Images"
    candidates = (root / name / name, root / "Manually_Annotated" / name, root / name)
    images = next((folder for folder in candidates if folder.is_dir()), root)
    for table in _tables(root):
        with opened_table(table) as file:
            rows = csv.reader(file)
            columns = {column: place for place, column in enumerate(_COLUMNS)}
            for line, row in enumerate(rows, 1):
                if line == 1 and _COLUMNS[0] in row:
                    columns = {column: place for place, column in enumerate(row)}
                    continue
                try:
                    path = row[columns[_COLUMNS[0]]]
                    number = _known(int(row[columns["expression"]]))
                except (IndexError, KeyError, ValueError) as error:
                    raise DatasetError(
                        f"{table}, line {line}: should have the columns {', '.join(_COLUMNS)} with an expression from "
                        "0 to 10; copy the file again."
                    ) from error
                yield images / path, number, _TABLES[table.name]


def _of_folders(root: Path, inspection: Inspection) -> Iterator[tuple[Path, int, str]]:
    wrong, without_label = [], []
    for part, split in _FOLDERS.items():
        images = {path.stem: path for path in images_below(root / part / "images")}
        labels = {path.name.removesuffix("_exp.npy"): path for path in (root / part / "annotations").glob("*_exp.npy")}
        without_label += [images[name].relative_to(root) for name in sorted(images.keys() - labels.keys())]
        for name, file in sorted(labels.items()):
            try:
                number = _known(int(np.load(file, allow_pickle=False)))
            except (ValueError, TypeError, EOFError, OSError):
                wrong.append(file.relative_to(root))
            else:
                yield images.get(name, root / part / "images" / f"{name}.jpg"), number, split
    inspection.note("Labels that cannot be read", wrong)
    inspection.note("Images without a label", without_label)


def _known(number: int) -> int:
    """The number of an expression.

    Raises
    ------
    ValueError
        There is no such expression.
    """
    if 0 <= number < len(_LABELS) or number in _OTHERS:
        return number
    raise ValueError(number)
