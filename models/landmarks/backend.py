"""What every landmark backend gives, and how to get one by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

BACKENDS = ("mediapipe", "face-alignment", "recorded")


@dataclass(frozen=True)
class Face:
    """One face in one image.

    Attributes
    ----------
    points : (68, 2) float32 pixels, MULTI-PIE order; may lie outside the image
    box : (4,) float32 x0, y0, x1, y1: the smallest box around `points`
    score : confidence in [0, 1]
    dense : (D, 3) float32 every point that the backend finds (x, y in pixels, z in the same unit, smaller is nearer),
        or None
    """

    points: np.ndarray
    box: np.ndarray
    score: float
    dense: np.ndarray | None = None


@runtime_checkable
class LandmarkBackend(Protocol):
    """Finds faces and their 68 points.

    Images are (H, W, 3) uint8 RGB, or (H, W) or (H, W, 1) grey.
    """

    name: str

    def detect(self, image: np.ndarray, known: Sequence[Face] = ()) -> list[Face]:
        """All faces of an image, the largest first.

        Where some are `known` already, as in a video, a backend may leave these out and look less closely.
        """

    def follow(self, image: np.ndarray, faces: list[Face]) -> list[Face | None]:
        """The same faces in the next frame, in the same order; None where one is lost."""


def load_backend(name: str, **options: Any) -> LandmarkBackend:
    """Backend by name: "mediapipe", "face-alignment" or "recorded"; `options` go to its constructor.

    Raises
    ------
    ValueError
        There is no backend of this name.
    WeightsMissingError
        Its weights are neither cached nor obtainable.
    """
    if name == "mediapipe":
        from models.landmarks.mediapipe import MediaPipeBackend

        return MediaPipeBackend(**options)
    if name == "face-alignment":
        from models.landmarks.face_alignment_net import FaceAlignmentBackend

        return FaceAlignmentBackend.load(**options)
    if name == "recorded":
        from models.landmarks.recorded import RecordedBackend

        return RecordedBackend(**options)
    raise ValueError(f"no landmark backend is called '{name}'; choose one of {', '.join(BACKENDS)}.")


def box_around(points: np.ndarray) -> np.ndarray:
    """Smallest boxes x0, y0, x1, y1 (..., 4) around points (..., P, 2)."""
    return np.concatenate([points.min(-2), points.max(-2)], -1).astype(np.float32)


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (..., 4) and (..., 4), broadcast."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.clip(high - low, 0, None), -1)
    areas = np.prod(first[..., 2:] - first[..., :2], -1) + np.prod(second[..., 2:] - second[..., :2], -1)
    return shared / np.maximum(areas - shared, np.finfo(np.float32).tiny)


def without_duplicates(faces: list[Face], overlap_limit: float = 0.4) -> list[Face]:
    """Faces, the largest first, less those that lie on a face of higher score."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(overlap(face.box, other.box) < overlap_limit for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -float(np.prod(face.box[2:] - face.box[:2])))


def as_rgb(image: np.ndarray) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a grey (H, W), one-channel (H, W, 1) or RGB image.

    Raises
    ------
    ValueError
        Not an image of 8-bit grey or RGB.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise ValueError(f"expected an 8-bit grey or RGB image, not {image.dtype} of shape {image.shape}.")
    if image.ndim == 2:
        image = image[..., None]
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
