"""Simulated landmark videos with known truth, to measure fits and to test them."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from models.errors import ModelMismatchError
from models.fitting.camera import ScaledOrthographicCamera
from models.fitting.priors import expression_prior
from models.morphable_model import MorphableModel

EXPRESSIONS = ("natural", "bumps", "process")


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
    expression : "natural" for the generator behind the embedded model's own statistics, "bumps" for independent
        bursts of single units (another generator; both need a model with `units`), "process" for the Gaussian
        process that the fit assumes
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
    """Expression coefficients (F, n_e) mm over time at 30 frames a second; `kind` is one of `EXPRESSIONS`."""
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
        activations = _bumps(frames, [str(name) for name in model.extras["unit_names"]], rng)
    return activations @ model.extras["units"].astype(np.float64)


def _bumps(frames, names, rng):
    """Activations (F, K): every unit on its own moves in Gaussian bursts, left and right nearly together."""
    time = np.arange(frames)
    activations = np.zeros((frames, len(names)))
    for column, name in enumerate(names):
        if name.endswith("Right"):
            continue
        for _ in range(rng.poisson(frames / 150)):
            burst = np.exp(-0.5 * ((time - rng.uniform(0, frames)) / rng.uniform(6, 25)) ** 2)
            activations[:, column] += rng.uniform(0.2, 1) * burst
        if name.endswith("Left"):
            activations[:, names.index(f"{name[:-4]}Right")] = activations[:, column] * rng.uniform(0.8, 1.2)
    return np.clip(activations, 0, 1)


def _process(model, frames, rng):
    prior = expression_prior(model, 1 / 30)
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
    seconds = np.arange(settings.frames) / 30
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
