"""Japanese Female Facial Expression: ten women, seven emotions, three or four poses of each."""

import re
from pathlib import Path

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS
from models.emotion.datasets.inspection import Inspection, files_in, images_below
from models.emotion.labels import emotion_of

_NAME = re.compile(r"(?P<subject>[A-Z]{2})\.(?P<emotion>[A-Z]{2})(?P<pose>\d)\.\d+")


def looks_like_jaffe(folder: Path) -> bool:
    """Whether a folder holds photographs that are called as those of JAFFE are."""
    return any(_NAME.fullmatch(path.stem.upper()) for path in files_in(folder))


def read_jaffe(root: Path, verify: bool = False) -> DatasetContents:
    """JAFFE as published: all photographs in one folder, such as `KA.AN1.39.tiff` (person, emotion and pose, number).

    `take` is the number of the pose.

    Raises
    ------
    DatasetError
        No photograph can be used.
    """
    inspection = Inspection(DATASETS["jaffe"], root)
    unknown = []
    for path in images_below(root):
        match = _NAME.fullmatch(path.stem.upper())
        label = emotion_of(match["emotion"]) if match else None
        if label is None:
            unknown.append(path.relative_to(root))
        elif inspection.is_first(path.stem.upper(), path):
            attributes = {"gender": "female", "ethnicity": "Japanese"}
            inspection.photographs.append(
                Photograph(path, label, match["subject"], take=match["pose"], attributes=attributes)
            )
    inspection.note("Images that are not called as those of JAFFE are", unknown)
    return inspection.contents(verify)
