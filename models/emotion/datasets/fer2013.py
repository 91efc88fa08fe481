"""FER2013: 35887 small grey web images; FER+: ten people's votes on each."""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS
from models.emotion.datasets.inspection import Inspection, images_below, subfolders
from models.emotion.datasets.tables import opened_table
from models.emotion.labels import emotion_of
from models.errors import DatasetError
from models.packages import cache_folder
from models.storage import written_whole

_SIDE = 48
_TABLES = ("fer2013.csv", "icml_face_data.csv")
_VOTES = "fer2013new.csv"
_FOLDER_VOTES = "label.csv"
_LABELS = {
    "0": "angry",
    "1": "disgusted",
    "2": "fearful",
    "3": "happy",
    "4": "sad",
    "5": "surprised",
    "6": "neutral",
}
_SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
# Folders of the form that came after the contest, in which both test parts are one, and those that FER+ makes.
_FOLDERS = {"train": "train", "test": "test"}
_PLUS_FOLDERS = {"FER2013Train": "train", "FER2013Valid": "validation", "FER2013Test": "test"}
_CANDIDATES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
_CSV_LIMIT = 1 << 20


def looks_like_fer2013(folder: Path) -> bool:
    """Whether a folder holds one of the forms in which FER2013 is given out."""
    return (
        _table(folder) is not None
        or any((folder / part).is_dir() for part in _PLUS_FOLDERS)
        or any(emotion_of(below.name) for part in _FOLDERS for below in subfolders(folder / part))
    )


def read_fer2013(root: Path, verify: bool = False) -> DatasetContents:
    """FER2013 in any of its forms, with the labels of FER+ where those are there; nobody tells who is who in it.

    - `fer2013.csv` or `icml_face_data.csv` with the columns emotion, Usage and pixels: the images are written as PNG,
      once, to the project's cache (`DEEPEXP3D_CACHE`), and read from there. `split` is "train", "validation" (the
      contest's public test) or "test" (its private test).
    - `train/happy/....jpg` and `test/happy/....jpg`: `split` is "train" or "test", which here holds both test parts.
    - `FER2013Train/fer0000000.png`, `FER2013Valid` and `FER2013Test`, as the scripts of FER+ write them.

    The votes of FER+ are read from `fer2013new.csv` in the root, or else from `label.csv` in each folder of the last
    form, which has no other labels. The emotion counts that more than half of the votes are for, single votes apart;
    images without such a majority, and those taken for contempt, something unknown or no face, are left out.

    Raises
    ------
    DatasetError
        A table is not of this form, or no photograph can be used.
    """
    facts = DATASETS["fer2013"]
    # How many images of each emotion the votes make depends on the rule, so that no number is published.
    of_votes = replace(facts, labels={})
    votes = _votes(root / _VOTES) if (root / _VOTES).is_file() else None
    if table := _table(root):
        inspection = Inspection(facts if votes is None else of_votes, root)
        _read_table(inspection, table, votes)
    elif any((root / part).is_dir() for part in _PLUS_FOLDERS):
        inspection = Inspection(of_votes, root)
        _read_plus_folders(inspection, votes)
    else:
        inspection = Inspection(facts, root)
        _read_folders(inspection)
    return inspection.contents(verify)


def _table(root: Path) -> Path | None:
    return next((root / name for name in _TABLES if (root / name).is_file()), None)


def _read_table(inspection: Inspection, table: Path, votes: Mapping[str, list[int]] | None) -> None:
    """The rows of a table; the votes of FER+ follow in the same order."""
    unpacked = unpack(table)
    rows = None if votes is None else list(votes.values())
    if rows is not None and len(rows) != len(unpacked):
        raise DatasetError(
            f"{inspection.root / _VOTES}: has {len(rows)} rows, {table.name} {len(unpacked)}, though they belong "
            "together row by row; copy both again."
        )
    for place, (path, label, split) in enumerate(unpacked):
        if rows is None:
            inspection.photographs.append(Photograph(path, label, None, split=split))
        else:
            _add(inspection, path, split, rows[place])


def _read_folders(inspection: Inspection) -> None:
    unknown = []
    for part, split in _FOLDERS.items():
        for folder in subfolders(inspection.root / part):
            label = emotion_of(folder.name)
            if label is None:
                unknown.append(folder.relative_to(inspection.root))
                continue
            for path in images_below(folder):
                inspection.photographs.append(Photograph(path, label, None, split=split))
    inspection.note("Folders that are called as no emotion is", unknown)


