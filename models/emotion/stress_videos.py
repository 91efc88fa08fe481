"""A set of stress videos: its manifest, and the expression in the frames of each video.

    ROOT/manifest.csv     columns video (relative to ROOT), subject, phase, task, label

Labels are "stressful" and "non-stressful", or common other names of the same. Phases are those of SRD'15 by number or
name, and any other names for other sets.
"""

import csv
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.emotion.datasets.tables import delimiter, opened_table
from models.errors import DatasetError, VideoError
from models.packages import sha256_of
from models.storage import load_arrays, save_arrays

if TYPE_CHECKING:
    from models.expression.predictor import Predictor
    from models.expression.sources import SourceFrame

MANIFEST = "manifest.csv"
COLUMNS = ("video", "subject", "phase", "task", "label")
# The phases of SRD'15 in the paper's words (section IV-B, Table IV).
PHASES = {
    "1": "Social exposure",
    "2": "Emotional recall",
    "3": "Stressful images / mental task",
    "4": "Stressful videos",
}
OK, NO_FACE = "ok", "no face"

_STRESSFUL = ("stressful", "stress", "stressed", "yes", "true", "1")
_NOT_STRESSFUL = (
    *("non-stressful", "non stressful", "nonstressful", "not stressful", "neutral", "no stress", "relaxed", "baseline"),
    *("no", "false", "0"),
)
_PHASE_OF = {title.lower(): number for number, title in PHASES.items()} | {
    **{f"phase {number}": number for number in PHASES},
    **{"stressful images": "3", "mental task": "3"},
}
# Errors of a manifest that are told in full; more of the same kind are counted.
ERRORS_TOLD = 5

# Wraps what is gone through, given it, its name and its length; may show a bar.
Progress = Callable[[Iterable, str, int | None], Iterable]


@dataclass(frozen=True)
class StressVideo:
    """One row of the manifest.

    Attributes
    ----------
    path : of the video; begins with the root
    subject, task : as the manifest calls them
    phase : a key of `PHASES` where the manifest names one of them, else its own words
    stressful : whether the task was
    """

    path: Path
    subject: str
    phase: str
    task: str
    stressful: bool


@dataclass(frozen=True)
class VideoExpressions:
    """Expression in the frames of one video that were looked at.

    Attributes
    ----------
    frames : (F,) their numbers
    times : (F,) seconds
    expression : (F, n_e) of the largest face, standard deviations; NaN in frames without one
    """

    frames: np.ndarray
    times: np.ndarray
    expression: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """(F,) bool, frames with a face."""
        return np.isfinite(self.expression).all(axis=1)


@dataclass(frozen=True)
class VideoReading:
    """A video and what was read in it.

    Attributes
    ----------
    video : what the manifest says
    expressions : None where the video cannot be read
    status : "ok", "no face", or the error
    content : SHA-256 of the file, empty where there is none
    """

    video: StressVideo
    expressions: VideoExpressions | None
    status: str
    content: str = ""


def phase_title(phase: str) -> str:
    """What the paper calls a phase of SRD'15; the phase's own name where it is none of them."""
    return PHASES.get(phase, phase)


def read_manifest(root: Path | str) -> list[StressVideo]:
    """The videos that `root/manifest.csv` lists, in its order. Whether they can be read is not looked at.

    Raises
    ------
    DatasetError
        There is no manifest, it lacks a column or has no rows, or rows are unusable: an empty cell, an unknown label, a
        video listed twice. All kinds of faults are told at once.
    """
    path = Path(root) / MANIFEST
    if not path.is_file():
        raise DatasetError(
            f"{path}: there is no such file; write one with the columns {', '.join(COLUMNS)}, a row for each video "
            "(see docs/stress.md)."
        )
    with opened_table(path) as file:
        reader = csv.DictReader(file, delimiter=delimiter(file), skipinitialspace=True)
        header = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        if missing := [name for name in COLUMNS if name not in header]:
            raise DatasetError(
                f"{path}: lacks the column {', '.join(missing)}; found {', '.join(header) or 'no header at all'}."
            )
        reader.fieldnames = header
        rows = [(reader.line_num, {name: (row[name] or "").strip() for name in COLUMNS}) for row in reader]
    if not rows:
        raise DatasetError(f"{path}: lists no video; a row for each video is expected.")
    if errors := list(_faults(rows)):
        more = f"; and {len(errors) - ERRORS_TOLD} more" if len(errors) > ERRORS_TOLD else ""
        raise DatasetError(f"{path}: {'; '.join(errors[:ERRORS_TOLD])}{more}. Mend these rows.")
    return [
        StressVideo(
            path=path.parent / row["video"],
            subject=row["subject"],
            phase=_PHASE_OF.get(row["phase"].lower(), row["phase"]),
            task=row["task"],
            stressful=row["label"].lower() in _STRESSFUL,
        )
        for _, row in rows
    ]


