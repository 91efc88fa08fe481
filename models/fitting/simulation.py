"""Simulated landmark videos with known truth, to measure fits and to test them.

A fit whose prior was estimated on the very generator that tests it looks better than it is. Beside "natural", the
generator behind the embedded model's statistics, there are therefore others that share neither code nor tables with it:
"bumps", "emotion_sequences" and "speech".
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from models.errors import ModelMismatchError
from models.fitting.camera import ScaledOrthographicCamera
from models.fitting.priors import expression_prior
from models.morphable_model import MorphableModel

# Generators that the embedded model's prior knows nothing of.
OTHER_EXPRESSIONS = ("bumps", "emotion_sequences", "speech")
EXPRESSIONS = ("natural", "process", *OTHER_EXPRESSIONS)
FRAME_RATE = 30.0

# ARKit-named face units of FACS action units; 25 parts the lips.
_ACTION_UNITS = {
    1: ("browInnerUp",),
    2: ("browOuterUpLeft", "browOuterUpRight"),
    4: ("browDownLeft", "browDownRight"),
    5: ("eyeWideLeft", "eyeWideRight"),
    6: ("cheekSquintLeft", "cheekSquintRight"),
    7: ("eyeSquintLeft", "eyeSquintRight"),
    9: ("noseSneerLeft", "noseSneerRight"),
    10: ("mouthUpperUpLeft", "mouthUpperUpRight"),
    12: ("mouthSmileLeft", "mouthSmileRight"),
    15: ("mouthFrownLeft", "mouthFrownRight"),
    17: ("mouthShrugLower",),
    20: ("mouthStretchLeft", "mouthStretchRight"),
    24: ("mouthPressLeft", "mouthPressRight"),
    25: ("mouthLowerDownLeft", "mouthLowerDownRight"),
    26: ("jawOpen",),
}
# Prototypical action units of basic and compound emotions, after table 1 of Du, Tao and Martinez, Compound facial
# expressions of emotion (2014), with the units that only some people show left out.
_POSED_EMOTIONS = (
    (12, 25, 6),
    (4, 15, 17),
    (1, 4, 20, 25),
    (4, 7, 24),
    (1, 2, 25, 26),
    (9, 10, 17),
    (1, 2, 12, 25),
    (10, 12, 25),
    (1, 4, 15, 25),
    (4, 7, 15),
    (1, 4, 25, 26),
    (4, 20, 25),
    (1, 2, 5, 20, 25),
    (1, 4, 10, 20, 25),
    (4, 25, 26),
    (4, 10, 17),
    (1, 2, 5, 10),
)
# Face units at the target of a speech sound: open, spread and rounded vowels, then lips closed, lip to teeth, rounded
# and tongue consonants.
_VOWELS = (
    {"jawOpen": 0.45, "mouthLowerDown": 0.3, "mouthUpperUp": 0.1},
    {"jawOpen": 0.25, "mouthLowerDown": 0.35, "mouthStretch": 0.2},
    {"jawOpen": 0.1, "mouthStretch": 0.4, "mouthLowerDown": 0.2},
    {"jawOpen": 0.3, "mouthFunnel": 0.5},
    {"jawOpen": 0.12, "mouthPucker": 0.6},
)
_CONSONANTS = (
    {"mouthPress": 0.5, "mouthRollLower": 0.25, "mouthRollUpper": 0.25},
    {"mouthRollLower": 0.4, "mouthUpperUp": 0.2},
    {"mouthFunnel": 0.4, "jawOpen": 0.05},
    {"jawOpen": 0.08, "mouthLowerDown": 0.1},
)


@dataclass(frozen=True)
class SimulationSettings:
    """What a simulated video is like.

    Attributes
    ----------
    frames : F
    noise : standard deviation of independent landmark errors, share of the inter-ocular distance in the image
    bias : standard deviation of constant offsets between the detector's points and the mesh's, the same share
    outliers : share of landmarks that are somewhere else altogether, up to half an inter-ocular distance away
    occluded : share of the frames, in runs, of which one half of the face has no landmarks (NaN)
    lost : share of the frames, in runs, without any landmark (NaN)
    yaw, pitch, roll : amplitude of the head's motion, degrees; all zero is a head that faces the camera
    expression : "natural" for the generator behind the embedded model's own statistics, "process" for the Gaussian
        process that the fit assumes, or one of the other generators: "bumps" (independent bursts of single units),
        "emotion_sequences" (posed emotions one after the other, each from rest over onset, apex and offset back to
        rest), "speech" (syllables at 3 to 7 hertz and hardly anything above the mouth). All but "process" need a model
        with `units`
    pixels_per_mm : mean scale of the camera
    """

    frames: int = 1000
    noise: float = 0.01
    bias: float = 0.0
    outliers: float = 0.0
    occluded: float = 0.0
    lost: float = 0.0
    yaw: float = 30.0
    pitch: float = 15.0
    roll: float = 10.0
    expression: str = "natural"
    pixels_per_mm: float = 1.5


@dataclass(frozen=True)
class SimulatedVideo:
    """A video's landmarks (F, 68, 2) px, and the truth: identity (n_i,), expression (F, n_e), camera."""

    landmarks: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    camera: ScaledOrthographicCamera

    @property
    def hidden(self) -> np.ndarray:
        """(F,) bool: frames in which landmarks are missing."""
        return np.isnan(self.landmarks).any((1, 2))

    def at(self, frames: np.ndarray) -> "SimulatedVideo":
        """The video of some frames only."""
        camera = ScaledOrthographicCamera(
            scale=self.camera.scale[frames],
            rotation=self.camera.rotation[frames],
            translation=self.camera.translation[frames],
        )
        return SimulatedVideo(self.landmarks[frames], self.identity, self.expression[frames], camera)


