"""Where a detector's 68 points lie on the face model: not at the points of the same name.

Detectors have learned from people who marked photographs, for whom a brow is its upper edge and a jaw what is seen of
it; on a mesh a landmark is a place. Rendered heads, of which everything is known, tell the difference: what of it is
the same for everybody, what goes with the expression, what differs from person to person and what from image to image.
Left alone, a fit takes all of it for identity and expression.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.landmarks.backend import LandmarkBackend
from models.landmarks.settings import CorrespondenceSettings
from models.morphable_model.detector_errors import DetectorErrors
from models.morphable_model.expressions import EMOTION_PROTOTYPES
from models.morphable_model.model import MorphableModel

# Weight of a picture whose error is this many medians away is halved twice (Geman and McClure).
GROSS = 1.5
REWEIGHTINGS = 20
_POSED = tuple(emotion for emotion in EMOTION_PROTOTYPES if emotion != "neutral")


@dataclass(frozen=True)
class Correspondence:
    """What was learned.

    Attributes
    ----------
    errors : how the detector's points differ from the model's landmarks
    before, after : (68,) median distance in the image between the detector's points and the model's, over the
        inter-ocular distance, without and with the offsets and the response
    pictures : number of pictures with a face found
    """

    errors: DetectorErrors
    before: np.ndarray
    after: np.ndarray
    pictures: int


@dataclass(frozen=True)
class Sighting:
    """A rendered face that the detector found.

    Attributes
    ----------
    person : who is seen
    expression : (n_e,) mm, the true one
    projection : (2, 3) from model axes to those of the image, without scale
    difference : (68, 2) mm of the image plane from the model's landmarks to the detector's points
    """

    person: int
    expression: np.ndarray
    projection: np.ndarray
    difference: np.ndarray


def learn_correspondence(
    model: MorphableModel, backend: LandmarkBackend, settings: CorrespondenceSettings
) -> Correspondence:
    """Find a detector's points on rendered heads, at rest and posing, and learn how they differ from the model's."""
    found = [seen for person in range(settings.people) for seen in sightings_of(model, backend, person, settings)]
    return correspondence_of(model, found, settings)


def sightings_of(
    model: MorphableModel, backend: LandmarkBackend, person: int, settings: CorrespondenceSettings
) -> list[Sighting]:
    """All pictures of one person in which the detector finds a face.

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    """
    from models.rendering.synthetic_images import posing_subject, render_emotion_image

    sightings = []
    # A person takes longer to make than a picture.
    someone = posing_subject(model, person, settings.seed, settings.image)
    for emotion, view, yaw in _pictures(person, settings):
        image = render_emotion_image(model, emotion, person, view, yaw, settings.seed, settings.image, person=someone)
        faces = backend.detect(image.image)
        if faces:
            scale = float(image.camera.scale[0])
            # In mm of the image plane, so that near and far heads count alike.
            projection = image.camera.projection()[0] / scale
            difference = (faces[0].points - image.landmarks) / scale
            sightings.append(Sighting(person, image.expression, projection, difference))
    return sightings


def correspondence_of(
    model: MorphableModel, sightings: Sequence[Sighting], settings: CorrespondenceSettings
) -> Correspondence:
    """Learn from what was found how a detector's points differ from the model's.

    Offsets and response go by robust ridge regression (Geman and McClure), each landmark by itself; the patterns of
    what is left are the principal components of its covariance between people and within them. Without a single
    sighting nothing differs.
    """
    if not sightings:
        none = DetectorErrors.none(68, model.expression_size)
        return Correspondence(none, np.full(68, np.nan), np.full(68, np.nan), 0)
    people = np.array([seen.person for seen in sightings])
    projection = np.stack([seen.projection for seen in sightings])
    difference = np.stack([seen.difference for seen in sightings])
    expression = np.stack([seen.expression for seen in sightings])
    known = np.concatenate([np.ones((len(people), 1)), expression / model.expression_std], 1)
    ridge = np.array([settings.shrinkage] + [settings.response_shrinkage] * model.expression_size)
    coefficients = _robust_regression(projection, known, difference, ridge)
    left = difference - np.einsum("fdc,lck,fk->fld", projection, coefficients, known, optimize=True)
    # Seen from one side at a time, an error in depth is unknown: it counts as none.
    lifted = np.einsum("fdc,fld->flc", projection, left)
    person, image_patterns, noise = _error_patterns(_without_gross(lifted), people, settings.patterns)
    errors = DetectorErrors(
        offsets=coefficients[..., 0],
        response=coefficients[..., 1:] / model.expression_std,
        person=person,
        image=image_patterns,
        noise=noise,
    )
    distance = [np.median(np.linalg.norm(value, axis=-1), axis=0) for value in (difference, left)]
    return Correspondence(errors, *(value / model.interocular_distance for value in distance), len(difference))


def _pictures(person: int, settings: CorrespondenceSettings) -> Iterator[tuple[str, int, float]]:
    """(emotion, view, yaw): views evenly spread from one side to the other, emotions in turn."""
    for view in range(settings.views):
        share = (view + 0.5) / settings.views * 2 - 1
        for pose in range(settings.poses + 1):
            turn = person * settings.views * settings.poses + view * settings.poses + pose - 1
            emotion = _POSED[turn % len(_POSED)] if pose else "neutral"
            yield emotion, view, settings.largest_yaw * share


def _robust_regression(
    projection: np.ndarray, known: np.ndarray, difference: np.ndarray, ridge: np.ndarray
) -> np.ndarray:
    """C (L, 3, K) of `difference[f, l] = projection[f] C[l] known[f]`, by reweighted least squares.

    Parameters
    ----------
    projection : (F, 2, 3)
    known : (F, K)
    difference : (F, L, 2)
    ridge : (K,) penalties of the squared coefficients
    """
    frames, inputs = known.shape
    rows = np.einsum("fdc,fk->fdck", projection, known).reshape(frames, 2, 3 * inputs)
    penalty = np.diag(np.tile(ridge, 3))
    found = np.empty((difference.shape[1], 3, inputs))
    for landmark in range(difference.shape[1]):
        target, weights = difference[:, landmark], np.ones(frames)
        for _ in range(REWEIGHTINGS):
            weighted = (rows * weights[:, None, None]).reshape(-1, 3 * inputs).T
            solution = np.linalg.solve(weighted @ rows.reshape(-1, 3 * inputs) + penalty, weighted @ target.reshape(-1))
            distance = np.linalg.norm(target - rows @ solution, axis=1)
            weights = (1 + (distance / (GROSS * np.median(distance) + 1e-9)) ** 2) ** -2
        found[landmark] = solution.reshape(3, inputs)
    return found


def _without_gross(errors: np.ndarray) -> np.ndarray:
    """Errors (F, L, 3) shortened to their 99th percentile: a few lost points would otherwise be the largest pattern."""
    length = np.linalg.norm(errors, axis=2, keepdims=True)
    limit = np.percentile(length, 99)
    return errors * np.minimum(1, limit / np.maximum(length, 1e-12))


def _error_patterns(errors: np.ndarray, people: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patterns (L, 3, p) between people and (L, 3, m) within them, and the noise (L,) that is left of the latter.

    Parameters
    ----------
    errors : (F, L, 3) mm
    people : (F,) who is seen
    count : largest number of patterns of either kind
    """
    names, member, seen = np.unique(people, return_inverse=True, return_counts=True)
    flat = errors.reshape(len(errors), -1)
    points = errors.shape[1]
    means = np.zeros((len(names), flat.shape[1]))
    np.add.at(means, member, flat)
    means /= seen[:, None]
    deviation = flat - means[member]
    within = deviation.T @ deviation / max(len(flat) - len(names), 1)
    # The mean of a person's few images still holds what differs between them.
    between = means.T @ means / max(len(names) - 1, 1) - within * np.mean(1 / seen)
    person, _ = _principal(between, count)
    image, rest = _principal(within, count)
    # Three axes share the variance of an error that is seen in two.
    noise = np.sqrt(rest.reshape(points, 3).sum(1) / 2)
    return person.reshape(points, 3, -1), image.reshape(points, 3, -1), noise


def _principal(covariance: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest principal components (D, count), one standard deviation long, and the variances (D,) left of them."""
    variance, vectors = np.linalg.eigh(covariance)
    kept = np.flatnonzero(variance > 1e-9)[::-1][:count]
    components = vectors[:, kept] * np.sqrt(variance[kept])
    return components, np.maximum(np.diag(covariance) - (components**2).sum(1), 0)
