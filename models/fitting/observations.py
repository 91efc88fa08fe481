"""Landmarks as a fit sees them: checked, with a weight for each point."""

from dataclasses import dataclass

import numpy as np

from models.errors import FittingError, ModelMismatchError
from models.fitting.pose import MINIMUM_POINTS
from models.morphable_model import MorphableModel


@dataclass(frozen=True)
class Observations:
    """Landmarks of F frames.

    Attributes
    ----------
    landmarks : (F, L, 2) float64 pixels, zero where unknown
    counts : (F, L) weight of each point as a number of observations; zero where the point is unknown
    """

    landmarks: np.ndarray
    counts: np.ndarray

    def __getitem__(self, frames) -> "Observations":
        """The landmarks of some frames."""
        return Observations(self.landmarks[frames], self.counts[frames])

    @property
    def usable(self) -> np.ndarray:
        """(F,) bool: frames with enough points to have a pose of their own."""
        return (self.counts > 0).sum(1) >= MINIMUM_POINTS


def observations(landmarks: np.ndarray, model: MorphableModel, weights: np.ndarray | None = None) -> Observations:
    """Check landmarks (F, 68, 2) and weights (F,) or (F, 68); points with NaN coordinates or weight get count zero.

    Raises
    ------
    ModelMismatchError
        The model has another number of landmarks.
    FittingError
        A wrong shape, a negative weight, no frame with enough points, or points that all fall on one spot.
    """
    landmarks = np.asarray(landmarks, np.float64)
    if landmarks.ndim != 3 or landmarks.shape[2] != 2 or not len(landmarks):
        raise FittingError(f"landmarks have shape {landmarks.shape}; expected (frames, 68, 2) with at least one frame.")
    expected = len(model.landmark_mean)
    if landmarks.shape[1] != expected:
        raise ModelMismatchError(
            f"landmarks have {landmarks.shape[1]} points a frame, but the face model '{model.name}' has {expected}; "
            "use the mark-up that the model was built for."
        )
    counts = np.isfinite(landmarks).all(2).astype(np.float64)
    if weights is not None:
        weights = np.asarray(weights, np.float64)
        if weights.shape not in (landmarks.shape[:1], landmarks.shape[:2]):
            raise FittingError(
                f"weights have shape {weights.shape}; expected {landmarks.shape[:1]} or {landmarks.shape[:2]}."
            )
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise FittingError("weights must be finite and not negative; give 0 to points that are to be ignored.")
        counts = counts * weights.reshape(len(weights), -1)
    found = Observations(np.where(counts[..., None] > 0, landmarks, 0.0), counts)
    usable = found.usable
    if not usable.any():
        raise FittingError(
            f"none of the {len(landmarks)} frames has {MINIMUM_POINTS} usable landmarks; "
            "run the landmark detector again, or leave this video out."
        )
    extent = _extent(found)
    if not extent.max() > 0:
        raise FittingError("all landmarks of a frame fall on one point; the detector did not see a face.")
    # A frame whose points coincide says nothing about pose or shape.
    useless = ~usable | (extent <= 0)
    found.counts[useless] = 0
    found.landmarks[useless] = 0
    return found


def _extent(observed: Observations) -> np.ndarray:
    """Larger side (F,) of the box around each frame's known points, pixels; 0 where fewer than two are known."""
    known = (observed.counts > 0)[..., None]
    top = np.max(observed.landmarks, axis=1, where=known, initial=-np.inf)
    bottom = np.min(observed.landmarks, axis=1, where=known, initial=np.inf)
    return np.maximum(top - bottom, 0.0).max(1)
