"""The whole-video fit, section III-A: one identity, an expression and a camera a frame, all frames at once.

The energy, its minimisation and what is measured of it are described in `docs/reconstruction.md`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from models.errors import FittingError
from models.fitting.camera import IMAGE_AXES, ScaledOrthographicCamera
from models.fitting.linearisation import linearise, residuals
from models.fitting.normal_equations import (
    ShapeSpace,
    TemporalCholesky,
    expression_information,
    marginal_covariances,
    neutral_coupling,
    neutral_schur_complement,
    solve_step,
)
from models.fitting.observations import Observations, observations
from models.fitting.pose import interpolate_cameras
from models.fitting.priors import (
    MODEL_FRAME_RATE,
    ExpressionPrior,
    NeutralPrior,
    RestPrior,
    expression_prior,
    neutral_prior,
    rest_prior,
)
from models.fitting.reconstruction import Reconstruction, residual_of
from models.fitting.rigid import cameras_of_shapes, fit_rigid, robust_weights
from models.fitting.settings import PHOTOGRAPHS, FitSettings
from models.morphable_model import MorphableModel

# Stiffness of the bounds, per squared standard deviation beyond them; the result is clipped to them exactly.
BOUND_STIFFNESS = 1e3
# Share of the gradient's norm at which the conjugate gradients of one Gauss-Newton step stop.
SOLVER_TOLERANCE = 1e-2
COARSE_ITERATIONS = 8
# Cosine of the angle between face and viewer below which no detector would have found a face.
SEEN_FROM_BEHIND = -0.2
DEFAULT_FRAME_RATE = 30.0


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
    observed = observations(landmarks, model, weights)
    time_step = _time_step(timestamps, len(observed.counts))
    return _fit(observed, model, settings or FitSettings(), time_step, progress)


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
    return _fit(observations(landmarks, model, weights), model, settings or PHOTOGRAPHS, None, None)


@dataclass(frozen=True)
class _Estimate:
    """Everything that a fit estimates: y (r,), z (F, n_e), cameras in camera millimetres, variances (L,) mm^2."""

    neutral: np.ndarray
    expression: np.ndarray
    rotation: np.ndarray
    zoom: np.ndarray
    shift: np.ndarray
    variance: np.ndarray

    def moved(self, step, length: float) -> "_Estimate":
        camera = step.camera * length
        return replace(
            self,
            neutral=self.neutral + length * step.neutral,
            expression=self.expression + length * step.expression,
            rotation=Rotation.from_rotvec(camera[:, :3]).as_matrix() @ self.rotation,
            zoom=self.zoom * np.exp(np.clip(camera[:, 3], -1, 1)),
            # The shift is that of the point which the rotation leaves in place: the origin of the model.
            shift=self.shift + camera[:, 4:],
        )


class _Problem:
    """The energy of one set of frames, and how it is lowered.

    Parameters
    ----------
    scale : (F,) pixels per mm, fixed: what turns landmarks into camera millimetres
    noise : (L,) expected variance of a landmark's coordinate, mm^2
    """

    def __init__(
        self,
        observed: Observations,
        scale: np.ndarray,
        space: ShapeSpace,
        neutral: NeutralPrior,
        expression: ExpressionPrior,
        rest: RestPrior,
        noise: np.ndarray,
        model: MorphableModel,
        settings: FitSettings,
    ):
        self.points = observed.landmarks * IMAGE_AXES / scale[:, None, None]
        self.counts = observed.counts
        self.space = space
        self.prior = expression
        self.rest = rest
        self.rest_rows = rest.rows @ expression.factor
        self.rest_products = (self.rest_rows[:, :, None] * self.rest_rows[:, None]).reshape(len(self.rest_rows), -1)
        self.bands = expression.precision_bands(len(scale))
        self.settings = settings
        self.expected_variance = noise
        self.point_counts = self.counts.sum(0)
        self.free_share = 1.0
        # Coefficients in standard deviations: `offset + rows @ coordinates`.
        self.expression_rows = expression.factor / model.expression_std[:, None]
        self.expression_offset = expression.mean / model.expression_std
        self.identity_rows = neutral.identity_map / model.identity_std[:, None]

    def residuals(self, estimate: _Estimate) -> np.ndarray:
        shapes = self.space.shapes(estimate.neutral, estimate.expression)
        return residuals(self.points, shapes, estimate.rotation, estimate.zoom, estimate.shift)

    def energy(self, estimate: _Estimate, error: np.ndarray) -> float:
        """The energy, `error` (F, L) being the squared residuals in mm^2."""
        degrees, prior_frames = self.settings.outlier_degrees, self.settings.noise_frames
        relative = error / estimate.variance
        loss = relative if np.isinf(degrees) else (degrees + 2) * np.log1p(relative / degrees)
        landmarks = np.vdot(self.counts, loss)
        log_variance = np.log(estimate.variance)
        expected = prior_frames * (log_variance + self.expected_variance / estimate.variance)
        noise = 2 * self.free_share * np.sum(self.point_counts * log_variance + expected)
        priors = np.vdot(estimate.neutral, estimate.neutral) + np.vdot(
            estimate.expression, self._precision_times(estimate.expression)
        )
        beyond_z = self._beyond_expression(estimate.expression)
        beyond_y = self._beyond_identity(estimate.neutral)
        bounds = BOUND_STIFFNESS * (np.vdot(beyond_z, beyond_z) + np.vdot(beyond_y, beyond_y))
        return float(landmarks + noise + priors + bounds + self.rest.energy(self._coefficients(estimate.expression)))

    def variance(self, estimate: _Estimate, error: np.ndarray) -> np.ndarray:
        """The variances (L,) that minimise the energy's upper bound by the current robust weights."""
        weights = self.counts * robust_weights(error / estimate.variance, self.settings.outlier_degrees)
        found = (weights * error).sum(0) / (2 * self.free_share)
        prior_frames = self.settings.noise_frames
        return (found + prior_frames * self.expected_variance) / (self.point_counts + prior_frames)

    def minimise(self, estimate: _Estimate, iterations: int, progress=None) -> tuple[_Estimate, list[float], bool]:
        """Gauss-Newton steps with backtracking: the estimate, the energy before and after each step, convergence."""
        conditioner = None
        energies: list[float] = []
        for iteration in range(iterations):
            error = (self.residuals(estimate) ** 2).sum(2)
            linear, blocks, gradient_z, gradient_y, curvature_y = self._quadratic(estimate, error)
            factor = TemporalCholesky(blocks, self.bands)
            if conditioner is None:
                conditioner = self._preconditioner(linear, blocks)
                self.free_share = self._free_share(conditioner, factor)
                energies.append(self.energy(estimate, error))
            step = solve_step(
                linear, self.space, factor, gradient_y, gradient_z, curvature_y, conditioner, SOLVER_TOLERANCE
            )
            found = self._line_search(estimate, step, energies[-1])
            if found is None:
                return estimate, energies, True
            estimate, energy = found
            energies.append(energy)
            if progress is not None:
                progress(iteration + 1, energy)
            size = max(np.sqrt(np.mean(step.neutral**2)), np.sqrt(np.mean(step.expression**2)))
            if size < self.settings.tolerance:
                return estimate, energies, True
        return estimate, energies, False

    def _line_search(self, estimate, step, energy):
        for length in (1.0, 0.5, 0.25, 0.1, 0.02):
            candidate = estimate.moved(step, length)
            error = (self.residuals(candidate) ** 2).sum(2)
            candidate = replace(
                candidate, variance=self.variance(replace(candidate, variance=estimate.variance), error)
            )
            lowered = self.energy(candidate, error)
            if lowered <= energy:
                return candidate, lowered
        return None

    def _precision_times(self, z):
        centre, beside, beyond = self.bands
        out = centre * z
        if len(z) > 1:
            out[:-1] += beside * z[1:]
            out[1:] += beside * z[:-1]
        if len(z) > 2:
            out[:-2] += beyond * z[2:]
            out[2:] += beyond * z[:-2]
        return out

    def _quadratic(self, estimate, error):
        """The energy's quadratic model around an estimate: landmark term, blocks in z, gradients, curvature in y."""
        weights = self.counts * robust_weights(error / estimate.variance, self.settings.outlier_degrees)
        shapes = self.space.shapes(estimate.neutral, estimate.expression)
        linear = linearise(
            self.points, weights / estimate.variance, shapes, estimate.rotation, estimate.zoom, estimate.shift
        )
        blocks = expression_information(linear, self.space)
        gradient_z = linear.gradient @ self.space.expression - self._precision_times(estimate.expression)
        gradient_y = self.space.neutral.T @ linear.gradient.sum(0) - estimate.neutral
        curvature_y = np.eye(len(gradient_y))
        self._add_rest(estimate, blocks, gradient_z)
        self._add_bounds(estimate, blocks, gradient_z, gradient_y, curvature_y)
        return linear, blocks, gradient_z, gradient_y, curvature_y

    def expression_std(self, estimate: _Estimate) -> np.ndarray:
        """Posterior standard deviations (F, n_e) of the expression coefficients, mm, by Laplace's approximation.

        Exact given the neutral face; what the neutral's own uncertainty adds changes slowly and is computed on the
        frames of the preconditioner.
        """
        linear, blocks, *_ = self._quadratic(estimate, (self.residuals(estimate) ** 2).sum(2))
        map_to_mm = self.prior.factor
        own = marginal_covariances(blocks, self.bands)
        variance = np.einsum("ij,fjk,ik->fi", map_to_mm, own, map_to_mm, optimize=True)
        chosen, prior, repeat = self._representatives(len(blocks))
        coupling = neutral_coupling(linear[chosen], self.space) * repeat
        factor = TemporalCholesky(blocks[chosen] * repeat, prior.precision_bands(len(coupling)))
        schur = neutral_schur_complement(linear[chosen], self.space, prior, blocks[chosen], repeat)
        response = map_to_mm @ factor.solve(coupling)
        shared = np.einsum("fir,rs,fis->fi", response, np.linalg.inv(schur), response, optimize=True)
        frames = np.arange(len(blocks))
        shared = np.stack([np.interp(frames, frames[chosen], column) for column in shared.T], 1)
        return self.settings.uncertainty_factor * np.sqrt(variance + shared)

    def _coefficients(self, z):
        return self.prior.mean + z @ self.prior.factor.T

    def _add_rest(self, estimate, blocks, gradient_z):
        expression = self._coefficients(estimate.expression)
        blocks += (self.rest.curvature(expression) @ self.rest_products).reshape(blocks.shape)
        gradient_z -= self.rest.slope(expression) @ self.rest_rows

    def _beyond_expression(self, z):
        return _beyond(self.expression_offset + z @ self.expression_rows.T, self.settings.expression_bound)

    def _beyond_identity(self, y):
        return _beyond(self.identity_rows @ y, self.settings.identity_bound)

    def _add_bounds(self, estimate, blocks, gradient_z, gradient_y, curvature_y):
        beyond = self._beyond_expression(estimate.expression)
        frames = np.flatnonzero(beyond.any(1))
        if len(frames):
            active = (beyond[frames] != 0)[:, :, None] * self.expression_rows
            blocks[frames] += BOUND_STIFFNESS * np.matmul(active.transpose(0, 2, 1), active)
            gradient_z[frames] -= BOUND_STIFFNESS * beyond[frames] @ self.expression_rows
        beyond = self._beyond_identity(estimate.neutral)
        if beyond.any():
            active = self.identity_rows[beyond != 0]
            curvature_y += BOUND_STIFFNESS * active.T @ active
            gradient_y -= BOUND_STIFFNESS * beyond @ self.identity_rows

    def _representatives(self, frames):
        """Every so many frames: their slice, the prior between them, and how many frames each stands for."""
        stride = -(-frames // self.settings.coarse_frames)
        prior = replace(self.prior, persistence=self.prior.persistence**stride)
        return slice(stride // 2, None, stride), prior, float(stride)

    def _preconditioner(self, linear, blocks):
        chosen, prior, repeat = self._representatives(len(blocks))
        return neutral_schur_complement(linear[chosen], self.space, prior, blocks[chosen], repeat)

    def _free_share(self, schur, factor):
        """Share of the landmark coordinates that no parameter takes up: residuals understate the noise by it."""
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=factor.shape)
        expression = signs.size - np.vdot(signs, self._precision_times(factor.solve(signs)))
        neutral = len(schur) - np.trace(np.linalg.inv(schur))
        camera = 6 * np.count_nonzero(self.counts.any(1))
        return float(np.clip(1 - (expression + neutral + camera) / (2 * self.counts.sum()), 0.05, 1.0))


def _fit(
    observed: Observations,
    model: MorphableModel,
    settings: FitSettings,
    time_step: float | None,
    progress: Callable[[int, float], None] | None,
) -> Reconstruction:
    prior = expression_prior(
        model,
        time_step,
        acceleration_factor=settings.acceleration_factor,
        inflation=settings.expression_inflation,
    )
    interocular = model.interocular_distance
    neutral = neutral_prior(model, settings.landmark_bias * interocular)
    expression_rows = model.landmark_expression_basis.reshape(-1, model.expression_size)
    noise = np.full(len(model.landmark_mean), (settings.noise * interocular) ** 2)
    movement = expression_rows @ prior.factor
    if model.detector is not None:
        errors = model.detector.with_fewer_patterns(settings.error_patterns)
        noise += errors.noise**2
        patterns = errors.image.reshape(len(movement), -1)
        movement = np.concatenate([movement, patterns], 1)
        frames_between = np.inf if time_step is None else time_step * MODEL_FRAME_RATE
        prior = prior.with_error_patterns(patterns.shape[1], settings.error_persistence**frames_between)
    space = ShapeSpace(
        mean=model.landmark_mean.reshape(-1) + expression_rows @ prior.mean,
        neutral=neutral.factor,
        expression=movement,
    )
    moving = noise + (space.expression**2).sum(1).reshape(-1, 3).mean(1)

    rest = rest_prior(
        model, time_step, weight=settings.rest_weight, width=settings.rest_width, opposite=settings.rest_opposite
    )
    frames = len(observed.counts)
    stride = -(-frames // settings.coarse_frames)
    chosen = np.arange(stride // 2, frames, stride)
    coarse = Observations(observed.landmarks[chosen], observed.counts[chosen])
    if not coarse.usable.any():
        stride, chosen, coarse = 1, np.arange(frames), observed
    rigid = fit_rigid(
        coarse, space, moving, outlier_degrees=settings.outlier_degrees, iterations=settings.rigid_iterations,
        frames=settings.coarse_frames,
    )  # fmt: skip
    if np.median(rigid.camera.rotation[coarse.usable, 2, 2]) < SEEN_FROM_BEHIND:
        raise FittingError(
            "the landmarks show a face from behind: they are mirrored; swap left and right points, or flip the images."
        )
    start = np.zeros((len(chosen), prior.size))
    estimate, scale = _started(coarse, rigid.camera, rigid.neutral, start, noise)
    coarse_prior = replace(prior, persistence=prior.persistence**stride)
    coarse_rest = replace(rest, weight=min(1.0, rest.weight * stride))
    problem = _Problem(coarse, scale, space, neutral, coarse_prior, coarse_rest, noise, model, settings)
    if stride > 1:
        estimate, _, _ = problem.minimise(estimate, COARSE_ITERATIONS)
        between = np.arange(frames)
        start = np.stack([np.interp(between, chosen, column) for column in estimate.expression.T], 1)
        camera = cameras_of_shapes(
            observed, space.shapes(estimate.neutral, start), estimate.variance * 2, settings.outlier_degrees
        )
        estimate, scale = _started(observed, camera, estimate.neutral, start, estimate.variance)
        problem = _Problem(observed, scale, space, neutral, prior, rest, noise, model, settings)
    estimate, energies, converged = problem.minimise(estimate, settings.iterations, progress)

    identity = neutral.identity_map @ estimate.neutral
    limit = settings.identity_bound * model.identity_std
    identity = np.clip(identity, -limit, limit)
    limit = settings.expression_bound * model.expression_std
    expression = np.clip(prior.mean + estimate.expression @ prior.factor.T, -limit, limit)
    camera = interpolate_cameras(
        ScaledOrthographicCamera(
            scale=estimate.zoom * scale,
            rotation=estimate.rotation,
            translation=estimate.shift * scale[:, None] * IMAGE_AXES,
        ),
        observed.usable,
    )
    points = model.landmarks(identity, expression)
    return Reconstruction(
        identity=identity,
        expression=expression,
        rotation=camera.rotation,
        scale=camera.scale,
        translation=camera.translation,
        residual=residual_of(observed.landmarks, observed.counts, camera, points, interocular),
        converged=converged,
        energy=np.array(energies),
        landmark_noise=np.sqrt(estimate.variance) / interocular,
        expression_std=problem.expression_std(estimate) if settings.uncertainty else np.zeros(0),
    )


def _started(observed, camera, neutral, expression, variance):
    """The estimate to start from, and the scale (F,) that makes camera millimetres of pixels from here on."""
    estimate = _Estimate(
        neutral=neutral,
        expression=expression,
        rotation=camera.rotation,
        zoom=np.ones(len(camera)),
        shift=camera.translation * IMAGE_AXES / camera.scale[:, None],
        variance=variance,
    )
    return estimate, camera.scale


def _beyond(values: np.ndarray, bound: float) -> np.ndarray:
    """How far values lie outside [-bound, bound], signed; zero inside."""
    return values - np.clip(values, -bound, bound)


def _time_step(timestamps: np.ndarray | None, frames: int) -> float:
    if timestamps is None or frames == 1:
        return 1 / DEFAULT_FRAME_RATE
    timestamps = np.asarray(timestamps, np.float64)
    if timestamps.shape != (frames,):
        raise FittingError(f"timestamps have shape {timestamps.shape}; expected ({frames},).")
    steps = np.diff(timestamps)
    if not (np.isfinite(timestamps).all() and (steps > 0).all()):
        raise FittingError("timestamps must be finite and ascending seconds.")
    return float(np.median(steps))
