"""RAF-DB, basic emotions: 15339 web images with a published division into training and test."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS
from models.emotion.datasets.inspection import Inspection, images_below
from models.emotion.datasets.tables import opened_table
from models.errors import DatasetError

# The publisher's spelling, and the one that people correct it to.
_LISTS = ("list_patition_label.txt", "list_partition_label.txt")
_LABELS = {
    "1": "surprised",
    "2": "fearful",
    "3": "disgusted",
    "4": "happy",
    "5": "sad",
    "6": "angry",
    "7": "neutral",
}
_ROW = re.compile(r"(?P<name>(train|test)_\d+)\.jpg\s+(?P<label>[1-7])")
# The last three lines of an annotation; "unsure" is told by leaving the gender out.
_ATTRIBUTES = (
    ("gender", {"0": "male", "1": "female"}),
    ("ethnicity", {"0": "Caucasian", "1": "African-American", "2": "Asian"}),
    ("age", {"0": "0-3", "1": "4-19", "2": "20-39", "3": "40-69", "4": "70+"}),
)


def looks_like_rafdb(folder: Path) -> bool:
    """Whether a folder is RAF-DB's `basic` or holds it, with its list of labels."""
    return _list_of_labels(folder) is not None


def read_rafdb(root: Path, verify: bool = False) -> DatasetContents:
    """RAF-DB as published: `EmoLabel/list_patition_label.txt`, `Image/aligned` and `Image/original` of its `basic`.

    Images are taken from `aligned` (100x100, the labelled face alone, `train_00001_aligned.jpg`), and from `original`
    (`train_00001.jpg`, the whole web image) where that is missing. Gender, race and range of age are read from
    `basic/Annotation/manual/train_00001_manu_attri.txt` where those files are. `root` is `basic` or the folder above.

    Raises
    ------
    DatasetError
        The list of labels is not of the published form, or no photograph can be used.
    """
    listing = _list_of_labels(root)
    basic = listing.parents[1]
    aligned, original = (
        {path.stem.removesuffix("_aligned"): path for path in images_below(basic / "Image" / kind)}
        for kind in ("aligned", "original")
    )
    inspection = Inspection(DATASETS["rafdb"], root)
    labels = {name: number for name, number in _rows(listing) if inspection.is_first(name, Path(f"{name}.jpg"))}
    missing = [name for name in labels if name not in aligned and name not in original]
    inspection.note("Labels without an image", missing)
    inspection.note("Images without a label", sorted((aligned.keys() | original.keys()) - labels.keys()))
    if aligned:
        inspection.note(
            "Images of which only the original is there, not the aligned one",
            sorted(labels.keys() & (original.keys() - aligned.keys())),
        )
    for name, number in labels.items():
        path = aligned.get(name) or original.get(name)
        if path is not None:
            annotation = basic / "Annotation" / "manual" / f"{name}_manu_attri.txt"
            split, _, _ = name.partition("_")
            inspection.photographs.append(
                Photograph(path, _LABELS[number], None, split=split, attributes=_attributes(annotation))
            )
    return inspection.contents(verify)


def _list_of_labels(root: Path) -> Path | None:
    for folder in (root, root / "basic"):
        for name in _LISTS:
            if (folder / "EmoLabel" / name).is_file():
                return folder / "EmoLabel" / name
    return None


def _rows(listing: Path) -> Iterator[tuple[str, str]]:
    """Name of an image without its suffix, and number of its emotion."""
    with opened_table(listing) as file:
        for number, line in enumerate(file, 1):
            match = _ROW.fullmatch(line.strip())
            if match is not None:
                yield match["name"], match["label"]
            elif line.strip():
                raise DatasetError(
                    f"{listing}, line {number}: '{line.strip()}' should be a name and a number from 1 to 7, as in "
                    "'train_00001.jpg 5'; copy the file again."
                )


def _attributes(annotation: Path) -> Mapping[str, str]:
    try:
        cells = annotation.read_text(errors="replace").split()
    except FileNotFoundError:
        return {}
    return {
        attribute: values[cell]
        for (attribute, values), cell in zip(_ATTRIBUTES, cells[-len(_ATTRIBUTES) :], strict=False)
        if cell in values
    }
