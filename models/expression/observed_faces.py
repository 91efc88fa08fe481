"""Faces as a detector and the alignment hand them to a network, and what the fits of their landmarks make of them."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from models.errors import FittingError
from models.expression.alignment import IMAGE_SIZE, align, transformed
from models.expression.runtime import NetworkSession
from models.fitting import fit_image, fit_per_frame
from models.fitting.settings import FitSettings
from models.landmarks.backend import LandmarkBackend
from models.morphable_model.model import MorphableModel
from models.storage import load_arrays, save_arrays

BATCH = 32


@dataclass(frozen=True)
class ObservedFaces:
    """The largest face of each of F pictures.

    Attributes
    ----------
    aligned : (F, 224, 224, 3) uint8; black where no face was found
    points : (F, 68, 2) pixels of the picture; NaN where no face was found
    aligned_points : (F, 68, 2) the same in pixels of the aligned image
    """

    aligned: np.ndarray
    points: np.ndarray
    aligned_points: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """(F,) bool, whether the detector found a face."""
        return np.isfinite(self.points).all(axis=(1, 2))

    def __len__(self) -> int:
        return len(self.points)

    def save(self, path: Path | str, **others: np.ndarray) -> None:
        """Write one npz, with further arrays beside."""
        save_arrays(path, **{item.name: getattr(self, item.name) for item in fields(self)}, **others)

    @classmethod
    def load(cls, path: Path | str) -> tuple["ObservedFaces", dict[str, np.ndarray]]:
        """Read what `save` wrote: the faces, and the further arrays."""
        arrays = load_arrays(path)
        return cls(**{item.name: arrays.pop(item.name) for item in fields(cls)}), arrays


def observe(images: Iterable[np.ndarray], backend: LandmarkBackend, template: np.ndarray) -> ObservedFaces:
    """Find and align the largest face of every picture (H, W, 3) uint8."""

    def largest(image: np.ndarray) -> np.ndarray | None:
        faces = backend.detect(image)
        return faces[0].points if faces else None

    return observed(((image, largest(image)) for image in images), template)


def observed(pictures: Iterable[tuple[np.ndarray, np.ndarray | None]], template: np.ndarray) -> ObservedFaces:
    """Align faces whose landmarks (68, 2) are known; None where there is none."""
    aligned, points, aligned_points = [], [], []
    for image, landmarks in pictures:
        if landmarks is None:
            aligned.append(np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8))
            points.append(np.full((68, 2), np.nan, np.float32))
            aligned_points.append(points[-1])
            continue
        face, matrix = align(image, landmarks, template)
        aligned.append(face)
        points.append(np.asarray(landmarks, np.float32))
        aligned_points.append(transformed(landmarks, matrix).astype(np.float32))
    return ObservedFaces(np.stack(aligned), np.stack(points), np.stack(aligned_points))


def network_expressions(session: NetworkSession, faces: ObservedFaces) -> np.ndarray:
    """Expressions (F, n_e) in standard deviations by a network; NaN where no face was found."""
    found = np.flatnonzero(faces.found)
    expressions = np.full((len(faces), session.expression_size), np.nan)
    for start in range(0, len(found), BATCH):
        chosen = found[start : start + BATCH]
        if session.contract.landmark_input:
            expressions[chosen] = session(faces.aligned[chosen], faces.aligned_points[chosen])
        else:
            expressions[chosen] = session(faces.aligned[chosen])
    return expressions


def torch_expressions(network, faces: ObservedFaces, size: int) -> np.ndarray:
    """As `network_expressions`, by an `ExpressionNetwork` of `size` outputs that is not exported."""
    import torch

    found = np.flatnonzero(faces.found)
    device = next(network.parameters()).device
    expressions = np.full((len(faces), size), np.nan)
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(found), BATCH):
            chosen = found[start : start + BATCH]
            inputs = (torch.from_numpy(values[chosen]).to(device) for values in (faces.aligned, faces.aligned_points))
            expressions[chosen] = network(*inputs).float().cpu().numpy()
    return expressions


def single_image_expressions(
    faces: ObservedFaces, model: MorphableModel, settings: FitSettings | None = None
) -> np.ndarray:
    """Expressions (F, n_e) in standard deviations by the fit of each picture on its own; NaN where there is none."""
    expressions = np.full((len(faces), model.expression_size), np.nan)
    for index in np.flatnonzero(faces.found):
        try:
            expressions[index] = fit_image(faces.points[index], model, settings).expression[0] / model.expression_std
        except FittingError:
            # Degenerate points, as detectors give of faces of a few pixels: this method has no answer there.
            continue
    return expressions


def per_frame_expressions(
    faces: ObservedFaces, model: MorphableModel, settings: FitSettings | None = None
) -> np.ndarray:
    """Expressions (F, n_e) in standard deviations by the papers' baseline [31]; NaN where no face was found."""
    found = np.flatnonzero(faces.found)
    expressions = np.full((len(faces), model.expression_size), np.nan)
    if len(found):
        fit = fit_per_frame(faces.points[found], model, settings)
        expressions[found] = fit.expression / model.expression_std
    return expressions
