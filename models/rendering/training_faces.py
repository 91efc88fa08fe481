"""Faces to learn from: many people, each in several expressions, seen and spoilt in every way that photographs are.

What a network is tested on is real, so that range counts for more than realism: every property that does not change the
expression is drawn from a range wider than that of photographs, independently of the expression.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from models.morphable_model.expressions import (
    EMOTION_PROTOTYPES,
    EXPRESSION_UNITS,
    UNIT_GROUPS,
    combined_activations,
    emotion_activations,
    group_activations,
    incidental_activations,
    sample_activations,
)
from models.morphable_model.model import MorphableModel
from models.rendering import surroundings
from models.rendering.head import HeadPose, draw_head, rotation_from_angles
from models.rendering.photographed_skin import PhotographedSkin
from models.rendering.sensor import compressed, expose, sample_sensor, shrunk
from models.rendering.settings import TrainingFaceSettings
from models.rendering.shading import sample_lighting
from models.rendering.subject import Subject, sample_subject
from models.rendering.synthetic_video import require_renderable
from models.rendering.wrinkles import Wrinkles, sample_wrinkles

_POSED = tuple(emotion for emotion in EMOTION_PROTOTYPES if emotion != "neutral")


@dataclass(frozen=True)
class TrainingFace:
    """One image and what is true of it.

    Attributes
    ----------
    image : (H, W, 3) uint8
    subject, take : whose face, and which image of it
    emotion : the prototype that was posed, "neutral" at rest, None for other expressions
    expression : (n_e,) coefficients in mm
    identity : (n_i,) coefficients in mm
    landmarks : (68, 2) true positions in pixels of the image; may lie outside
    yaw : degrees
    """

    image: np.ndarray
    subject: int
    take: int
    emotion: str | None
    expression: np.ndarray
    identity: np.ndarray
    landmarks: np.ndarray
    yaw: float


def render_training_faces(
    model: MorphableModel,
    subject: int,
    *,
    seed: int,
    settings: TrainingFaceSettings | None = None,
    skins: PhotographedSkin | None = None,
) -> Iterator[TrainingFace]:
    """All images of one subject. The same numbers give the same images.

    Parameters
    ----------
    subject, seed : name the person
    skins : photographed skins to choose from; without them all skin is painted

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    """
    require_renderable(model)
    settings = settings or TrainingFaceSettings()
    rng = np.random.default_rng([seed, subject, 4])
    spread = settings.identity_spread * rng.uniform(0.7, 1.25)
    skin = _photographed(skins, settings, rng)
    person = sample_subject(model, rng, spread, skin, resting_spread=settings.resting_spread)
    wrinkles = sample_wrinkles(model, rng)
    for take in range(settings.images_per_subject):
        one = np.random.default_rng([seed, subject, 4, take])
        activations, emotion = sample_expression(one, settings)
        yield _rendered(model, person, wrinkles, activations, emotion, (subject, take), settings, one)


def sample_expression(rng: np.random.Generator, settings: TrainingFaceSettings) -> tuple[np.ndarray, str | None]:
    """Activations (K,) of one face, and the emotion whose prototype it poses, if it does."""
    rest, single, sparse, posed = np.cumsum([settings.rest, settings.single, settings.sparse, settings.posed])
    kind = rng.random()
    emotion = None
    if kind < rest:
        emotion = "neutral"
        activations = 0.3 * rng.random() * incidental_activations(rng)
    elif kind < single:
        activations = _single_group(rng)
    elif kind < sparse:
        activations = _sparse_mixture(rng)
    elif kind < posed:
        emotion = _POSED[rng.integers(len(_POSED))]
        activations = emotion_activations(emotion, rng.uniform(*settings.intensity), rng)
        if rng.random() < settings.blend_share:
            other = _POSED[rng.integers(len(_POSED))]
            activations = combined_activations(activations, emotion_activations(other, rng.uniform(0, 0.5), rng))
        # Prototypes are lean: what else moves, most of all whether the mouth is open, differs between people.
        extra = _sparse_mixture(rng) if rng.random() < settings.extra_share else incidental_activations(rng)
        activations = combined_activations(activations, rng.random() * extra)
    else:
        activations = sample_activations(12, rng)[rng.integers(12)]
    if emotion is None and rng.random() < 0.08:
        lids = group_activations({"eyeBlink": rng.uniform(0.2, 1.0)}, rng, 0.03)
        activations = combined_activations(activations, lids)
    # The unit closes the lips of a mouth whose jaw is open; alone it would push them through each other.
    jaw, lips = EXPRESSION_UNITS.index("jawOpen"), EXPRESSION_UNITS.index("mouthClose")
    activations[jaw] = max(activations[jaw], activations[lips])
    if rng.random() < settings.exaggeration_share:
        activations = activations * rng.uniform(1.0, settings.largest_exaggeration)
    return activations, emotion


def _single_group(rng: np.random.Generator) -> np.ndarray:
    names = list(UNIT_GROUPS)
    name = names[rng.integers(len(names))]
    activations = group_activations({name: rng.uniform(0.15, 1.0)}, rng, rng.choice([0.05, 0.3]))
    if len(UNIT_GROUPS[name]) == 2 and rng.random() < 0.25:
        activations[EXPRESSION_UNITS.index(UNIT_GROUPS[name][rng.integers(2)])] = 0
    return activations


def _sparse_mixture(rng: np.random.Generator) -> np.ndarray:
    share = rng.uniform(0.05, 0.2)
    chosen = [name for name in UNIT_GROUPS if rng.random() < share]
    strengths = {name: rng.beta(1.2, 1.6) for name in chosen if name != "eyeBlink" or rng.random() < 0.4}
    return combined_activations(np.zeros(len(EXPRESSION_UNITS)), group_activations(strengths, rng, 0.25))


def _photographed(
    skins: PhotographedSkin | None, settings: TrainingFaceSettings, rng: np.random.Generator
) -> np.ndarray | None:
    """One of the skins, or two mixed, or none."""
    if skins is None or rng.random() >= settings.photographed_share:
        return None
    first, second = rng.integers(len(skins), size=2)
    if rng.random() >= settings.blended_share:
        return skins.textures[first]
    share = rng.uniform(0.3, 0.7)
    mixed = share * skins.textures[first].astype(np.float32) + (1 - share) * skins.textures[second]
    return np.rint(mixed).astype(np.uint8)


def _rendered(
    model: MorphableModel,
    person: Subject,
    wrinkles: Wrinkles,
    activations: np.ndarray,
    emotion: str | None,
    number: tuple[int, int],
    settings: TrainingFaceSettings,
    rng: np.random.Generator,
) -> TrainingFace:
    import cv2

    expression = activations @ model.extras["units"].astype(np.float64)
    pose, yaw = _sample_pose(model, settings, rng)
    size = settings.size
    image = surroundings.sample_background((size, size), rng)
    surroundings.draw_shoulders(image, surroundings.sample_shoulders(model, rng), pose)
    fine_size = round(size * settings.oversampling)
    fine_pose = pose.magnified(fine_size / size)
    fine = cv2.resize(image, (fine_size, fine_size), interpolation=cv2.INTER_LINEAR)
    surface = replace(person.surface, skin=wrinkles.on(person.surface.skin, activations))
    offsets = (model.expression_basis @ expression.astype(np.float32)).reshape(-1, 3).astype(np.float32)
    gaze = rng.normal(size=2) * rng.choice([2, 10]) * [1, 0.6]
    draw_head(fine, replace(person, surface=surface), offsets, sample_lighting(rng), gaze, fine_pose)
    points = model.landmarks(person.identity, person.resting + expression)
    if rng.random() < settings.fringe_share:
        surroundings.draw_fringe(fine, fine_pose.points(points)[:, :2], person.surface.hair_colour, rng)
    if rng.random() < settings.glasses_share:
        surroundings.draw_glasses(
            fine, surroundings.sample_glasses(model.landmarks(person.identity, person.resting), rng), fine_pose
        )
    image = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)
    if rng.random() < settings.occluder_share:
        for occluder in surroundings.sample_hand((size, size), rng):
            surroundings.draw_occluder(image, occluder, 0)
    sensor = sample_sensor(1, settings.largest_blur, settings.largest_noise, rng, 30.0)
    gain = sensor.gain * rng.uniform(*settings.exposure)
    sensor = replace(sensor, gain=gain, grey=bool(rng.random() < settings.grey_share))
    seen, landmarks = _spoilt(expose(image, sensor, 0, rng), pose.points(points)[:, :2], settings, rng)
    return TrainingFace(seen, *number, emotion, expression, person.identity, landmarks.astype(np.float32), yaw)


def _sample_pose(
    model: MorphableModel, settings: TrainingFaceSettings, rng: np.random.Generator
) -> tuple[HeadPose, float]:
    """Where a head is and how it is turned, and its yaw in degrees."""
    if rng.random() < settings.turned_share:
        yaw = rng.uniform(-1, 1) * settings.largest_yaw
    else:
        yaw = np.clip(rng.normal() * 8, -settings.largest_yaw, settings.largest_yaw)
    rotation = rotation_from_angles(yaw, np.clip(8 * rng.normal(), -25, 25), np.clip(7 * rng.normal(), -25, 25))
    scale = settings.size * rng.uniform(*settings.face_size) / model.interocular_distance
    place = settings.size * (np.array([0.5, 0.5]) + rng.uniform(-0.05, 0.05, 2))
    # The middle of the face, not the model's origin, is what a photographer looks at.
    middle = rotation @ model.landmark_mean[17:].mean(0)
    translation = place - scale * middle[:2] * [1, -1]
    # Nearness is uniform in its reciprocal, which is what perspective goes by.
    reciprocal = rng.uniform(0, 1 / settings.nearest_camera)
    return HeadPose(scale, rotation, translation, np.inf if reciprocal < 1e-5 else 1 / reciprocal), float(yaw)


def _spoilt(
    image: np.ndarray, landmarks: np.ndarray, settings: TrainingFaceSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The image cut, shrunk and compressed as chance has it, and its landmarks (68, 2)."""
    if rng.random() < settings.tight_share:
        low, high = landmarks.min(0), landmarks.max(0)
        width = high - low
        low = low - width * rng.uniform([-0.02, 0.05], [0.3, 0.45])
        high = high + width * rng.uniform([-0.02, -0.02], [0.3, 0.25])
        left, top = np.clip(np.floor(low), 0, settings.size - 32).astype(int)
        right, bottom = np.clip(np.ceil(high), [left + 32, top + 32], settings.size).astype(int)
        image, landmarks = np.ascontiguousarray(image[top:bottom, left:right]), landmarks - [left, top]
    if rng.random() < settings.small_share:
        distance = np.linalg.norm(landmarks[45] - landmarks[36])
        wanted = settings.smallest_face * (distance / settings.smallest_face) ** rng.random()
        image, factor = shrunk(image, min(1.0, wanted / max(distance, 1.0)))
        landmarks = (landmarks + 0.5) * factor - 0.5
    if rng.random() < settings.compressed_share:
        image = compressed(image, round(rng.uniform(settings.lowest_quality, 95)))
    return image, landmarks
