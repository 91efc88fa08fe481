"""What a fit is given of one person: clips and photographs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import FittingError
from models.fitting.observations import Observations, observations
from models.morphable_model import MorphableModel

DEFAULT_FRAME_RATE = 30.0


@dataclass(frozen=True)
class Clip:
    """Landmarks of a video, or of photographs, of one person.

    Attributes
    ----------
    landmarks : (F, L, 2) pixels; NaN marks a missing point
    timestamps : (F,) seconds, ascending; None means 30 frames a second. Their median step sets the smoothness
    weights : (F,) or (F, L), how much to trust each frame or point; 1 is normal, 0 ignores
    ordered : False for photographs, whose expressions have nothing to do with one another
    """

    landmarks: np.ndarray
    timestamps: np.ndarray | None = None
    weights: np.ndarray | None = None
    ordered: bool = True

    def time_step(self) -> float | None:
        """Seconds between frames, None for photographs.

        Raises
        ------
        FittingError
            Timestamps of a wrong shape, not finite, or not ascending.
        """
        if not self.ordered:
            return None
        frames = len(self.landmarks)
        if self.timestamps is None or frames == 1:
            return 1 / DEFAULT_FRAME_RATE
        timestamps = np.asarray(self.timestamps, np.float64)
        if timestamps.shape != (frames,):
            raise FittingError(f"timestamps have shape {timestamps.shape}; expected ({frames},).")
        steps = np.diff(timestamps)
        if not (np.isfinite(timestamps).all() and (steps > 0).all()):
            raise FittingError("timestamps must be finite and ascending seconds.")
        return float(np.median(steps))


def observed_clips(clips: Sequence[Clip], model: MorphableModel) -> tuple[Observations, np.ndarray]:
    """All clips' landmarks, checked and laid end to end, and the first frame of each (C + 1,).

    Raises
    ------
    FittingError, ModelMismatchError
        As `observations`; with several clips the message says which.
    """
    if not clips:
        raise FittingError("no clip to fit; give at least one.")
    found = []
    for place, clip in enumerate(clips):
        try:
            found.append(observations(clip.landmarks, model, clip.weights))
        except FittingError as error:
            if len(clips) == 1:
                raise
            raise type(error)(f"clip {place}: {error}") from error
    starts = np.cumsum([0, *(len(part.counts) for part in found)])
    if len(found) == 1:
        return found[0], starts
    landmarks, counts = (np.concatenate([getattr(part, name) for part in found]) for name in ("landmarks", "counts"))
    return Observations(landmarks, counts), starts
