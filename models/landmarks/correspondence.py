"""Where a detector's 68 points lie on the face model: not at the points of the same name.

Detectors have learned from people who marked photographs, for whom a brow is its upper edge and a jaw what is seen of
it; on a mesh a landmark is a place. The difference is the same for everybody to first order. Left alone, a fit takes it
for identity and expression.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.landmarks.backend import LandmarkBackend
from models.landmarks.settings import CorrespondenceSettings
from models.morphable_model.model import MorphableModel


@dataclass(frozen=True)
class Correspondence:
    """What was learned.

    Attributes
    ----------
    offsets : (68, 3) mm from the model's landmarks to the detector's, in the model's axes
    before, after : (68,) median distance in the image between the detector's points and the model's, over the
        inter-ocular distance, without and with the offsets
    pictures : number of pictures with a face found
    """

    offsets: np.ndarray
    before: np.ndarray
    after: np.ndarray
    pictures: int


def learn_correspondence(
    model: MorphableModel, backend: LandmarkBackend, settings: CorrespondenceSettings, progress=lambda rows: rows
) -> Correspondence:
    """Find a detector's points on rendered heads at rest, and the offsets that explain them best.

    Robust least squares (Geman and McClure) over all pictures, each landmark by itself.

    Parameters
    ----------
    progress : wraps the sequence of pictures, as `tqdm` does
    """
    projections, differences = [], []
    for picture in progress(list(_pictures(settings))):
        image = _rendered(model, picture, settings)
        faces = backend.detect(image.image)
        if not faces:
            continue
        scale = float(image.camera.scale[0])
        # In mm of the image plane, so that near and far heads count alike.
        projections.append(image.camera.projection()[0] / scale)
        differences.append((faces[0].points - image.landmarks) / scale)
    if not differences:
        return Correspondence(np.zeros((68, 3)), np.full(68, np.nan), np.full(68, np.nan), 0)
    projection, difference = np.stack(projections), np.stack(differences)
    offsets = _robust_offsets(projection, difference, settings.shrinkage)
    left = difference - np.einsum("fdc,lc->fld", projection, offsets)
    distance = [np.median(np.linalg.norm(value, axis=-1), axis=0) for value in (difference, left)]
    return Correspondence(offsets, *(value / model.interocular_distance for value in distance), len(difference))


def _pictures(settings: CorrespondenceSettings) -> Iterator[tuple[int, int, float]]:
    """(person, view, yaw): views evenly spread from one side to the other."""
    for person in range(settings.people):
        for view in range(settings.views):
            share = (view + 0.5) / settings.views * 2 - 1
            yield person, view, settings.largest_yaw * share


def _rendered(model: MorphableModel, picture: tuple[int, int, float], settings: CorrespondenceSettings):
    from models.rendering.synthetic_images import render_emotion_image

    person, view, yaw = picture
    return render_emotion_image(model, "neutral", person, view, yaw, settings.seed, settings.image)


def _robust_offsets(projection: np.ndarray, difference: np.ndarray, shrinkage: float) -> np.ndarray:
    """Offsets (68, 3) of projections (F, 2, 3) and differences (F, 68, 2) in mm, by reweighted least squares."""
    weights = np.ones(difference.shape[:2])
    for _ in range(20):
        normal = np.einsum("fl,fdc,fde->lce", weights, projection, projection) + shrinkage * np.eye(3)
        right = np.einsum("fl,fdc,fld->lc", weights, projection, difference)
        offsets = np.linalg.solve(normal, right[..., None])[..., 0]
        distance = np.linalg.norm(difference - np.einsum("fdc,lc->fld", projection, offsets), axis=-1)
        limit = 1.5 * np.median(distance, axis=0) + 1e-9
        weights = (1 + (distance / limit) ** 2) ** -2
    return offsets
