"""Training samples from rendered faces: found by the real detector, aligned as every face is, with exact labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import ImageError
from models.expression.alignment import align, template, transformed
from models.landmarks.backend import Face, box_around
from models.morphable_model.model import MorphableModel
from models.rendering.photographed_skin import PhotographedSkin
from models.rendering.settings import TrainingFaceSettings
from models.rendering.training_faces import TrainingFace, render_training_faces
from models.storage import load_arrays, save_arrays

# Largest mean distance of the detector's points from the truth, in inter-ocular distances: beyond it, it has found
# something else.
GROSS = 0.35
# How far the region that the detector looks at is off, as after a frame of motion; shares of the face's width.
_REGION_SHIFT, _REGION_GROWTH = 0.03, 0.05


@dataclass(frozen=True)
class RenderedSamples:
    """Aligned faces and what is true of them.

    Attributes
    ----------
    images : S aligned images (224, 224, 3) as JPEG
    expression : (S, n_e) in standard deviations
    landmarks : (S, 68, 2) where the detector finds the points in the aligned image, pixels
    subject, take : (S,) who, and which image of them
    emotion : (S,) the prototype that is posed, "" for other expressions
    yaw : (S,) degrees
    refused : images that the detector found no face in
    """

    images: Sequence[bytes]
    expression: np.ndarray
    landmarks: np.ndarray
    subject: np.ndarray
    take: np.ndarray
    emotion: np.ndarray
    yaw: np.ndarray
    refused: int

    def __len__(self) -> int:
        return len(self.images)


def render_samples(
    model: MorphableModel,
    backend,
    subjects: Sequence[int],
    *,
    seed: int,
    settings: TrainingFaceSettings,
    skins: PhotographedSkin | None,
    jpeg_quality: int,
) -> RenderedSamples:
    """Render subjects, find their faces and align them.

    Parameters
    ----------
    backend : a `LandmarkBackend`
    subjects, seed, settings, skins : as in `render_training_faces`
    jpeg_quality : of the aligned images

    Raises
    ------
    ImageError
        Not a single face was found.
    """
    import cv2

    target = template(model)
    rows, refused = [], 0
    for face in _faces(model, subjects, seed, settings, skins):
        points = _detected(face, backend, np.random.default_rng([seed, face.subject, face.take, 5]))
        if points is None:
            refused += 1
            continue
        aligned, matrix = align(face.image, points, target)
        _, jpeg = cv2.imencode(
            ".jpg", cv2.cvtColor(aligned, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
        )
        rows.append((jpeg.tobytes(), face, transformed(points, matrix)))
    if not rows:
        raise ImageError("the landmark backend finds no face in any rendered image; choose another one.")
    return RenderedSamples(
        images=[row[0] for row in rows],
        expression=np.stack([row[1].expression / model.expression_std for row in rows]).astype(np.float32),
        landmarks=np.stack([row[2] for row in rows]).astype(np.float32),
        subject=np.array([row[1].subject for row in rows]),
        take=np.array([row[1].take for row in rows]),
        emotion=np.array([row[1].emotion or "" for row in rows]),
        yaw=np.array([row[1].yaw for row in rows], np.float32),
        refused=refused,
    )


def save_samples(path: Path | str, samples: RenderedSamples) -> None:
    """Write samples as npz."""
    lengths = np.array([len(image) for image in samples.images])
    others = {name: getattr(samples, name) for name in ("expression", "landmarks", "subject", "take", "emotion", "yaw")}
    joined = np.frombuffer(b"".join(samples.images), np.uint8)
    save_arrays(path, jpeg=joined, jpeg_length=lengths, refused=np.int64(samples.refused), **others)


def load_samples(path: Path | str) -> RenderedSamples:
    """Read what `save_samples` wrote."""
    arrays = load_arrays(path)
    joined, ends = arrays.pop("jpeg").tobytes(), np.cumsum(arrays.pop("jpeg_length"))
    images = [joined[start:end] for start, end in zip(np.append(0, ends[:-1]), ends, strict=True)]
    return RenderedSamples(images=images, refused=int(arrays.pop("refused")), **arrays)


def _faces(
    model: MorphableModel,
    subjects: Sequence[int],
    seed: int,
    settings: TrainingFaceSettings,
    skins: PhotographedSkin | None,
) -> Iterator[TrainingFace]:
    for subject in subjects:
        yield from render_training_faces(model, subject, seed=seed, settings=settings, skins=skins)


def _detected(face: TrainingFace, backend, rng: np.random.Generator) -> np.ndarray | None:
    """The detector's points (68, 2) of a face about whose place it is told, or None."""
    truth = face.landmarks.astype(np.float64)
    width = np.ptp(truth[:, 0])
    growth = 1 + _REGION_GROWTH * rng.normal()
    about = truth.mean(0) + growth * (truth - truth.mean(0)) + _REGION_SHIFT * width * rng.normal(size=2)
    (found,) = backend.follow(face.image, [Face(about.astype(np.float32), box_around(about), 1.0)])
    if found is None:
        return None
    distance = np.linalg.norm(found.points - truth, axis=1).mean()
    if distance > GROSS * np.linalg.norm(truth[45] - truth[36]):
        return None
    return found.points.astype(np.float64)