def simulate_video(model: MorphableModel, settings: SimulationSettings, seed: int) -> SimulatedVideo:
    """Draw a person, expressions, head motion and landmark errors.

    Raises
    ------
    ModelMismatchError
        The expression generator is unknown, or needs units that the model lacks.
    """
    person, face, head, errors = np.random.default_rng(seed).spawn(4)
    identity = person.normal(size=model.identity_size) * model.identity_std
    expression = simulate_expression(model, settings.frames, settings.expression, face)
    camera = _head_motion(settings, head)
    points = model.landmarks(identity, expression)
    millimetres = model.interocular_distance
    points = points + errors.normal(size=points.shape[1:]) * settings.bias * millimetres
    landmarks = camera.project(points)
    unit = millimetres * camera.scale[:, None, None]
    landmarks = landmarks + errors.normal(size=landmarks.shape) * settings.noise * unit
    gross = errors.random(landmarks.shape[:2]) < settings.outliers
    landmarks = landmarks + gross[..., None] * errors.uniform(-0.5, 0.5, landmarks.shape) * unit
    for run in _runs(settings.frames, settings.occluded, errors):
        side = model.landmark_mean[:, 0] * errors.choice([-1, 1]) > 0
        landmarks[run[:, None], np.flatnonzero(side)] = np.nan
    for run in _runs(settings.frames, settings.lost, errors):
        landmarks[run] = np.nan
    return SimulatedVideo(landmarks, identity, expression, camera)