def _faults(rows: Sequence[tuple[int, dict[str, str]]]) -> Iterator[str]:
    for line, row in rows:
        # A task is a name for people; the protocol does without.
        if empty := [name for name in COLUMNS if name != "task" and not row[name]]:
            yield f"line {line} has no {', '.join(empty)}"
        elif row["label"].lower() not in (*_STRESSFUL, *_NOT_STRESSFUL):
            yield f"line {line}: label '{row['label']}' is neither stressful nor non-stressful"
    for video, count in Counter(row["video"] for _, row in rows if row["video"]).items():
        if count > 1:
            yield f"{video} is listed {count} times"


def video_expressions(path: Path | str, predictor: "Predictor", *, stride: int, max_side: int) -> VideoExpressions:
    """Expression of the largest face in every `stride`-th frame of a video, frames up to `max_side` pixels long.

    Raises
    ------
    VideoError
        The video cannot be read.
    """
    from models.expression.prediction import predict_frames
    from models.expression.sources import video_frames

    frames, times, expressions = [], [], []
    nothing = np.full(predictor.expression_size, np.nan, np.float32)
    chosen = _every(stride, video_frames(str(path), max_side))
    for frame in predict_frames(chosen, predictor):
        largest = max(frame.faces.values(), key=lambda face: np.prod(face.box[2:] - face.box[:2]), default=None)
        frames.append(frame.source.index)
        times.append(frame.source.time)
        expressions.append(nothing if largest is None else largest.expression_whitened)
    return VideoExpressions(np.array(frames), np.array(times), np.array(expressions, np.float32))


def read_videos(
    videos: Sequence[StressVideo],
    predictor: "Predictor",
    *,
    stride: int,
    max_side: int,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> list[VideoReading]:
    """The expressions of all videos, in their order; one that cannot be used says why and stops no other.

    Parameters
    ----------
    cache : folder for the expressions of finished videos, from which an interrupted run resumes; of one network alone
    """
    show = progress or (lambda items, name, total: items)
    return [_reading(video, predictor, stride, max_side, cache) for video in show(videos, "stress videos", len(videos))]


def _reading(
    video: StressVideo, predictor: "Predictor", stride: int, max_side: int, cache: Path | None
) -> VideoReading:
    try:
        content = sha256_of(video.path)
        # By content: a renamed video is not read again, and an exchanged one is.
        kept = None if cache is None else cache / f"{content[:32]}_{stride}_{max_side}.npz"
        if kept is not None and kept.is_file():
            expressions = VideoExpressions(**load_arrays(kept))
        else:
            expressions = video_expressions(video.path, predictor, stride=stride, max_side=max_side)
            if kept is not None:
                save_arrays(kept, frames=expressions.frames, times=expressions.times, expression=expressions.expression)
    except FileNotFoundError:
        return VideoReading(video, None, f"{video.path}: there is no such file; mend the manifest, or copy it there.")
    except (VideoError, OSError) as error:
        return VideoReading(video, None, str(error))
    return VideoReading(video, expressions, OK if expressions.found.any() else NO_FACE, content)


def _every(stride: int, frames: Generator["SourceFrame", None, None]) -> Generator["SourceFrame", None, None]:
    with closing(frames):
        for frame in frames:
            if frame.index % stride == 0:
                yield frame
