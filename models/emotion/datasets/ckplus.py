"""Extended Cohn-Kanade: sequences from neutral to the peak of an emotion."""

import re
from pathlib import Path

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS
from models.emotion.datasets.inspection import Inspection, images_below, subfolders

_IMAGES = "cohn-kanade-images"
_EMOTIONS = "Emotion"
_SUBJECT = re.compile(r"S\d{3}")
_LABEL = re.compile(r"(?P<sequence>S\d{3}_\d{3})_\d{8}_emotion")
_FRAME = re.compile(r"(?P<sequence>S\d{3}_\d{3})_\d{8}")
_CONTEMPT = 2
_LABELS = {0: "neutral", 1: "angry", 3: "disgusted", 4: "fearful", 5: "happy", 6: "sad", 7: "surprised"}


def looks_like_ckplus(folder: Path) -> bool:
    """Whether a folder holds the two folders of CK+, as they are or each within the folder of its archive."""
    return _part(folder, _IMAGES) is not None and _part(folder, _EMOTIONS) is not None


def read_ckplus(root: Path, verify: bool = False) -> DatasetContents:
    """CK+ as published: `cohn-kanade-images/S005/001/S005_001_00000011.png` and `Emotion/S005/001/..._emotion.txt`.

    Of each sequence with a label the frame that the label's name tells is read as `take` "peak", with the emotion, and
    the first frame as `take` "onset", neutral; a protocol may leave the latter out. Of a sequence of contempt the onset
    alone is read. `attributes` has the "sequence" of a subject.

    Raises
    ------
    DatasetError
        No photograph can be used.
    """
    images, emotions = _part(root, _IMAGES), _part(root, _EMOTIONS)
    frames = _frames(images)
    inspection = Inspection(DATASETS["ckplus"], root)
    unreadable, without_images, without_peak, without_onset = [], [], [], []
    labelled = set()
    for file in sorted(emotions.rglob("*_emotion.txt")):
        match = _LABEL.fullmatch(file.stem)
        number = _number(file)
        if match is None or number is None:
            unreadable.append(file.relative_to(root))
            continue
        sequence = match["sequence"]
        labelled.add(sequence)
        if sequence not in frames:
            without_images.append(sequence)
            continue
        subject, _, run = sequence.partition("_")
        peak = next((path for path in frames[sequence] if path.stem == file.stem.removesuffix("_emotion")), None)
        if peak is None:
            without_peak.append(sequence)
            continue
        attributes = {"sequence": run}
        if number == _CONTEMPT:
            inspection.left_out["contempt"] += 1
        else:
            inspection.photographs.append(
                Photograph(peak, _LABELS[number], subject, take="peak", attributes=attributes)
            )
        onset = frames[sequence][0]
        if onset == peak:
            without_onset.append(sequence)
        else:
            inspection.photographs.append(Photograph(onset, "neutral", subject, take="onset", attributes=attributes))
    inspection.left_out["sequence without a label"] = len(frames.keys() - labelled)
    inspection.note("Labels that cannot be read", unreadable)
    inspection.note("Labels of sequences that are missing", without_images)
    inspection.note("Sequences without the frame that is labelled", without_peak)
    inspection.note("Sequences that have the labelled frame alone, and no first one", without_onset)
    return inspection.contents(verify)


def _part(root: Path, name: str) -> Path | None:
    """One of the set's two folders, in the root or in the folder that its archive is unpacked into."""
    archives = [folder for folder in subfolders(root) if name.lower() in folder.name.lower()]
    for folder in (*archives, *(below for archive in archives for below in subfolders(archive))):
        if folder.name.lower() == name.lower() and any(_SUBJECT.fullmatch(below.name) for below in subfolders(folder)):
            return folder
    return None


def _frames(images: Path) -> dict[str, list[Path]]:
    """The frames of every sequence, in order."""
    frames = {}
    for path in images_below(images):
        if match := _FRAME.fullmatch(path.stem):
            frames.setdefault(match["sequence"], []).append(path)
    return frames


def _number(file: Path) -> int | None:
    """The number of an emotion, which is written as "3.0000000e+00"; None where it is none."""
    try:
        number = float(file.read_text())
    except (ValueError, OSError):
        return None
    return int(number) if number == _CONTEMPT or number in _LABELS else None