def _read_plus_folders(inspection: Inspection, votes: Mapping[str, list[int]] | None) -> None:
    images, labels = {}, {}
    for part, split in _PLUS_FOLDERS.items():
        folder = inspection.root / part
        images |= {path.name: (path, split) for path in images_below(folder)}
        if votes is None and (folder / _FOLDER_VOTES).is_file():
            labels |= _votes(folder / _FOLDER_VOTES)
    # Rows without a name are of images without a face, which are not written to these folders.
    labels = {name: counts for name, counts in (votes or labels).items() if name.endswith(".png")}
    for name in images.keys() & labels.keys():
        path, split = images[name]
        _add(inspection, path, split, labels[name])
    inspection.note("Labels without an image", sorted(labels.keys() - images.keys()))
    inspection.note("Images without the votes of FER+", sorted(images.keys() - labels.keys()))


def _add(inspection: Inspection, path: Path, split: str, votes: Iterable[int]) -> None:
    chosen = majority(votes)
    if label := emotion_of(chosen):
        inspection.photographs.append(Photograph(path, label, None, split=split))
    else:
        inspection.left_out[chosen] += 1


def majority(votes: Iterable[int]) -> str:
    """What the ten people of FER+ agree on.

    Parameters
    ----------
    votes : how many are for neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, something unknown,
        and no face

    Returns
    -------
    str
        A name of an emotion, "contempt", "unknown" or "no face"; "no majority" where none has more than half of the
        votes that remain without single ones.
    """
    counted = np.array([count if count > 1 else 0 for count in votes])
    if 2 * counted.max() <= counted.sum():
        return "no majority"
    chosen = _CANDIDATES[int(counted.argmax())]
    return "no face" if chosen == "NF" else chosen


def _votes(table: Path) -> dict[str, list[int]]:
    """Name of an image -> its ten votes, in the order of the table. Rows without a name (no face) are numbered."""
    votes = {}
    with opened_table(table) as file:
        for line, row in enumerate(csv.reader(file), 1):
            if line == 1 and "NF" in row:
                continue
            # `fer2013new.csv` begins with usage and name, `label.csv` with name and the face's box.
            name = next((cell.strip() for cell in row[:2] if cell.strip().endswith(".png")), f"row {line}")
            try:
                numbers = [int(cell) for cell in row[2:]]
            except ValueError:
                numbers = []
            if len(numbers) != len(_CANDIDATES):
                raise DatasetError(
                    f"{table}, line {line}: should have ten votes after two columns ({', '.join(_CANDIDATES)}); copy "
                    "the file again."
                )
            votes[name] = numbers
    return votes


def unpack(table: Path) -> list[tuple[Path, str, str]]:
    """Path, emotion and split of every row of `fer2013.csv`; its images are written to the cache unless they are there.

    Raises
    ------
    DatasetError
        The table lacks a column, or a row has an unknown emotion or usage, or not 48 x 48 pixels.
    DiskFullError
        There is no room for the images.
    """
    import cv2

    with open(table, "rb") as file:
        folder = cache_folder() / "fer2013" / hashlib.file_digest(file, "sha256").hexdigest()[:16]
    unpacked = []
    for number, (label, split, pixels, line) in enumerate(_rows(table)):
        path = folder / split / f"fer{number:07d}.png"
        if not path.exists():
            try:
                image = np.array(pixels.split(), np.uint8).reshape(_SIDE, _SIDE)
            except (AttributeError, ValueError, OverflowError) as error:
                raise DatasetError(
                    f"{table}, line {line}: should have 48 x 48 pixels from 0 to 255 ({error}); copy the file again."
                ) from error
            with written_whole(path) as temporary:
                cv2.imwrite(str(temporary), image)
        unpacked.append((path, label, split))
    return unpacked


def _rows(table: Path) -> Iterator[tuple[str, str, str, int]]:
    """Emotion, split, pixels and line."""
    csv.field_size_limit(max(csv.field_size_limit(), _CSV_LIMIT))
    with opened_table(table) as file:
        rows = csv.DictReader(file)
        # The contest's own file has blanks in its header.
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        if missing := {"emotion", "Usage", "pixels"} - set(rows.fieldnames):
            raise DatasetError(
                f"{table}: lacks the column {', '.join(sorted(missing))}; it needs emotion, Usage and pixels."
            )
        for row in rows:
            try:
                yield _LABELS[row["emotion"].strip()], _SPLITS[row["Usage"].strip()], row["pixels"], rows.line_num
            except (KeyError, AttributeError) as error:
                raise DatasetError(
                    f"{table}, line {rows.line_num}: emotion '{row['emotion']}' should be a number from 0 to 6, and "
                    f"usage '{row['Usage']}' one of {', '.join(_SPLITS)}; copy the file again."
                ) from error
