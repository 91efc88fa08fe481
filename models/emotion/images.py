"""Folders of labelled face images: one folder for each emotion, or a table.

    root/happy/anna__01.jpg       the folder names the emotion; what stands before "__", if anything, the person
    root/manifest.csv             columns path (relative to root), label, and, if known, subject

Names of emotions are understood in any case and in the usual variants (anger, happiness, ...).
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from models.emotion.labels import EMOTIONS, emotion_of
from models.errors import ImageError
from models.expression.images import IMAGE_SUFFIXES

MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class LabelledImage:
    """One image and what is known of it.

    Attributes
    ----------
    path : of the image file
    label : a name out of `EMOTIONS`
    subject : the person, None where unknown
    """

    path: Path
    label: str
    subject: str | None


def labelled_images(root: Path | str) -> list[LabelledImage]:
    """The images of a folder, sorted by path; by its manifest where it has one, else by its folders.

    Raises
    ------
    ImageError
        The folder is missing or holds no image, a folder or a row of the manifest names no known emotion, or the
        manifest lacks a column or names a missing file.
    """
    root = Path(root)
    if not root.is_dir():
        raise ImageError(f"{root}: there is no such folder; make one with a folder for each emotion in it.")
    manifest = root / MANIFEST
    images = _from_manifest(manifest) if manifest.exists() else _from_folders(root)
    if not images:
        raise ImageError(f"{root}: holds no image; put {', '.join(IMAGE_SUFFIXES)} files into {root}/EMOTION/.")
    return sorted(images, key=lambda image: image.path)


def _from_folders(root: Path) -> list[LabelledImage]:
    images = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        label = emotion_of(folder.name)
        if label is None:
            raise ImageError(
                f"{folder}: no emotion is called so; name it one of {', '.join(EMOTIONS)}, or move it away."
            )
        for path in folder.iterdir():
            if path.suffix.lower() in IMAGE_SUFFIXES:
                subject, separator, _ = path.stem.partition("__")
                images.append(LabelledImage(path, label, subject if separator else None))
    return images


def _from_manifest(manifest: Path) -> list[LabelledImage]:
    images = []
    # Spreadsheet programs put a byte order mark in front.
    with open(manifest, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if missing := {"path", "label"} - set(rows.fieldnames or ()):
            raise ImageError(f"{manifest}: lacks the column {', '.join(sorted(missing))}; it needs path and label.")
        for row in rows:
            path, label = manifest.parent / (row["path"] or ""), emotion_of(row["label"] or "")
            if label is None:
                place = f"{manifest}, line {rows.line_num}"
                raise ImageError(f"{place}: '{row['label']}' is no emotion; use one of {', '.join(EMOTIONS)}.")
            if not path.is_file():
                raise ImageError(f"{manifest}, line {rows.line_num}: there is no file {path}; mend the path.")
            images.append(LabelledImage(path, label, row.get("subject") or None))
    return images
