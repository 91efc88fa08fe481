"""Synthetic single images: posed emotions with labels, in the wild and in a studio with several cameras, and dynamic
scans whose expression is known (as in 4DFAB).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.fitting.camera import ScaledOrthographicCamera
from models.morphable_model.expressions import (
    EMOTION_PROTOTYPES,
    combined_activations,
    emotion_activations,
    incidental_activations,
)
from models.morphable_model.model import MorphableModel
from models.rendering import surroundings
from models.rendering.head import rotation_from_angles
from models.rendering.sensor import sample_sensor
from models.rendering.settings import SyntheticImageSettings, SyntheticVideoSettings
from models.rendering.shading import Lighting, sample_lighting
from models.rendering.subject import Subject
from models.rendering.synthetic_video import SyntheticVideo, numbered_subject

# Between the ears, behind the landmarks' centre.
_HEAD_CENTRE = np.array([0.0, 0.0, -70.0])  # mm

_POSED = tuple(emotion for emotion in EMOTION_PROTOTYPES if emotion != "neutral")


@dataclass(frozen=True)
class SyntheticImage:
    """An image (H, W, 3) uint8 and what is true of it: coefficients in mm, landmarks (68, 2) in pixels.

    `camera` has one frame; `visible` (68,) says which landmarks can be seen; `yaw` is in degrees.
    """

    image: np.ndarray
    emotion: str
    subject: int
    yaw: float
    identity: np.ndarray
    expression: np.ndarray
    camera: ScaledOrthographicCamera
    landmarks: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True)
class SyntheticScan:
    """A dynamic scan of one posed emotion, neutral to peak to neutral.

    Attributes
    ----------
    emotion, subject : what is posed, by whom
    intensity : (F,) how far the pose has come, 0 at rest, 1 at the peak
    identity : (n_i,) mm
    expression : (F, n_e) mm
    video : renders the frames; its `camera` and `landmarks` are true
    """

    emotion: str
    subject: int
    intensity: np.ndarray
    video: SyntheticVideo

    @property
    def identity(self) -> np.ndarray:
        return self.video.identity

    @property
    def expression(self) -> np.ndarray:
        return self.video.expression

    def mesh(self, frame: int) -> np.ndarray:
        """The scanned surface of a frame: vertices (N, 3) in mm."""
        return self.video.model.shape(self.identity, self.video.subject.resting + self.expression[frame])

    def frames(self) -> Iterator[SyntheticImage]:
        """The rendered frames, in order, each with its truth."""
        for frame in range(len(self.intensity)):
            yield _pictured(self.video, frame, self.emotion, self.subject)


def posing_subject(
    model: MorphableModel, subject: int, seed: int = 0, settings: SyntheticImageSettings | None = None
) -> Subject:
    """The person of a number, which takes longer to make than a picture: make it once where many are needed.

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    """
    settings = settings or SyntheticImageSettings()
    return numbered_subject(model, subject, seed, settings.identity_spread, settings.resting_spread)


def render_emotion_image(
    model: MorphableModel,
    emotion: str,
    subject: int,
    take: int = 0,
    yaw: float = 0.0,
    seed: int = 0,
    settings: SyntheticImageSettings | None = None,
    person: Subject | None = None,
) -> SyntheticImage:
    """A posed emotion, by a subject who poses in a personal way, seen from `yaw` degrees.

    The same numbers give the same image. Intensity, personal habits, faint incidental movements and traces of other
    emotions vary, so that emotions overlap as they do between people. `person` is the `posing_subject` of the same
    numbers, None to make it.

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    KeyError
        `emotion` is not one of `EMOTION_PROTOTYPES`.
    """
    settings = settings or SyntheticImageSettings()
    # The label takes part in the seed: light and pose differ among a subject's images, whatever they show.
    rng = np.random.default_rng([seed, subject, take, list(EMOTION_PROTOTYPES).index(emotion), 1])
    activations = posed_activations(emotion, subject, seed, settings, rng)
    angles = [yaw + rng.normal() * settings.yaw_spread, 4 * rng.normal(), 3 * rng.normal()]
    person = person or posing_subject(model, subject, seed, settings)
    video = _still_video(model, person, settings, activations[None], np.array([angles]), rng)
    return _pictured(video, 0, emotion, subject)


def synthesise_scan(
    model: MorphableModel,
    emotion: str,
    subject: int,
    frames: int = 24,
    largest_yaw: float = 30.0,
    seed: int = 0,
    settings: SyntheticImageSettings | None = None,
    person: Subject | None = None,
) -> SyntheticScan:
    """A subject poses one emotion from rest to its peak and back, each frame seen from its own yaw within limits.

    `person` is the `posing_subject` of the same numbers, None to make it.

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    """
    settings = settings or SyntheticImageSettings()
    rng = np.random.default_rng([seed, subject, _POSED.index(emotion), 2])
    peak = emotion_activations(emotion, rng.uniform(0.6, 1.1), rng)
    rest = _habit(subject, seed, settings)
    intensity = np.sin(np.linspace(0, np.pi, frames)) ** 1.5
    activations = combined_activations(intensity[:, None] * peak, rest)
    angles = np.stack(
        [rng.uniform(-largest_yaw, largest_yaw, frames), 5 * rng.normal(size=frames), 3 * rng.normal(size=frames)], 1
    )
    person = person or posing_subject(model, subject, seed, settings)
    return SyntheticScan(emotion, subject, intensity, _still_video(model, person, settings, activations, angles, rng))


def studio_images(
    model: MorphableModel,
    emotion: str,
    subject: int,
    yaws: Sequence[float] = (0.0,),
    intensities: Sequence[float] = (1.0,),
    gaze: float = 0.0,
    take: int = 0,
    seed: int = 0,
    settings: SyntheticImageSettings | None = None,
    person: Subject | None = None,
    lighting: Lighting | None = None,
) -> list[list[SyntheticImage]]:
    """A subject poses an emotion in a studio's even light, before a plain wall, with cameras all around.

    Head and lights stand still in the world, and all cameras release at once: the images of one intensity show the same
    face in the same light from several sides. Intensities follow one another as the frames of a sequence do.

    Parameters
    ----------
    yaws : degrees, where the cameras see the head turned to; 0 is the frontal one
    intensities : of the pose, 0 the face at rest and 1 the pose that `settings` make
    gaze : degrees, to the subject's left
    take : the same pose again is another take
    person : the `posing_subject` of the same numbers, None to make it
    lighting : None for the studio's; nothing else changes with it

    Returns
    -------
    list of list of SyntheticImage
        For every intensity, one image of each camera.

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    """
    settings = settings or SyntheticImageSettings()
    rng = np.random.default_rng([seed, subject, take, list(EMOTION_PROTOTYPES).index(emotion), 4])
    rest = _habit(subject, seed, settings)
    peak = posed_activations(emotion, subject, seed, settings, rng)
    activations = rest + np.asarray(intensities)[:, None] * (peak - rest)
    nodding = [rng.normal() * settings.yaw_spread, 2 * rng.normal(), 1.5 * rng.normal()]
    person = person or posing_subject(model, subject, seed, settings)
    video = _still_video(model, person, settings, activations, np.tile(nodding, (len(activations), 1)), rng)
    wall, lamps = _wall(settings.size, rng), _studio_lighting(rng)
    video = replace(
        video,
        gaze=np.tile([gaze, 0.0], (len(activations), 1)),
        background=wall,
        lighting=lighting or lamps,
        sensor=replace(video.sensor, grey=False),
    )
    cameras = [
        [_pictured(seen, frame, emotion, subject) for frame in range(len(activations))]
        for seen in (_seen_from(video, yaw) for yaw in yaws)
    ]
    return [list(images) for images in zip(*cameras, strict=True)]


def _seen_from(video: SyntheticVideo, yaw: float) -> SyntheticVideo:
    """A video of a head and lights that stand still, from a camera that turned round the head's middle."""
    around = rotation_from_angles(yaw, 0, 0)
    frames = len(video.camera.scale)
    scale, still = video.camera.scale[0], video.camera.rotation[0]
    rotation = around @ still
    place = video.camera.translation[0] + scale * ((still - rotation) @ _HEAD_CENTRE)[:2] * (1, -1)
    return replace(
        video,
        camera=ScaledOrthographicCamera(
            np.full(frames, scale), np.repeat(rotation[None], frames, 0), np.repeat(place[None], frames, 0)
        ),
        lighting=replace(video.lighting, directions=video.lighting.directions @ around.T),
    )


