"""The whole-video fit, section III-A: one identity, an expression and a camera a frame, all frames at once.

The energy, its minimisation and what is measured of it are described in `docs/reconstruction.md`.
"""

import os
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

from models.errors import FittingError
from models.fitting.camera import IMAGE_AXES, ScaledOrthographicCamera
from models.fitting.camera_tracking import RUN, track_cameras
from models.fitting.chains import Chains
from models.fitting.clips import Clip, observed_clips
from models.fitting.energy import Energy, Estimate
from models.fitting.minimisation import Minimum, Sweeper, minimise_jointly, representative_schur
from models.fitting.normal_equations import NeutralSchur, ShapeSpace
from models.fitting.pose import interpolate_cameras, spread_cameras
from models.fitting.priors import (
    MODEL_FRAME_RATE,
    ExpressionPrior,
    expression_prior,
    neutral_prior,
    rest_prior,
    rest_weight,
)
from models.fitting.reconstruction import Reconstruction, residual_of
from models.fitting.rigid import fit_rigid
from models.fitting.settings import PHOTOGRAPHS, FitSettings
from models.morphable_model import MorphableModel

COARSE_ITERATIONS, LEVEL_ITERATIONS = 3, 4
# Windows in memory at a time.
MOST_THREADS = 8
# How many times as many frames a level has as the one before it.
LEVEL_STRIDE = 6
# Cosine of the angle between face and viewer below which no detector would have found a face.
SEEN_FROM_BEHIND = -0.2


