"""Depth for people without scans: DeepExp3D's reconstruction of a photograph, seen as a depth camera would.

The network gives the expression; a fit of the photograph's landmarks gives identity and pose. Together they are a head
in front of the photograph's camera, whose depth the rasteriser tells.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.errors import FittingError, ModelMismatchError
from models.rgbd.cropping import depth_input
from models.rgbd.pipelines import DEPTH_SIZE
from models.rgbd.samples import RgbdSamples

if TYPE_CHECKING:
    from models.expression.predictor import Predictor
    from models.landmarks.backend import Face
    from models.morphable_model.model import MorphableModel

# Images of samples are cut close to the face, and detectors expect surroundings: a frame of this share of the side.
FRAME = 0.25

Progress = Callable[[Iterable, str, int | None], Iterable]


@dataclass(frozen=True)
class ReconstructedFaces:
    """Reconstructions of F photographs.

    Attributes
    ----------
    depth : (F, 64, 64) float32 as `RgbdSamples.depth`; all 0 where no face was found
    expression : (F, n_e) float32, standard deviations; all 0 where no face was found
    found : (F,) bool
    """

    depth: np.ndarray
    expression: np.ndarray
    found: np.ndarray


def reconstruct_faces(
    images: np.ndarray, predictor: "Predictor", model: "MorphableModel", *, progress: Progress | None = None
) -> ReconstructedFaces:
    """Reconstruct the largest face of each image.

    Parameters
    ----------
    images : (F, S, S, 3) uint8, faces cut out
    predictor : gives landmarks and expression
    model : the face model that the predictor's network was trained on, best one that knows the detector
    progress : wraps what is gone through, given it, its name and its length; may show a bar

    Raises
    ------
    ModelMismatchError
        The network was trained on another face model.
    """
    if (predictor.contract.face_model, predictor.contract.vertices) != (model.name, len(model.mean)):
        raise ModelMismatchError(
            f"the network was trained on the face model {predictor.contract.face_model} of "
            f"{predictor.contract.vertices} vertices, and {model.name} of {len(model.mean)} is given; give that one."
        )
    show = progress or (lambda items, name, total: items)
    depth = np.zeros((len(images), DEPTH_SIZE, DEPTH_SIZE), np.float32)
    expression = np.zeros((len(images), model.expression_size), np.float32)
    found = np.zeros(len(images), bool)
    for place, image in enumerate(show(images, "reconstructions", len(images))):
        face = _face_in(image, predictor)
        if face is None:
            continue
        (measured,) = predictor.measure([face], predictor.crops(image, [face]))
        try:
            seen = face_depth(face.points, measured.expression, model, image.shape[:2])
        except FittingError:
            continue
        height, width = seen.shape
        depth[place] = depth_input(seen, np.array([0, 0, width, height]), DEPTH_SIZE)
        expression[place], found[place] = measured.expression, True
    return ReconstructedFaces(depth, expression, found)


def with_reconstructions(
    samples: RgbdSamples, predictor: "Predictor", model: "MorphableModel", *, progress: Progress | None = None
) -> tuple[RgbdSamples, tuple[str, ...]]:
    """Samples with depth and expression reconstructed from their colour images, and what to know of them.

    Parameters and errors are those of `reconstruct_faces`.
    """
    faces = reconstruct_faces(samples.colour, predictor, model, progress=progress)
    samples = replace(samples, reconstructed_depth=faces.depth, expression=faces.expression)
    return samples, reconstruction_problems(samples)


def reconstruction_problems(samples: RgbdSamples) -> tuple[str, ...]:
    """How many colour images could not be reconstructed, in a sentence; nothing where that was not tried."""
    missing = 0 if samples.expression is None else int((~samples.expression.any(axis=1)).sum())
    if not missing:
        return ()
    return (
        f"{missing} of {len(samples)} colour images show no face that can be reconstructed: depth and e are 0 there.",
    )


def face_depth(
    landmarks: np.ndarray, expression: np.ndarray, model: "MorphableModel", size: tuple[int, int]
) -> np.ndarray:
    """Depth (H, W) float32 in mm, larger nearer, NaN beside the head, of a face in an image of `size`.

    Parameters
    ----------
    landmarks : (68, 2) pixels, from which identity and pose are fitted
    expression : (n_e,) standard deviations

    Raises
    ------
    FittingError
        The landmarks allow no fit.
    """
    from models.fitting import fit_photographs
    from models.rendering.rasteriser import camera_points, rasterise

    fit = fit_photographs(np.asarray(landmarks, np.float64)[None], model)
    vertices = model.shape(fit.identity, expression * model.expression_std)
    points = camera_points(vertices.astype(np.float32), fit.scale[0], fit.rotation[0], fit.translation[0])
    raster = rasterise(points, model.triangles, size, cull_back_faces=True)
    return np.where(raster.covered, raster.depth, np.float32(np.nan))


def _face_in(image: np.ndarray, predictor: "Predictor") -> "Face | None":
    """The largest face, in pixels of the image itself."""
    frame = round(FRAME * len(image))
    framed = np.pad(image, ((frame, frame), (frame, frame), (0, 0)), mode="edge")
    faces = predictor.backend.detect(framed)
    if not faces:
        return None
    points = faces[0].points - np.float32(frame)
    return replace(faces[0], points=points, box=faces[0].box - np.float32(frame), dense=None)