def _studio_lighting(rng: np.random.Generator) -> Lighting:
    """Soft lamps from the front and both sides, so that no camera sees a dark face."""
    azimuths = np.radians(np.array([-75.0, 0.0, 75.0]) + 5 * rng.normal(size=3))
    directions = np.stack([np.sin(azimuths), np.full(3, 0.45), np.cos(azimuths)], axis=1)
    strengths = 0.34 * rng.uniform(0.9, 1.1, (3, 1))
    return Lighting(
        directions=directions / np.linalg.norm(directions, axis=1, keepdims=True),
        colours=strengths * np.ones(3),
        ambient=np.full(3, 0.42),
        gloss=rng.uniform(0.02, 0.08),
        gloss_power=rng.uniform(8, 20),
        occlusion=0.04,
        shadow=0.0,
    )


def _wall(size: int, rng: np.random.Generator) -> np.ndarray:
    """A plain wall (H, W, 3) float32, a little darker at one end."""
    shade = rng.uniform(0.6, 0.95)
    fall = np.linspace(1, rng.uniform(0.85, 1), size, dtype=np.float32)[:, None, None]
    return np.float32(shade) * np.broadcast_to(fall, (size, size, 3)).astype(np.float32)


def posed_activations(
    emotion: str, subject: int, seed: int, settings: SyntheticImageSettings, rng: np.random.Generator
) -> np.ndarray:
    """Activations (K,) of one person's posing of an emotion: more or less intense, blended, and never the same."""
    activations = emotion_activations(emotion, rng.uniform(*settings.intensity), rng)
    if rng.random() < settings.blend_share:
        other = _POSED[rng.integers(len(_POSED))]
        activations = combined_activations(
            activations, emotion_activations(other, rng.uniform(0, settings.blend_intensity), rng)
        )
    activations = combined_activations(activations, _habit(subject, seed, settings))
    return combined_activations(activations, incidental_activations(rng))


