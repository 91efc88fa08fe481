"""Synthetic FaceVid: videos of random people whose shape, expression and pose are known in every frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.fitting.camera import ScaledOrthographicCamera
from models.morphable_model.expressions import EXPRESSION_UNITS, sample_activations
from models.morphable_model.model import MorphableModel
from models.rendering import surroundings
from models.rendering.head import HeadPose, draw_head, rotation_from_angles
from models.rendering.noise import smooth_path
from models.rendering.rasteriser import visible_points
from models.rendering.sensor import Sensor, expose, sample_sensor
from models.rendering.settings import SyntheticVideoSettings
from models.rendering.shading import Lighting, sample_lighting
from models.rendering.subject import Subject, sample_subject
from models.storage import save_arrays
from models.video.encoding import write_video

# The head turns about a point in the neck, below and behind the landmarks' centre.
_NECK_PIVOT = np.array([0.0, -70.0, -75.0])  # mm


@dataclass(frozen=True)
class SyntheticVideo:
    """One video, with everything that is true of it. `images()` renders it.

    Attributes
    ----------
    model, settings : what it was made from
    subject, lighting, sensor : the person, the light and the camera's imperfections
    expression : (F, n_e) mm, coefficients on the model's basis; what is drawn lies exactly in its span
    camera : of all frames
    gaze : (F, 2) degrees, to the subject's left and up
    absent : (F,) bool, frames without the subject
    background : (H', W', 3) float32, larger than the image
    background_path : (F, 2) pixels, where in it the image's corner lies
    shoulders, glasses, occluder : around and in front of the face
    seed : of what is drawn anew in every frame
    """

    model: MorphableModel
    settings: SyntheticVideoSettings
    subject: Subject
    lighting: Lighting
    sensor: Sensor
    expression: np.ndarray
    camera: ScaledOrthographicCamera
    gaze: np.ndarray
    absent: np.ndarray
    background: np.ndarray
    background_path: np.ndarray
    shoulders: surroundings.Shoulders
    glasses: surroundings.Glasses | None
    occluder: surroundings.Occluder | None
    seed: tuple[int, ...]

    @property
    def identity(self) -> np.ndarray:
        """(n_i,) mm."""
        return self.subject.identity

    @cached_property
    def landmarks(self) -> np.ndarray:
        """True landmarks (F, 68, 2) float32 in pixels, hidden ones included."""
        points = self.model.landmarks(self.identity, self.subject.resting + self.expression)
        return self.camera.project(points).astype(np.float32)

    def render(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Image (H, W, 3) uint8 of a frame, and which landmarks (68,) can be seen in it."""
        import cv2

        size, factor = self.settings.size, self.settings.oversampling
        rng = np.random.default_rng([*self.seed, frame])
        shift = self.background_path[frame]
        image = cv2.warpAffine(
            self.background, np.float32([[1, 0, -shift[0]], [0, 1, -shift[1]]]), (size, size), flags=cv2.INTER_LINEAR
        )
        visible = np.zeros(68, bool)
        if not self.absent[frame]:
            pose = HeadPose(self.camera.scale[frame], self.camera.rotation[frame], self.camera.translation[frame])
            surroundings.draw_shoulders(image, self.shoulders, pose)
            fine_size = round(size * factor)
            fine = cv2.resize(image, (fine_size, fine_size), interpolation=cv2.INTER_LINEAR)
            fine_pose = pose.magnified(fine_size / size)
            offsets = (self._basis @ self.expression[frame].astype(np.float32)).reshape(-1, 3)
            raster = draw_head(fine, self.subject, offsets, self.lighting, self.gaze[frame], fine_pose)
            if self.glasses is not None:
                surroundings.draw_glasses(fine, self.glasses, fine_pose)
            points = fine_pose.points(
                self.model.landmarks(self.identity, self.subject.resting + self.expression[frame])
            )
            visible = visible_points(points, raster, tolerance=4.0)
            image = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)
        if self.occluder is not None:
            cover = surroundings.draw_occluder(image, self.occluder, frame)
            column, row = np.rint(self.landmarks[frame]).astype(int).clip(0, size - 1).T
            visible &= cover[row, column] < 0.5
        return expose(image, self.sensor, frame, rng), visible

    def images(self) -> Iterator[np.ndarray]:
        """The frames (H, W, 3) uint8, in order."""
        for frame in range(len(self.expression)):
            yield self.render(frame)[0]

    @cached_property
    def _basis(self) -> np.ndarray:
        return np.ascontiguousarray(self.model.expression_basis, np.float32)


def filmed_subject(
    model: MorphableModel, subject: int, seed: int = 0, settings: SyntheticVideoSettings | None = None
) -> Subject:
    """The person of a number, which takes longer to make than a frame: make it once where there are several clips.

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    """
    settings = settings or SyntheticVideoSettings()
    return numbered_subject(model, subject, seed, settings.identity_spread, settings.resting_spread)


def numbered_subject(
    model: MorphableModel, number: int, seed: int, identity_spread: float, resting_spread: float
) -> Subject:
    """The person whom `seed` has under a number.

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    """
    require_renderable(model)
    return sample_subject(model, np.random.default_rng([seed, number]), identity_spread, resting_spread=resting_spread)


