"""The default backend's weight files: where they are, and on what terms."""

from dataclasses import dataclass
from pathlib import Path

from models.packages import FACE_LANDMARKER, MEDIAPIPE, packaged_file


@dataclass(frozen=True)
class WeightFile:
    """A hash-checked file of weights, its licence and the pinned package that it came from."""

    path: Path
    licence: str
    package: str


def detector_weights() -> list[WeightFile]:
    """The face detector's and the landmark network's files, fetched if they are not cached.

    Raises
    ------
    WeightsMissingError
        A file is neither cached nor obtainable, or its hash is wrong.
    """
    from models.landmarks.mediapipe import DETECTOR, DETECTOR_SHA256, landmarker_file

    return [
        WeightFile(packaged_file(MEDIAPIPE, DETECTOR, DETECTOR_SHA256), MEDIAPIPE.licence, MEDIAPIPE.pin),
        WeightFile(landmarker_file(), FACE_LANDMARKER.licence, FACE_LANDMARKER.pin),
    ]