def _habit(subject: int, seed: int, settings: SyntheticImageSettings) -> np.ndarray:
    """Activations (K,) of the face that a subject makes at rest."""
    return settings.habit * incidental_activations(np.random.default_rng([seed, subject, 3]))


def _still_video(
    model: MorphableModel,
    person: Subject,
    settings: SyntheticImageSettings,
    activations: np.ndarray,
    angles: np.ndarray,
    rng: np.random.Generator,
) -> SyntheticVideo:
    """A video whose frames stand for themselves, with given activations (F, K) and angles (F, 3) in degrees."""
    frames, size = len(activations), settings.size
    rotation = np.stack([rotation_from_angles(*frame) for frame in angles])
    scale = size * rng.uniform(*settings.face_size, frames) / model.interocular_distance
    place = size * (np.array([0.5, 0.55]) + rng.uniform(-0.04, 0.04, (frames, 2)))
    video_settings = SyntheticVideoSettings(
        frames=frames, size=size, oversampling=settings.oversampling, identity_spread=settings.identity_spread
    )
    return SyntheticVideo(
        model=model,
        settings=video_settings,
        subject=person,
        lighting=sample_lighting(rng),
        sensor=sample_sensor(
            frames, settings.largest_blur, settings.largest_noise, rng, video_settings.frames_per_second
        ),
        expression=activations @ model.extras["units"].astype(np.float64),
        camera=ScaledOrthographicCamera(scale, rotation, place),
        gaze=2 * rng.normal(size=(frames, 2)),
        absent=np.zeros(frames, bool),
        background=surroundings.sample_background((size, size), rng),
        background_path=np.zeros((frames, 2)),
        shoulders=surroundings.sample_shoulders(model, rng),
        glasses=None,
        occluder=None,
        seed=tuple(int(number) for number in rng.integers(2**31, size=4)),
    )


def _pictured(video: SyntheticVideo, frame: int, emotion: str, subject: int) -> SyntheticImage:
    image, visible = video.render(frame)
    camera = ScaledOrthographicCamera(
        video.camera.scale[[frame]], video.camera.rotation[[frame]], video.camera.translation[[frame]]
    )
    forward = camera.rotation[0] @ [0, 0, 1]
    return SyntheticImage(
        image=image,
        emotion=emotion,
        subject=subject,
        yaw=float(np.degrees(np.arctan2(forward[0], forward[2]))),
        identity=video.identity,
        expression=video.expression[frame],
        camera=camera,
        landmarks=video.landmarks[frame],
        visible=visible,
    )
