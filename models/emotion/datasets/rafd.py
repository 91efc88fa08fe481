"""Radboud Faces Database: 67 people, eight emotions, three gazes, five cameras."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS
from models.emotion.datasets.inspection import Inspection, files_in, images_below
from models.emotion.labels import EMOTIONS, emotion_of

_NAME = re.compile(
    r"Rafd(?P<angle>000|045|090|135|180)_(?P<subject>\d+)_(?P<kind>[A-Za-z]+)_(?P<gender>female|male)"
    r"_(?P<emotion>[a-z]+)_(?P<gaze>frontal|left|right)",
    re.IGNORECASE,
)
_CHILD = "kid"
_GAZES = ("frontal", "left", "right")
_VIEWS = (90.0, 45.0, 0.0, -45.0, -90.0)


def looks_like_rafd(folder: Path) -> bool:
    """Whether a folder holds photographs that are called as those of RaFD are."""
    return any(_NAME.fullmatch(path.stem) for path in files_in(folder))


def read_rafd(root: Path, verify: bool = False) -> DatasetContents:
    """RaFD as downloaded: all photographs in one folder, such as `Rafd090_01_Caucasian_female_angry_frontal.jpg`.

    The view is 90° less the camera's angle, so that camera 045 sees a face turned to its left and 135 one turned to
    its right; that the cameras stand on these sides and not the other way round is assumed, and no protocol depends on
    it. `take` is the gaze, `moment` person, emotion and gaze. Those called "Kid" are children, whom the publisher
    describes as Caucasian: `attributes` says "age" "child" of them and "adult" of the others.

    Raises
    ------
    DatasetError
        No photograph can be used.
    """
    inspection = Inspection(DATASETS["rafd"], root)
    unknown = []
    for path in images_below(root):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            unknown.append(path.relative_to(root))
        elif not inspection.is_first(path.stem.lower(), path):
            continue
        elif match["emotion"].lower().startswith("contempt"):
            inspection.left_out["contempt"] += 1
        elif (label := emotion_of(match["emotion"])) is None:
            unknown.append(path.relative_to(root))
        else:
            inspection.photographs.append(_photograph(path, label, match.__getitem__))
    inspection.note("Images that are not called as those of RaFD are", unknown)
    _note_missing(inspection)
    return inspection.contents(verify)


def _note_missing(inspection: Inspection) -> None:
    """Note cameras and gazes of which nothing is there, and the single photographs that lack among the others."""
    if not inspection.photographs:
        return
    found = {(shown.subject, shown.label, shown.take, shown.view) for shown in inspection.photographs}
    people, _, gazes, views = (sorted(set(values)) for values in zip(*found, strict=True))
    inspection.note("Cameras without any photograph", (f"{90 - view:03.0f}" for view in _VIEWS if view not in views))
    inspection.note("Gazes without any photograph", (gaze for gaze in _GAZES if gaze not in gazes))
    inspection.note(
        "Photographs that are missing of people who are there",
        (
            f"Rafd{90 - view:03.0f}_{person}_..._{emotion}_{gaze}"
            for person, emotion, gaze, view in itertools.product(people, EMOTIONS, gazes, views)
            if (person, emotion, gaze, view) not in found
        ),
    )


def _photograph(path: Path, label: str, part: Callable[[str], str]) -> Photograph:
    child = part("kind").lower() == _CHILD
    subject, gaze = part("subject").zfill(2), part("gaze").lower()
    return Photograph(
        path=path,
        label=label,
        subject=subject,
        view=90.0 - float(part("angle")),
        moment=f"{subject}_{label}_{gaze}",
        take=gaze,
        attributes={
            "gender": part("gender").lower(),
            "ethnicity": "Caucasian" if child else part("kind").capitalize(),
            "age": "child" if child else "adult",
        },
    )
