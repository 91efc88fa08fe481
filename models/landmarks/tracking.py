"""Which detections are the person of the video: section III-B, "False detections removal"."""

from dataclasses import dataclass

import numpy as np

from models.landmarks.video import Detections


@dataclass(frozen=True)
class Track:
    """One face of the first frame, followed frame by frame from there.

    Attributes
    ----------
    face : its number among the faces of the first frame, from the largest
    frame_index : (T,) consecutive frames
    timestamps : (T,) seconds
    landmarks : (T, 68, 2) float32 pixels; NaN where the face was missed, never for K frames on end
    boxes : (T, 4) float32, NaN likewise
    score : (T,) float32, NaN likewise
    """

    face: int
    frame_index: np.ndarray
    timestamps: np.ndarray
    landmarks: np.ndarray
    boxes: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.frame_index)

    @property
    def found(self) -> np.ndarray:
        """(T,) bool: frames in which the face was detected."""
        return np.isfinite(self.score)


@dataclass(frozen=True)
class LostTrack:
    """A face of the first frame that was lost too early.

    Attributes
    ----------
    face : its number among the faces of the first frame, from the largest
    frame : the first frame in which it was missed for good
    tracked : frames before that
    reason : in words
    """

    face: int
    frame: int
    tracked: int
    reason: str


@dataclass(frozen=True)
class Tracking:
    """What became of the faces of the first frame.

    Attributes
    ----------
    tracks : faces kept, the largest first
    lost : faces lost; one entry (face -1) for a video whose first frame has none
    false_detections : rows within the tracked frames that belong to no face of the first frame
    """

    tracks: tuple[Track, ...]
    lost: tuple[LostTrack, ...]
    false_detections: int


def track_first_frame_faces(
    detections: Detections, *, frames_wanted: int = 2000, lost_after: int = 5, margin: float = 0.5
) -> Tracking:
    """Follow every face of the first frame through the video.

    A detection continues a track if no edge of its box is further than `margin` box widths from where it was in the
    frame in which the face was last seen. Each detection continues one track at most; where several could, the
    assignment with the smallest total displacement is taken, so the order of the detections in a frame is of no
    consequence. Frames after the last detection of a video that ends are left out of its track.

    Parameters
    ----------
    detections : of one video
    frames_wanted : F; tracking stops after so many frames
    lost_after : K; a face missed in so many consecutive frames is lost
    margin : in box widths
    """
    frames = min(detections.frame_count, frames_wanted)
    edges = np.searchsorted(detections.frame_index, np.arange(frames + 1))
    first = _largest_first(detections.boxes, np.arange(edges[0], edges[min(1, frames)]))
    if not len(first):
        reason = "no face in the first frame"
        return Tracking((), (LostTrack(-1, 0, 0, reason),), int(edges[-1] - edges[0]))

    # Row of the detections that each face has in each frame; -1 where it was missed.
    chosen = np.full((len(first), frames), -1)
    chosen[:, 0] = first
    last_row, last_frame = first.copy(), np.zeros(len(first), int)
    alive = np.arange(len(first))
    lost = []
    for frame in range(1, frames):
        rows = np.arange(edges[frame], edges[frame + 1])
        chosen[alive, frame] = _continuations(detections.boxes, last_row[alive], rows, margin)
        seen = alive[chosen[alive, frame] >= 0]
        last_row[seen], last_frame[seen] = chosen[seen, frame], frame
        for face in alive[frame - last_frame[alive] >= lost_after]:
            begin = int(last_frame[face]) + 1
            reason = f"missed in {lost_after} consecutive frames from frame {begin} on, before {frames_wanted} frames"
            lost.append(LostTrack(int(face), begin, begin, reason))
        alive = alive[frame - last_frame[alive] < lost_after]
    tracks = tuple(_track(detections, int(face), chosen[face, : last_frame[face] + 1]) for face in alive)
    return Tracking(tracks, tuple(lost), int(edges[-1] - edges[0]) - int((chosen >= 0).sum()))


def _largest_first(boxes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows by falling area of their boxes; position decides between equals, so that the order given does not."""
    area = np.prod(boxes[rows, 2:] - boxes[rows, :2], -1)
    return rows[np.lexsort([*boxes[rows].T, -area])]


def _continuations(boxes: np.ndarray, last_rows: np.ndarray, rows: np.ndarray, margin: float) -> np.ndarray:
    """For each track, given by the row in which it was last seen, the row that continues it, or -1."""
    result = np.full(len(last_rows), -1)
    if not len(rows) or not len(last_rows):
        return result
    from scipy.optimize import linear_sum_assignment

    last = boxes[last_rows].astype(float)
    # Largest displacement of an edge, in widths of the last box.
    moved = np.abs(boxes[rows] - last[:, None]).max(-1) / (last[:, 2] - last[:, 0])[:, None]
    allowed = moved <= margin
    # What is not allowed costs more than any allowed assignment of all tracks together.
    cost = np.where(allowed, moved, 1 + margin * len(last_rows))
    for track, candidate in zip(*linear_sum_assignment(cost), strict=True):
        if allowed[track, candidate]:
            result[track] = rows[candidate]
    return result


def _track(detections: Detections, face: int, rows: np.ndarray) -> Track:
    """Track of one row per frame, -1 where the face was missed."""
    found = rows >= 0

    def taken(values: np.ndarray) -> np.ndarray:
        result = np.full((len(rows), *values.shape[1:]), np.nan, np.float32)
        result[found] = values[rows[found]]
        return result

    return Track(
        face=face,
        frame_index=np.arange(len(rows)),
        timestamps=detections.frame_times[: len(rows)],
        landmarks=taken(detections.landmarks),
        boxes=taken(detections.boxes),
        score=taken(detections.score),
    )