def synthesise_video(
    model: MorphableModel,
    subject: int,
    clip: int,
    seed: int = 0,
    settings: SyntheticVideoSettings | None = None,
    person: Subject | None = None,
) -> SyntheticVideo:
    """A video of a person. The same numbers give the same frames; clips of one subject share identity, skin and hair.

    `person` is the `filmed_subject` of the same numbers, None to make it.

    Raises
    ------
    ModelMismatchError
        The model lacks face units or skin masks, as models other than the embedded one do.
    """
    settings = settings or SyntheticVideoSettings()
    person = person or filmed_subject(model, subject, seed, settings)
    key = (seed, subject, clip)
    rng = np.random.default_rng([*key, 0])
    frames, size, rate = settings.frames, settings.size, settings.frames_per_second
    activations = sample_activations(frames, rng, settings.expression, rate)
    camera = _head_motion(model, settings, rng)
    absent = np.zeros(frames, bool)
    if rng.random() < settings.interruption_share:
        start = rng.integers(frames // 5, max(frames // 5 + 1, frames * 4 // 5))
        absent[start : start + rng.integers(3, 16)] = True
    margin = size // 8
    background = surroundings.sample_background((size + 2 * margin, size + 2 * margin), rng)
    drift = smooth_path(frames, 2, 4.0, rng, rate) * rng.uniform(0, margin / 3)
    wears_glasses, is_occluded = rng.random(2) < [settings.glasses_share, settings.occluder_share]
    return SyntheticVideo(
        model=model,
        settings=settings,
        subject=person,
        lighting=sample_lighting(rng),
        sensor=sample_sensor(frames, settings.largest_blur, settings.largest_noise, rng, rate),
        expression=activations @ model.extras["units"].astype(np.float64),
        camera=camera,
        gaze=np.clip(7 * smooth_path(frames, 2, 1.0, rng, rate) * [1, 0.6], -25, 25),
        absent=absent,
        background=background,
        background_path=margin + drift.clip(-margin, margin),
        shoulders=surroundings.sample_shoulders(model, rng),
        glasses=surroundings.sample_glasses(model.landmarks(person.identity), rng) if wears_glasses else None,
        occluder=surroundings.sample_occluder(frames, (size, size), rng, rate) if is_occluded else None,
        seed=key,
    )


def render_video(video: SyntheticVideo, path: Path, truth_path: Path) -> None:
    """Render a video to `path` (mp4, H.264) and what is true of it to `truth_path` (npz), which is for evaluation only.

    The npz holds identity (n_i,), expression (F, n_e), rotation (F, 3, 3), scale (F,), translation (F, 2),
    landmarks (F, 68, 2), visible (F, 68) and fps.
    """
    visible = np.zeros(video.landmarks.shape[:2], bool)

    def images() -> Iterator[np.ndarray]:
        for frame in range(len(visible)):
            image, visible[frame] = video.render(frame)
            yield image

    write_video(path, images(), video.settings.frames_per_second)
    save_arrays(
        truth_path,
        identity=video.identity.astype(np.float32),
        expression=video.expression.astype(np.float32),
        rotation=video.camera.rotation,
        scale=video.camera.scale,
        translation=video.camera.translation,
        landmarks=video.landmarks,
        visible=visible,
        fps=np.float64(video.settings.frames_per_second),
    )


def require_renderable(model: MorphableModel) -> None:
    """Refuse a model that synthetic heads cannot be drawn from.

    Raises
    ------
    ModelMismatchError
        It lacks face units or skin masks.
    """
    if missing := sorted(
        {"units", "unit_names", "eye_local", "mask_lips", "mask_eyelids", "resting_covariance"} - model.extras.keys()
    ):
        raise ModelMismatchError(
            f"face model '{model.name}' has no {', '.join(missing)}; synthetic heads need the embedded model."
        )
    if tuple(model.extras["unit_names"]) != EXPRESSION_UNITS:
        raise ModelMismatchError(
            f"face model '{model.name}' has other face units than this release draws; build the embedded model again."
        )


def _head_motion(
    model: MorphableModel, settings: SyntheticVideoSettings, rng: np.random.Generator
) -> ScaledOrthographicCamera:
    """Smooth random turning, nodding and swaying of a head that stays in view."""
    frames, size, rate = settings.frames, settings.size, settings.frames_per_second
    liveliness = rng.uniform(0.02, 0.1) if rng.random() < settings.still_share else rng.uniform(0.2, 0.6)
    largest = np.array([settings.largest_yaw, settings.largest_pitch, settings.largest_roll])
    start = rng.uniform(-0.4, 0.4, 3) * largest
    angles = start + liveliness * largest * smooth_path(frames, 3, rng.uniform(1.0, 3.0), rng, rate)
    # Soft limits: a head slows down before it stops.
    angles = largest * np.tanh(angles / np.maximum(largest, 1e-9))
    rotation = np.stack([rotation_from_angles(*frame) for frame in angles])
    scale = size * rng.uniform(*settings.face_size) / model.interocular_distance
    scale = scale * (1 + 0.03 * smooth_path(frames, 1, 4.0, rng, rate)[:, 0])
    place = size * (np.array([0.5, 0.55]) + rng.uniform(-0.06, 0.06, 2))
    place = place + 0.015 * size * smooth_path(frames, 2, 2.0, rng, rate)
    # The pivot stays where the upright head has it; the face swings about it.
    hanging = scale[:, None] * _NECK_PIVOT[:2] * [1, -1]
    turned = scale[:, None] * (rotation @ _NECK_PIVOT)[:, :2] * [1, -1]
    return ScaledOrthographicCamera(scale, rotation, place + hanging - turned)
