"""Landmarks of every face in every frame of a video."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from models.errors import VideoError
from models.landmarks.backend import Face, LandmarkBackend, box_around, overlap
from models.landmarks.recorded import RecordedBackend
from models.storage import load_arrays, save_arrays
from models.video.decoding import Frame, frame_times, probe, read_frames

# After a face is lost it is looked for in each of this many frames: as many as a track may miss (K of section III-B).
SEARCH_AFTER_LOSS = 5
SAME_FACE = 0.3


@dataclass(frozen=True)
class Detections:
    """Faces found in a video: one row per face and frame, sorted by frame. The contract of `data/landmarks`.

    Attributes
    ----------
    landmarks : (R, 68, 2) float32 pixels of the video as displayed
    boxes : (R, 4) float32 x0, y0, x1, y1
    score : (R,) float32
    frame_index : (R,) int64, from 0; several faces of one frame share it
    timestamps : (R,) float64 seconds
    frame_times : (F,) float64 seconds of every frame looked at, those without a face too
    size : (2,) int64 width and height of the video as displayed
    """

    landmarks: np.ndarray
    boxes: np.ndarray
    score: np.ndarray
    frame_index: np.ndarray
    timestamps: np.ndarray
    frame_times: np.ndarray
    size: np.ndarray

    def __len__(self) -> int:
        return len(self.frame_index)

    @property
    def frame_count(self) -> int:
        return len(self.frame_times)

    def save(self, path: Path | str) -> None:
        """Write the npz."""
        save_arrays(path, **{item.name: getattr(self, item.name) for item in fields(self)})

    @classmethod
    def load(cls, path: Path | str) -> "Detections":
        """Read the npz.

        Raises
        ------
        VideoError
            Missing, or not such a file.
        """
        try:
            arrays = load_arrays(path)
            return cls(**{item.name: arrays[item.name] for item in fields(cls)})
        except FileNotFoundError:
            raise VideoError(f"{path}: there are no landmarks here; materialise `landmarks` for this video.") from None
        except (OSError, ValueError, KeyError) as error:
            raise VideoError(f"{path}: not a file of landmarks ({error}); delete it and run again.") from error


def landmark_video(
    path: Path | str,
    backend: LandmarkBackend,
    *,
    max_frames: int,
    redetect_every: int,
    max_side: int,
    progress: Callable[[int], None] | None = None,
) -> Detections:
    """Find all faces in the first frames of a video.

    Faces are followed from frame to frame; new ones are looked for every `redetect_every` frames, in every frame
    without any, and for a few frames after one is lost.

    Parameters
    ----------
    path : video file
    backend : what finds the faces, or a `RecordedBackend`
    max_frames : frames looked at
    redetect_every : frames between two full detections
    max_side : longer side, pixels, to which larger frames are scaled down; results are in pixels of the video
    progress : called with the number of frames done

    Raises
    ------
    VideoError
        The video cannot be used. A video without faces is no error: there are no rows.
    """
    if isinstance(backend, RecordedBackend):
        return _recorded(path, backend, max_frames)
    rows: list[tuple[int, Face]] = []
    times: list[float] = []
    size = np.zeros(2, np.int64)
    faces: list[Face] = []
    search_until = -1
    for frame in read_frames(path, max_side=max_side, limit=max_frames):
        followed = backend.follow(frame.image, faces) if faces else []
        if any(face is None for face in followed):
            search_until = frame.index + SEARCH_AFTER_LOSS
        faces = [face for face in followed if face is not None]
        if not faces or frame.index <= search_until or frame.index % redetect_every == 0:
            faces += [face for face in backend.detect(frame.image) if not _among(face, faces)]
        rows += [(frame.index, _in_video(face, frame)) for face in faces]
        times.append(frame.time)
        size = np.rint(np.array(frame.image.shape[1::-1]) / frame.scale).astype(np.int64)
        if progress:
            progress(len(times))
    return _detections(rows, np.array(times), size)


def _among(face: Face, faces: list[Face]) -> bool:
    return any(overlap(face.box, other.box) > SAME_FACE for other in faces)


def _in_video(face: Face, frame: Frame) -> Face:
    points = frame.to_video(face.points).astype(np.float32)
    return Face(points, box_around(points), face.score)


def _detections(rows: list[tuple[int, Face]], times: np.ndarray, size: np.ndarray) -> Detections:
    index = np.array([index for index, _ in rows], np.int64)
    return Detections(
        landmarks=np.array([face.points for _, face in rows], np.float32).reshape(-1, 68, 2),
        boxes=np.array([face.box for _, face in rows], np.float32).reshape(-1, 4),
        score=np.array([face.score for _, face in rows], np.float32),
        frame_index=index,
        timestamps=times[index],
        frame_times=times,
        size=size,
    )


def _recorded(path: Path | str, backend: RecordedBackend, max_frames: int) -> Detections:
    """Recorded points with the video's own timestamps."""
    info = probe(path)
    index, points, score = backend.read(path)
    times = frame_times(path)
    if len(index) and not 0 <= index[0] <= index[-1] < len(times):
        raise VideoError(
            f"{path}: has {len(times)} frames, but the recorded landmarks name frames {index[0]} to {index[-1]}; "
            "check that they belong to this video and count frames from 0 (`frame_index`) or 1 (`frame`)."
        )
    times = times[:max_frames]
    kept = index < len(times)
    index, points, score = index[kept], points[kept], score[kept]
    return Detections(
        points, box_around(points), score, index, times[index], times, np.array([info.width, info.height])
    )