def fit_video(
    landmarks: np.ndarray,
    model: MorphableModel,
    settings: FitSettings | None = None,
    *,
    timestamps: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Reconstruction:
    """Fit identity, expressions and cameras to the landmarks of a video.

    Parameters
    ----------
    landmarks : (F, 68, 2) pixels; NaN marks a missing point. Frames without points are filled by the prior over time
    timestamps : (F,) seconds, ascending; None means 30 frames a second. Their median step sets the smoothness
    weights : (F,) or (F, 68), how much to trust each frame or point; 1 is normal, 0 ignores
    progress : called with the number of the step and the energy after it

    Raises
    ------
    FittingError
        Landmarks, weights or timestamps of a wrong shape or value, mirrored landmarks, or not one frame with enough
        points.
    ModelMismatchError
        The model has another number of landmarks.
    """
    return fit_clips([Clip(landmarks, timestamps, weights)], model, settings, progress=progress)[0]


def fit_photographs(
    landmarks: np.ndarray,
    model: MorphableModel,
    settings: FitSettings | None = None,
    *,
    weights: np.ndarray | None = None,
) -> Reconstruction:
    """Fit several images (M, 68, 2) of one person, in no order: identity shared, expressions independent.

    Points that a detector found are fitted best with a model that knows the detector (`MorphableModel.with_detector`).
    `settings` None means `PHOTOGRAPHS`.

    Raises
    ------
    FittingError, ModelMismatchError
        As `fit_video`.
    """
    return fit_clips([Clip(landmarks, weights=weights, ordered=False)], model, settings or PHOTOGRAPHS)[0]


def fit_clips(
    clips: Sequence[Clip],
    model: MorphableModel,
    settings: FitSettings | None = None,
    *,
    progress: Callable[[int, float], None] | None = None,
) -> list[Reconstruction]:
    """Fit several clips and sets of photographs of one person, whose identity they share.

    Returns
    -------
    list of Reconstruction
        One a clip. Identity, energy and landmark noise are those of all clips together.

    Raises
    ------
    FittingError, ModelMismatchError
        As `fit_video`; with several clips the message says which one is at fault.
    """
    settings = settings or FitSettings()
    # Windows are solved side by side by threads of our own; matrices are small, and BLAS threads would only wait.
    with threadpool_limits(1, user_api="blas"):
        return _Person(clips, model, settings).fit(progress)


class _Person:
    """The frames of one person, what is known before they are seen, and how they are fitted."""

    def __init__(self, clips: Sequence[Clip], model: MorphableModel, settings: FitSettings):
        self.model, self.settings = model, settings
        self.observed, starts = observed_clips(clips, model)
        interocular = model.interocular_distance
        self.noise = np.full(len(model.landmark_mean), (settings.noise * interocular) ** 2)
        patterns, of_people = np.zeros((self.noise.size * 3, 0)), None
        if model.detector is not None:
            errors = model.detector.with_fewer_patterns(settings.error_patterns, settings.person_patterns)
            self.noise += errors.noise**2
            patterns, of_people = errors.image.reshape(len(patterns), -1), errors.person
        steps = [clip.time_step() for clip in clips]
        priors = {step: _frame_prior(model, step, settings, patterns.shape[1]) for step in set(steps)}
        self.prior = priors[steps[0]]
        self.chains = Chains(starts, tuple(priors[step] for step in steps))
        self.neutral = neutral_prior(model, settings.landmark_bias * interocular, of_people)
        rows = model.landmark_expression_basis.reshape(-1, model.expression_size)
        self.space = ShapeSpace(
            mean=model.landmark_mean.reshape(-1) + rows @ self.prior.mean,
            neutral=self.neutral.factor,
            expression=np.concatenate([rows @ self.prior.factor[:, : rows.shape[1]], patterns], 1),
        )
        self.rest = rest_prior(model, width=settings.rest_width, opposite=settings.rest_opposite)
        self.rest_weight = np.repeat([rest_weight(settings.rest_weight, step) for step in steps], np.diff(starts))
        self.threads = min(MOST_THREADS, int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0))))

    def fit(self, progress) -> list[Reconstruction]:
        """From few frames to all of them: each level starts where the coarser one ended."""
        frames, settings = len(self.observed.counts), self.settings
        levels = self._levels()
        chosen, stride = levels[0]
        estimate, scale = self._rigid_start(chosen)
        energy = self._energy(chosen, stride, scale)
        if len(levels) == 1:
            found = minimise_jointly(energy, estimate, settings.iterations, progress)
        else:
            found = minimise_jointly(energy, estimate, COARSE_ITERATIONS)
        representatives, schur = chosen, representative_schur(energy, found.estimate, stride)
        sweeper = Sweeper(energy, schur, self.threads)
        for finer, stride in levels[1:]:
            estimate, scale = self._start_from(found.estimate, scale, chosen, finer)
            chosen = finer
            sweeper = Sweeper(self._energy(chosen, stride, scale), schur.scaled(1 / stride), self.threads)
            last = len(chosen) == frames
            iterations = settings.iterations if last else LEVEL_ITERATIONS
            found = sweeper.minimise(estimate, iterations, progress if last else None)
        std = self._expression_std(sweeper, found.estimate, representatives) if settings.uncertainty else None
        return self._reconstructions(found, scale, std)

    def _levels(self) -> list[tuple[np.ndarray, int]]:
        """Frames and stride of each level, coarsest first; the last one has all frames."""
        frames = len(self.observed.counts)
        usable = np.flatnonzero(self.observed.usable)
        levels = [(np.arange(frames), 1)]
        while len(levels[0][0]) > self.settings.coarse_frames:
            stride = max(2, min(-(-len(usable) // self.settings.coarse_frames), levels[0][1] * LEVEL_STRIDE))
            levels.insert(0, (usable[stride // 2 :: stride], stride))
        return levels

    def _energy(self, chosen: np.ndarray, stride: int, scale: np.ndarray) -> Energy:
        """The energy of some frames, their cameras' scale (F,) turning pixels into camera millimetres."""
        return Energy(
            self.observed.landmarks[chosen] * IMAGE_AXES / scale[:, None, None],
            self.observed.counts[chosen],
            self.space,
            self.chains.thinned(chosen, stride) if stride > 1 else self.chains,
            self.prior,
            self.neutral,
            self.rest,
            self.rest_weight[chosen],
            self.noise,
            self.model,
            self.settings,
        )

    def _rigid_start(self, chosen: np.ndarray) -> tuple[Estimate, np.ndarray]:
        """A rigid shape with a camera a frame, and the scale (F,) that makes camera millimetres of pixels."""
        settings, observed = self.settings, self.observed[chosen]
        moving = self.noise + (self.space.expression**2).sum(1).reshape(-1, 3).mean(1)
        rigid = fit_rigid(
            observed,
            self.space,
            moving,
            outlier_degrees=settings.outlier_degrees,
            iterations=settings.rigid_iterations,
            frames=settings.coarse_frames,
        )
        if np.median(rigid.camera.rotation[observed.usable, 2, 2]) < SEEN_FROM_BEHIND:
            raise FittingError(
                "the landmarks show a face from behind: they are mirrored; "
                "swap left and right points, or flip the images."
            )
        expression = np.zeros((len(observed.counts), self.prior.size))
        return _started(rigid.camera, rigid.neutral, expression, self.noise), rigid.camera.scale

    def _start_from(
        self, coarse: Estimate, scale: np.ndarray, chosen: np.ndarray, finer: np.ndarray
    ) -> tuple[Estimate, np.ndarray]:
        """The estimate of `finer` frames from that of the `chosen` ones: expressions in between, cameras found anew."""
        expression = self._between(coarse.expression, chosen)[finer]
        known = np.zeros(len(self.observed.counts), bool)
        known[chosen] = True
        camera = track_cameras(
            self.observed[finer],
            lambda frames: self.space.shapes(coarse.neutral, expression[frames]),
            spread_cameras(_camera(coarse, scale), known)[finer],
            coarse.variance * 2,
            self.settings.outlier_degrees,
            self.threads,
        )
        return _started(camera, coarse.neutral, expression, coarse.variance), camera.scale

    def _between(self, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Values (C, k) of the chosen frames carried to all frames of their clip; zero in a clip without any."""
        found = np.zeros((len(self.observed.counts), values.shape[1]))
        starts = self.chains.starts
        for first, last in pairwise(starts):
            inside = (chosen >= first) & (chosen < last)
            if inside.any():
                frames = np.arange(first, last)
                columns = [np.interp(frames, chosen[inside], column) for column in values[inside].T]
                found[first:last] = np.stack(columns, 1)
        return found

    def _expression_std(self, sweeper: Sweeper, estimate: Estimate, chosen: np.ndarray) -> np.ndarray:
        """Posterior standard deviations (F, n_e) of the expression coefficients, mm, by Laplace's approximation.

        Exact given the neutral face; what the neutral's own uncertainty adds changes slowly and is computed on the
        frames of the Schur complement.
        """
        to_mm = self.prior.factor
        schur: NeutralSchur = sweeper.schur
        response = to_mm @ schur.response
        spread = np.linalg.inv(schur.matrix + np.eye(len(schur.matrix)))
        shared = np.einsum("fir,rs,fis->fi", response, spread, response, optimize=True)
        variance = sweeper.expression_variance(estimate, to_mm) + self._between(shared, chosen)
        return self.settings.uncertainty_factor * np.sqrt(variance)

    def _reconstructions(self, found: Minimum, scale: np.ndarray, std: np.ndarray | None) -> list[Reconstruction]:
        model, settings, estimate = self.model, self.settings, found.estimate
        limit = settings.identity_bound * model.identity_std
        identity = np.clip(self.neutral.identity_map @ estimate.neutral, -limit, limit)
        limit = settings.expression_bound * model.expression_std
        expression = np.clip(self.prior.mean + estimate.expression @ self.prior.factor.T, -limit, limit)
        starts, fits = self.chains.starts, []
        for first, last in pairwise(starts):
            frames = slice(first, last)
            camera = interpolate_cameras(_camera(estimate[frames], scale[frames]), self.observed.usable[frames])
            fits.append(
                Reconstruction(
                    identity=identity,
                    expression=expression[frames],
                    rotation=camera.rotation,
                    scale=camera.scale,
                    translation=camera.translation,
                    residual=self._residual(frames, camera, estimate),
                    converged=found.converged,
                    energy=np.array(found.energies),
                    landmark_noise=np.sqrt(estimate.variance) / model.interocular_distance,
                    expression_std=np.zeros(0) if std is None else std[frames],
                )
            )
        return fits

    def _residual(self, frames, camera, estimate):
        """`Reconstruction.residual` of a clip's frames, a run at a time: their shapes would fill the memory."""
        found = []
        for first in range(frames.start, frames.stop, RUN):
            run = slice(first, min(first + RUN, frames.stop))
            points = self.space.shapes(estimate.neutral, estimate.expression[run])
            own = camera[run.start - frames.start : run.stop - frames.start]
            seen = self.observed[run]
            found.append(residual_of(seen.landmarks, seen.counts, own, points, self.model.interocular_distance))
        return np.concatenate(found)


def _frame_prior(
    model: MorphableModel, step: float | None, settings: FitSettings, error_patterns: int
) -> ExpressionPrior:
    """Prior of what a frame has of its own: the expression, and the shares of the patterns in which a detector errs."""
    prior = expression_prior(
        model, step, acceleration_factor=settings.acceleration_factor, inflation=settings.expression_inflation
    )
    frames_between = np.inf if step is None else step * MODEL_FRAME_RATE
    return prior.with_error_patterns(error_patterns, settings.error_persistence**frames_between)


def _camera(estimate: Estimate, scale: np.ndarray) -> ScaledOrthographicCamera:
    """Cameras in pixels, `scale` (F,) being that of the estimate's camera millimetres."""
    return ScaledOrthographicCamera(
        scale=estimate.zoom * scale,
        rotation=estimate.rotation,
        translation=estimate.shift * scale[:, None] * IMAGE_AXES,
    )


def _started(camera: ScaledOrthographicCamera, neutral, expression, variance) -> Estimate:
    return Estimate(
        neutral=neutral,
        expression=expression,
        rotation=camera.rotation,
        zoom=np.ones(len(camera)),
        shift=camera.translation * IMAGE_AXES / camera.scale[:, None],
        variance=variance,
    )