def simulate_expression(model: MorphableModel, frames: int, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Expression coefficients (F, n_e) mm over time at `FRAME_RATE`; `kind` is one of `EXPRESSIONS`.

    Raises
    ------
    ModelMismatchError
        The generator is unknown, or needs units that the model lacks.
    """
    if kind == "process":
        return _process(model, frames, rng)
    if kind not in EXPRESSIONS:
        raise ModelMismatchError(f"expression generator '{kind}' is unknown; use one of {', '.join(EXPRESSIONS)}.")
    if "units" not in model.extras:
        raise ModelMismatchError(f"face model '{model.name}' has no face units; use the generator 'process' with it.")
    if kind == "natural":
        from models.morphable_model.expressions import sample_activations

        activations = sample_activations(frames, rng)
    else:
        sample = {"bumps": _bumps, "emotion_sequences": _emotion_sequences, "speech": _speech}[kind]
        activations = sample(frames, _unit_columns(model, kind), rng)
    return activations @ model.extras["units"].astype(np.float64)


def _unit_columns(model: MorphableModel, kind: str) -> dict[str, int]:
    """Column of each face unit by name; refuses a model without the units that a generator moves."""
    columns = {str(name): column for column, name in enumerate(model.extras["unit_names"])}
    needed = {
        "bumps": set(),
        "emotion_sequences": {unit for units in _ACTION_UNITS.values() for unit in units},
        "speech": {unit for sound in (*_VOWELS, *_CONSONANTS) for group in sound for unit in _sides(group)},
    }[kind]
    if missing := sorted(needed - columns.keys()):
        raise ModelMismatchError(
            f"face model '{model.name}' has no face units {', '.join(missing)}; use the generator 'bumps' with it."
        )
    return columns


def _sides(group: str) -> tuple[str, ...]:
    """Units of a name without side; all paired units of the mouth are those of a corner or a half of a lip."""
    paired = ("mouthLowerDown", "mouthUpperUp", "mouthStretch", "mouthPress")
    return (f"{group}Left", f"{group}Right") if group in paired else (group,)


def _bumps(frames, columns, rng):
    """Activations (F, K): every unit on its own moves in Gaussian bursts, left and right nearly together."""
    time = np.arange(frames)
    activations = np.zeros((frames, len(columns)))
    for name, column in columns.items():
        if name.endswith("Right"):
            continue
        for _ in range(rng.poisson(frames / 150)):
            burst = np.exp(-0.5 * ((time - rng.uniform(0, frames)) / rng.uniform(6, 25)) ** 2)
            activations[:, column] += rng.uniform(0.2, 1) * burst
        if name.endswith("Left"):
            activations[:, columns[f"{name[:-4]}Right"]] = activations[:, column] * rng.uniform(0.8, 1.2)
    return np.clip(activations, 0, 1)


def _emotion_sequences(frames, columns, rng):
    """Activations (F, K) of takes as databases of posed emotion hold them: rest, onset, apex, offset, rest.

    One intensity drives all units of a take, a little sooner or later each; every person shows an emotion in the same
    way each time. Nothing else moves, not even the lids.
    """
    seconds = np.arange(frames) / FRAME_RATE
    strength = {unit: rng.uniform(0.5, 1.0) for units in _ACTION_UNITS.values() for unit in units}
    activations = np.zeros((frames, len(columns)))
    start = rng.uniform(-2.0, 1.0)
    while start < seconds[-1]:
        emotion = _POSED_EMOTIONS[rng.integers(len(_POSED_EMOTIONS))]
        onset, apex, offset = rng.uniform(0.3, 1.2), rng.uniform(0.5, 2.5), rng.uniform(0.5, 2.0)
        intensity = rng.uniform(0.5, 1.1)
        for action in emotion:
            delay = rng.normal(scale=0.05)
            for unit in _ACTION_UNITS[action]:
                course = _onset_apex_offset(seconds - start - delay, onset, apex, offset)
                activations[:, columns[unit]] += intensity * strength[unit] * course
        start += onset + apex + offset + rng.uniform(0.3, 2.0)
    return np.clip(activations, 0, 1)


def _onset_apex_offset(seconds, onset, apex, offset):
    """Course (F,) of a take from 0 to 1 and back: a raised cosine up, an apex that wanes by a tenth, one down."""
    course = np.interp(seconds, [0, onset, onset + apex, onset + apex + offset], [0, 1, 0.9, 0])
    return 0.5 - 0.5 * np.cos(np.pi * course)


def _speech(frames, columns, rng):
    """Activations (F, K) of talking: phrases of syllables at 3 to 7 a second, with pauses between.

    Each sound pulls the mouth towards its target around its moment, and neighbours overlap as in the coarticulation
    model of Cohen and Massaro (1993): what shows is their mean, weighted by how dominant each is. The brows rise a
    little with some phrases.
    """
    seconds = np.arange(frames) / FRAME_RATE
    activations = np.zeros((frames, len(columns)))
    start = rng.uniform(-1.0, 0.5)
    while start < seconds[-1]:
        rate, length = rng.uniform(3.0, 7.0), rng.uniform(1.0, 4.0)
        sounds = list(_syllables(start, length, rate, rng))
        moments = np.array([moment for moment, _ in sounds])
        dominance = np.exp(-0.5 * ((seconds[:, None] - moments) * 4.5 * rate) ** 2)
        # At rest the mouth falls back to neutral: rest is a sound that is always there, and weak.
        share = dominance / (dominance.sum(1, keepdims=True) + 0.05)
        for column, (_, target) in enumerate(sounds):
            for group, value in target.items():
                for unit in _sides(group):
                    activations[:, columns[unit]] += share[:, column] * value
        if "browInnerUp" in columns and rng.random() < 0.3:
            beat = np.exp(-0.5 * ((seconds - start - rng.uniform(0, length)) / 0.2) ** 2)
            activations[:, columns["browInnerUp"]] += rng.uniform(0.1, 0.3) * beat
        start += length + rng.uniform(0.3, 1.0)
    return np.clip(activations, 0, 1)


def _syllables(start: float, length: float, rate: float, rng: np.random.Generator) -> Iterator[tuple[float, dict]]:
    """Moments in seconds and targets of the sounds of a phrase: a consonant and a vowel in turn."""
    moment = start
    while moment < start + length:
        effort = rng.uniform(0.5, 1.2)
        for sound, share in ((_CONSONANTS, 0.4), (_VOWELS, 0.6)):
            target = sound[rng.integers(len(sound))]
            yield moment, {unit: effort * value for unit, value in target.items()}
            moment += share / rate * rng.uniform(0.8, 1.2)


def _process(model, frames, rng):
    prior = expression_prior(model, 1 / FRAME_RATE)
    p = prior.persistence
    first = 2 * p / (1 + p**2)
    noise = np.sqrt(1 - 2 * p * first + p**2 * (2 * p * first - p**2))
    z = rng.normal(size=(frames, len(p)))
    if frames > 1:
        z[1] = first * z[0] + np.sqrt(1 - first**2) * z[1]
    for frame in range(2, frames):
        z[frame] = 2 * p * z[frame - 1] - p**2 * z[frame - 2] + noise * z[frame]
    return prior.mean + z @ prior.factor.T


def _head_motion(settings, rng):
    seconds = np.arange(settings.frames) / FRAME_RATE
    angles = [
        amplitude * np.sin(2 * np.pi * (seconds / rng.uniform(3, 8) + rng.random()))
        for amplitude in (settings.yaw, settings.pitch, settings.roll)
    ]
    rotation = Rotation.from_euler("yxz", np.stack(angles, 1), degrees=True).as_matrix()
    scale = settings.pixels_per_mm * (1 + 0.1 * np.sin(seconds + rng.uniform(0, 6)))
    drift = gaussian_filter1d(rng.normal(size=(settings.frames, 2)), 20, axis=0) * 60 * settings.pixels_per_mm
    return ScaledOrthographicCamera(scale=scale, rotation=rotation, translation=drift + 200 * settings.pixels_per_mm)


def _runs(frames, share, rng):
    """Runs of 10 to 30 frames that cover about a share of the video."""
    left = share * frames
    while left >= 1:
        length = int(min(rng.integers(10, 31), left, frames))
        start = int(rng.integers(0, frames - length + 1))
        yield np.arange(start, start + length)
        left -= length
