"""Karolinska Directed Emotional Faces: 70 people, seven emotions, two sessions, five angles."""

import itertools
import re
from pathlib import Path

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS
from models.emotion.datasets.inspection import Inspection, files_in, images_below, subfolders
from models.emotion.labels import emotion_of

_NAME = re.compile(r"(?P<session>[AB])(?P<gender>[FM])(?P<number>\d\d)(?P<emotion>[A-Z]{2})(?P<angle>FL|HL|S|HR|FR)")
_FOLDER = re.compile(r"[AB][FM]\d\d")
_VIEWS = {"FL": -90.0, "HL": -45.0, "S": 0.0, "HR": 45.0, "FR": 90.0}
_EMOTIONS = ("AF", "AN", "DI", "HA", "NE", "SA", "SU")
_NUMBERS = tuple(f"{number:02d}" for number in range(1, 36))
_GENDERS = {"F": "female", "M": "male"}

# Two files of the set as it is given out are called by mistake so; what they show follows from which names are missing.
_MISNAMED = {"AF31V": "AF31SAHL", "AM31H": "AM31SUHR"}


def looks_like_kdef(folder: Path) -> bool:
    """Whether a folder holds folders such as AF01, or, all in one place, photographs that are called as KDEF's are.

    A folder of one person and session alone is no root.
    """
    if _FOLDER.fullmatch(folder.name.upper()):
        return False
    return any(_FOLDER.fullmatch(path.name.upper()) for path in subfolders(folder)) or any(
        _NAME.fullmatch(path.stem.upper()) for path in files_in(folder)
    )


def read_kdef(root: Path, verify: bool = False) -> DatasetContents:
    """KDEF as downloaded: `AF01/AF01ANS.JPG`, or the same files in one folder.

    A left profile shows the left cheek and counts as negative yaw. `take` is the session, `moment` session, person and
    emotion. `AF31V.JPG` and `AM31H.JPG` of the set are read as `AF31SAHL.JPG` and `AM31SUHR.JPG`, which it lacks. Some
    published photographs are all black (such as `BM24DIFL.JPG`): they can be opened and are counted, and no face is
    found in them.

    Raises
    ------
    DatasetError
        No photograph can be used.
    """
    inspection = Inspection(DATASETS["kdef"], root)
    unknown = []
    for path in images_below(root):
        name = _MISNAMED.get(path.stem.upper(), path.stem.upper())
        match = _NAME.fullmatch(name)
        label = emotion_of(match["emotion"]) if match else None
        if label is None:
            unknown.append(path.relative_to(root))
        elif inspection.is_first(name, path):
            inspection.photographs.append(
                Photograph(
                    path=path,
                    label=label,
                    subject=match["gender"] + match["number"],
                    view=_VIEWS[match["angle"]],
                    moment=name[:6],
                    take=match["session"],
                    attributes={"gender": _GENDERS[match["gender"]]},
                )
            )
    inspection.note("Images that are not called as those of KDEF are", unknown)
    _note_missing(inspection)
    return inspection.contents(verify)


def _note_missing(inspection: Inspection) -> None:
    """Note people, sessions and angles of which nothing is there, and the single photographs that lack among others.

    Frontal ones come first: most benchmarks take no others.
    """
    if not inspection.photographs:
        return
    found = {(shown.moment, shown.view) for shown in inspection.photographs}
    people = {shown.subject for shown in inspection.photographs}
    sessions = {shown.take for shown in inspection.photographs}
    views = {shown.view for shown in inspection.photographs}
    everybody = ["".join(parts) for parts in itertools.product("FM", _NUMBERS)]
    inspection.note("Angles without any photograph", (angle for angle, view in _VIEWS.items() if view not in views))
    inspection.note("Sessions without any photograph", (session for session in "AB" if session not in sessions))
    inspection.note("People without any photograph", (person for person in everybody if person not in people))
    inspection.note(
        "Photographs that are missing of people who are there",
        (
            f"{session}{person}{emotion}{angle}"
            for angle, view in sorted(_VIEWS.items(), key=lambda item: abs(item[1]))
            for session, person, emotion in itertools.product(sorted(sessions), sorted(people), _EMOTIONS)
            if view in views and (f"{session}{person}{emotion}", view) not in found
        ),
    )
