"""Landmarks that the user already has, one file per video, instead of a detector.

For `clip.mp4` the folder holds `clip.npz` or `clip.csv`.

npz: `landmarks` (R, 68, 2) pixels; optional `frame_index` (R,) from 0 (default 0 ... R-1) and `score` (R,). Files of
`data/landmarks` are of this kind.

csv: one row per face and frame, with columns `x_0` ... `x_67`, `y_0` ... `y_67`, and either `frame_index` (from 0) or
`frame` (from 1, as OpenFace writes it); optional `score` or `confidence`, and `success`, whose zeros are left out.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.errors import NoFaceError, VideoError
from models.landmarks.backend import Face
from models.storage import load_arrays

POINTS = 68


class RecordedBackend:
    """Points read from files; `read` gives those of a video."""

    name = "recorded"

    def __init__(self, folder: Path | str | None = None) -> None:
        """`folder` holds a file for each video.

        Raises
        ------
        NoFaceError
            None is named.
        """
        if folder is None:
            raise NoFaceError(
                "recorded landmarks belong to videos, and no folder with them is named: set landmarks: recorded_folder "
                "in params.yaml, which the pipeline reads; for photographs, prediction and benchmarks choose the "
                "backend mediapipe or face-alignment."
            )
        self.folder = Path(folder)

    def detect(self, image: np.ndarray, known: Sequence[Face] = ()) -> list[Face]:
        """Recorded points belong to the frames of a video, so there are none for an image alone.

        Raises
        ------
        NoFaceError
            Always.
        """
        raise NoFaceError("recorded landmarks belong to videos; choose the backend mediapipe for single images.")

    def follow(self, image: np.ndarray, faces: list[Face]) -> list[Face | None]:
        """As `detect`."""
        return self.detect(image)

    def read(self, video: Path | str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frame indices (R,), points (R, 68, 2) and scores (R,) of a video, sorted by frame.

        Raises
        ------
        NoFaceError
            There is no file for this video.
        VideoError
            The file is not as described above.
        """
        stem = Path(video).stem
        for suffix, reader in ((".npz", _read_npz), (".csv", _read_csv)):
            path = self.folder / f"{stem}{suffix}"
            if path.exists():
                index, points, score = reader(path)
                order = np.argsort(index, kind="stable")
                return index[order], points[order].astype(np.float32), score[order].astype(np.float32)
        raise NoFaceError(f"{video}: no recorded landmarks; put {stem}.npz or {stem}.csv into {self.folder}.")


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        arrays = load_arrays(path)
        points = arrays["landmarks"]
    except (OSError, ValueError, KeyError) as error:
        raise VideoError(f"{path}: not an npz with an array `landmarks` ({error}); see docs/landmarks.md.") from error
    index = arrays.get("frame_index", np.arange(len(points)))
    score = arrays.get("score", np.ones(len(points)))
    if points.shape != (len(points), POINTS, 2) or index.shape != (len(points),) or score.shape != (len(points),):
        raise VideoError(
            f"{path}: landmarks {points.shape}, frame_index {index.shape} and score {score.shape} should be "
            "(R, 68, 2), (R,) and (R,); see docs/landmarks.md."
        )
    return index.astype(np.int64), points, score


def _read_csv(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            # OpenFace puts a space after each comma.
            rows = list(csv.DictReader(file, skipinitialspace=True))
        rows = [row for row in rows if float(row.get("success") or 1) > 0]
        index = [int(row["frame_index"]) if "frame_index" in row else int(row["frame"]) - 1 for row in rows]
        points = [[(float(row[f"x_{k}"]), float(row[f"y_{k}"])) for k in range(POINTS)] for row in rows]
        score = [float(row.get("score") or row.get("confidence") or 1) for row in rows]
    except KeyError as error:
        raise VideoError(f"{path}: has no column {error}; see docs/landmarks.md for the columns.") from error
    except (OSError, ValueError, TypeError) as error:
        raise VideoError(f"{path}: cannot be read as landmarks ({error}); see docs/landmarks.md.") from error
    return np.array(index, np.int64), np.array(points, float).reshape(-1, POINTS, 2), np.array(score, float)
