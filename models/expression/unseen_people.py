"""Pictures of rendered people whom no training shows, each with its true expression: what estimates are judged by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from models.expression.evaluation_settings import UnseenSettings
from models.fitting.camera import ScaledOrthographicCamera
from models.morphable_model.expressions import (
    EMOTION_PROTOTYPES,
    combined_activations,
    emotion_activations,
    incidental_activations,
    sample_activations,
)
from models.morphable_model.model import MorphableModel
from models.rendering.head import rotation_from_angles
from models.rendering.settings import SyntheticVideoSettings
from models.rendering.shading import Lighting, sample_lighting
from models.rendering.synthetic_video import SyntheticVideo, synthesise_video

# Far from every seed of `params.yaml`: none of these people is in a training set.
SEED = 90_417

# Degrees of the head's nodding and tilting in a picture.
_PITCH, _ROLL = 7.0, 5.0
_SEMI_PROFILE = 45.0  # section IV-C


@dataclass(frozen=True)
class UnseenFace:
    """A picture and what is true of it.

    Attributes
    ----------
    image : (H, W, 3) uint8
    expression : (n_e,) mm
    identity : (n_i,) mm
    landmarks : (68, 2) pixels, the mesh's own
    subject : number of the person
    condition : what the picture is for, such as "frontal"
    """

    image: np.ndarray
    expression: np.ndarray
    identity: np.ndarray
    landmarks: np.ndarray
    subject: int
    condition: str


def moments(model: MorphableModel, settings: UnseenSettings, seed: int = SEED) -> Iterator[UnseenFace]:
    """People with independent expressions, half of them posed emotions, half moments of natural sequences."""
    for person in range(settings.people):
        rng = np.random.default_rng([seed, person, 1])
        activations = np.stack([_moment(rng) for _ in range(settings.moments)])
        angles = _angles(rng, rng.uniform(-1, 1, settings.moments) * settings.largest_yaw)
        video = _stills(model, person, seed, activations, angles, settings.picture, rng)
        for frame in range(settings.moments):
            yield _picture(replace(video, lighting=sample_lighting(rng)), frame, person, "moment")


def view_pairs(model: MorphableModel, settings: UnseenSettings, seed: int = SEED) -> Iterator[UnseenFace]:
    """The same moment seen from the front and at 45 degrees, in turn: conditions "frontal" and "semi-profile".

    Head and lights stand still in the world; the camera goes round them. Nothing hides the face.
    """
    plain = replace(settings.picture, glasses_share=0.0, occluder_share=0.0)
    for person in range(settings.pair_people):
        rng = np.random.default_rng([seed, person, 2])
        activations = np.repeat(np.stack([_moment(rng) for _ in range(settings.pairs)]), 2, axis=0)
        side = np.where(rng.random(settings.pairs) < 0.5, -1, 1) * _SEMI_PROFILE
        angles = np.repeat(_angles(rng, np.zeros(settings.pairs)), 2, axis=0)
        angles[1::2, 0] += side
        video = _stills(model, person, seed, activations, angles, plain, rng)
        for pair in range(settings.pairs):
            lighting = sample_lighting(rng)
            yield _picture(replace(video, lighting=lighting), 2 * pair, person, "frontal")
            turned = _turned(lighting, rotation_from_angles(side[pair], 0, 0))
            yield _picture(replace(video, lighting=turned), 2 * pair + 1, person, "semi-profile")


def neutral_and_smile(model: MorphableModel, settings: UnseenSettings, seed: int = SEED) -> Iterator[UnseenFace]:
    """People at rest and smiling, in turn, facing the camera: conditions "neutral" and "happy".

    Rest is the model's own zero. The smile is the prototype of happiness, as strong as chance has it.
    """
    for person in range(settings.posing_people):
        rng = np.random.default_rng([seed, person, 3])
        smile = combined_activations(
            emotion_activations("happy", rng.uniform(0.5, 1.1), rng), 0.5 * incidental_activations(rng)
        )
        activations = np.stack([np.zeros_like(smile), smile])
        angles = _angles(rng, 4 * rng.normal(size=2))
        plain = replace(settings.picture, occluder_share=0.0)
        video = _stills(model, person, seed, activations, angles, plain, rng)
        for frame, condition in enumerate(("neutral", "happy")):
            yield _picture(replace(video, lighting=sample_lighting(rng)), frame, person, condition)


def posed_emotions(
    model: MorphableModel, people: int, picture: SyntheticVideoSettings, seed: int = SEED
) -> Iterator[UnseenFace]:
    """People who pose each of the seven emotions, more or less facing the camera; the condition names the emotion."""
    plain = replace(picture, occluder_share=0.0)
    for person in range(people):
        rng = np.random.default_rng([seed, person, 6])
        activations = np.stack([_posed(emotion, rng) for emotion in EMOTION_PROTOTYPES])
        video = _stills(model, person, seed, activations, _angles(rng, 12 * rng.normal(size=7)), plain, rng)
        for frame, emotion in enumerate(EMOTION_PROTOTYPES):
            yield _picture(replace(video, lighting=sample_lighting(rng)), frame, person, emotion)


def side_light(azimuth: float) -> Lighting:
    """One lamp, `azimuth` degrees to the side and a little above, and a little light from everywhere."""
    angle = np.radians(azimuth)
    direction = np.array([[np.sin(angle), 0.25, np.cos(angle)]])
    return Lighting(
        directions=direction / np.linalg.norm(direction),
        colours=np.full((1, 3), 0.8),
        ambient=np.full(3, 0.12),
        gloss=0.1,
        gloss_power=20.0,
        occlusion=0.04,
        shadow=0.6,
    )


def turned_and_lit(
    model: MorphableModel,
    people: Iterable[int],
    picture: SyntheticVideoSettings,
    yaws: Iterable[float],
    azimuths: Iterable[float],
    seed: int = SEED,
) -> Iterator[UnseenFace]:
    """One strong expression of each person: from the front, from each yaw, and in light from each azimuth, in degrees.

    Conditions are "plain", "yaw=45", "light=60" and so on. Nothing hides the face.
    """
    plain = replace(picture, glasses_share=0.0, occluder_share=0.0)
    yaws, azimuths = list(yaws), list(azimuths)
    for person in people:
        rng = np.random.default_rng([seed, person, 4])
        activations = _posed(list(EMOTION_PROTOTYPES)[1 + person % (len(EMOTION_PROTOTYPES) - 1)], rng)
        side = -1 if rng.random() < 0.5 else 1
        angles = np.repeat(_angles(rng, np.zeros(1)), 1 + len(yaws), axis=0)
        angles[1:, 0] = side * np.array(yaws)
        video = _stills(model, person, seed, np.repeat(activations[None], len(angles), 0), angles, plain, rng)
        # The face keeps its size: only what is asked for changes.
        video = replace(video, camera=_same_size(video.camera), lighting=sample_lighting(rng))
        yield _picture(video, 0, person, "plain")
        for frame, yaw in enumerate(yaws, 1):
            yield _picture(video, frame, person, f"yaw={yaw:g}")
        for azimuth in azimuths:
            yield _picture(replace(video, lighting=side_light(side * azimuth)), 0, person, f"light={azimuth:g}")


def _moment(rng: np.random.Generator) -> np.ndarray:
    """Activations (K,) of a face at some moment: an emotion of the seven, or whatever a sequence happens to show."""
    if rng.random() < 0.5:
        return _posed(list(EMOTION_PROTOTYPES)[rng.integers(len(EMOTION_PROTOTYPES))], rng)
    sequence = sample_activations(60, rng)
    return sequence[rng.integers(len(sequence))]


def _posed(emotion: str, rng: np.random.Generator) -> np.ndarray:
    return combined_activations(
        emotion_activations(emotion, rng.uniform(0.3, 1.1), rng), 0.7 * incidental_activations(rng)
    )


def _angles(rng: np.random.Generator, yaw: np.ndarray) -> np.ndarray:
    """Angles (F, 3) in degrees about the given yaw."""
    return np.stack([yaw, _PITCH * rng.normal(size=len(yaw)), _ROLL * rng.normal(size=len(yaw))], axis=1)


def _stills(
    model: MorphableModel,
    person: int,
    seed: int,
    activations: np.ndarray,
    angles: np.ndarray,
    picture: SyntheticVideoSettings,
    rng: np.random.Generator,
) -> SyntheticVideo:
    """A video of a person whose frames have nothing to do with one another."""
    count = len(activations)
    settings = replace(picture, frames=count, interruption_share=0.0)
    video = synthesise_video(model, person, 0, seed, settings)
    scale = settings.size * rng.uniform(*settings.face_size, count) / model.interocular_distance
    place = settings.size * (np.array([0.5, 0.55]) + rng.uniform(-0.04, 0.04, (count, 2)))
    rotation = np.stack([rotation_from_angles(*frame) for frame in angles])
    return replace(
        video,
        expression=activations @ model.extras["units"].astype(np.float64),
        camera=ScaledOrthographicCamera(scale, rotation, place),
    )


def _same_size(camera: ScaledOrthographicCamera) -> ScaledOrthographicCamera:
    count = len(camera.scale)
    return ScaledOrthographicCamera(
        np.repeat(camera.scale[:1], count), camera.rotation, np.repeat(camera.translation[:1], count, axis=0)
    )


def _turned(lighting: Lighting, rotation: np.ndarray) -> Lighting:
    return replace(lighting, directions=lighting.directions @ rotation.T)


def _picture(video: SyntheticVideo, frame: int, person: int, condition: str) -> UnseenFace:
    return UnseenFace(
        image=video.render(frame)[0],
        expression=video.expression[frame],
        identity=video.identity,
        landmarks=video.landmarks[frame],
        subject=person,
        condition=condition,
    )
