"""The energy of a fit: landmarks, priors and bounds, its value and its quadratic model on any run of frames."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from models.fitting.banded import TemporalCholesky, accumulate_band, empty_band
from models.fitting.chains import Chains
from models.fitting.linearisation import Linearisation, linearise, squared_errors
from models.fitting.normal_equations import ShapeSpace, packed_triangle
from models.fitting.priors import ExpressionPrior, NeutralPrior, RestPrior
from models.fitting.rigid import robust_weights
from models.fitting.settings import FitSettings
from models.morphable_model import MorphableModel

# Stiffness of the bounds, per squared standard deviation beyond them; the result is clipped to them exactly.
BOUND_STIFFNESS = 1e3
# Frames handled together, so that what is computed for them stays in the processor's cache.
CHUNK = 128


@dataclass(frozen=True)
class Estimate:
    """Everything that a fit estimates.

    Attributes
    ----------
    neutral : (r,) y
    expression : (F, n_e) z
    rotation, zoom, shift : (F, 3, 3), (F,), (F, 2) cameras in camera millimetres
    variance : (L,) mm^2, of every landmark's coordinates
    """

    neutral: np.ndarray
    expression: np.ndarray
    rotation: np.ndarray
    zoom: np.ndarray
    shift: np.ndarray
    variance: np.ndarray

    def __getitem__(self, frames) -> "Estimate":
        """The estimate of some frames."""
        return replace(
            self,
            expression=self.expression[frames],
            rotation=self.rotation[frames],
            zoom=self.zoom[frames],
            shift=self.shift[frames],
        )

    def moved(self, expression: np.ndarray, camera: np.ndarray, length: float = 1.0, neutral=0.0) -> "Estimate":
        """The estimate after a step of z (F, n_e), the cameras (F, 6) and y (r,)."""
        camera = camera * length
        return replace(
            self,
            neutral=self.neutral + length * neutral,
            expression=self.expression + length * expression,
            rotation=Rotation.from_rotvec(camera[:, :3]).as_matrix() @ self.rotation,
            zoom=self.zoom * np.exp(np.clip(camera[:, 3], -1, 1)),
            # The shift is that of the point which the rotation leaves in place: the origin of the model.
            shift=self.shift + camera[:, 4:],
        )


@dataclass(frozen=True)
class Quadratic:
    """The energy's quadratic model in the expressions of a run of frames, cameras eliminated, y and all else fixed.

    Attributes
    ----------
    linear : the landmark term
    band : (n, n_e, width) its information on z, that of the rest prior and the bounds, and the temporal prior
    gradient : (n, n_e) descent direction of half the energy
    """

    linear: Linearisation
    band: np.ndarray
    gradient: np.ndarray

    def factor(self) -> TemporalCholesky:
        """Cholesky factor of the band, which it overwrites."""
        return TemporalCholesky(self.band)


class Energy:
    """The energy of one person's frames.

    Parameters
    ----------
    points : (F, L, 2) observed landmarks in camera millimetres, y up
    counts : (F, L) weight of each as a number of observations
    space : how y and z move the landmarks
    chains : the temporal prior of z
    prior : what z means in coefficients
    neutral : what y means in coefficients
    rest, rest_weight : the rest prior, and its weight (F,) in every frame
    noise : (L,) expected variance of a landmark's coordinate, mm^2
    """

    def __init__(
        self,
        points: np.ndarray,
        counts: np.ndarray,
        space: ShapeSpace,
        chains: Chains,
        prior: ExpressionPrior,
        neutral: NeutralPrior,
        rest: RestPrior,
        rest_weight: np.ndarray,
        noise: np.ndarray,
        model: MorphableModel,
        settings: FitSettings,
    ):
        self.points, self.counts, self.space, self.chains = points, counts, space, chains
        self.settings = settings
        self.prior, self.rest = prior, rest
        self.rest_weight = rest_weight
        self.rest_rows = rest.rows @ prior.factor
        self.expected_variance = noise
        self.point_counts = counts.sum(0)
        self.free_share = 1.0
        # Coefficients in standard deviations: `offset + rows @ coordinates`.
        self.expression_rows = prior.factor / model.expression_std[:, None]
        self.expression_offset = prior.mean / model.expression_std
        self.identity_rows = neutral.identity_map / model.identity_std[:, None]
        rest_products = packed_triangle(self.rest_rows[:, :, None] * self.rest_rows[:, None])
        self._products = np.concatenate([space.expression_products, rest_products])

    def __len__(self) -> int:
        return len(self.points)

    def coefficients(self, z: np.ndarray) -> np.ndarray:
        """Expression coefficients (F, n_e) in mm."""
        return self.prior.mean + z @ self.prior.factor.T

    def errors(self, estimate: Estimate, first: int = 0) -> np.ndarray:
        """Squared distances (n, L) mm^2 of the n frames from `first` that `estimate` holds."""
        shapes = self.space.shapes(estimate.neutral, estimate.expression)
        points = self.points[first : first + len(shapes)]
        return squared_errors(points, shapes, estimate.rotation, estimate.zoom, estimate.shift)

    def weights(self, error: np.ndarray, variance: np.ndarray, first: int = 0) -> np.ndarray:
        """Counts times robust weights, (n, L)."""
        counts = self.counts[first : first + len(error)]
        return counts * robust_weights(error / variance, self.settings.outlier_degrees)

    def landmark_loss(self, error: np.ndarray, variance: np.ndarray, first: int = 0) -> float:
        degrees = self.settings.outlier_degrees
        relative = error / variance
        loss = relative if np.isinf(degrees) else (degrees + 2) * np.log1p(relative / degrees)
        return float(np.vdot(self.counts[first : first + len(error)], loss))

    def frame_loss(self, z: np.ndarray, first: int = 0) -> float:
        """Rest prior and bounds of frames whose coordinates are z (n, n_e)."""
        weight = self.rest_weight[first : first + len(z)]
        beyond = self._beyond_expression(z)
        return self.rest.energy(self.coefficients(z), weight) + BOUND_STIFFNESS * float(np.vdot(beyond, beyond))

    def shared_loss(self, neutral: np.ndarray, variance: np.ndarray) -> float:
        """Prior and bounds of y, and the cost of the landmark variances."""
        log_variance = np.log(variance)
        expected = self.settings.noise_frames * (log_variance + self.expected_variance / variance)
        noise = 2 * self.free_share * np.sum(self.point_counts * log_variance + expected)
        beyond = self._beyond_identity(neutral)
        return float(noise + np.vdot(neutral, neutral) + BOUND_STIFFNESS * np.vdot(beyond, beyond))

    def variance_of(self, weighted_error: np.ndarray) -> np.ndarray:
        """The variances (L,) that minimise the energy's upper bound; `weighted_error` (L,) is summed over frames."""
        prior_frames = self.settings.noise_frames
        found = weighted_error / (2 * self.free_share)
        return (found + prior_frames * self.expected_variance) / (self.point_counts + prior_frames)

    def neutral_gradient(self, neutral: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Descent direction (r,) and curvature (r, r) of half of what the shared loss says of y."""
        gradient, curvature = -neutral, np.eye(len(neutral))
        beyond = self._beyond_identity(neutral)
        if beyond.any():
            active = self.identity_rows[beyond != 0]
            curvature += BOUND_STIFFNESS * active.T @ active
            gradient = gradient - BOUND_STIFFNESS * beyond @ self.identity_rows
        return gradient, curvature

    def quadratic(self, local: Estimate, prior_gradient: np.ndarray, first: int = 0, repeat: float = 1.0) -> Quadratic:
        """The quadratic model of the n frames from `first`, around their estimate.

        Parameters
        ----------
        prior_gradient : (n, n_e) precision of the temporal prior times z; what lies outside the frames included
        repeat : how many frames each one stands for
        """
        frames = len(local.expression)
        band = empty_band(self.chains.bands(first, first + frames))
        linear = Linearisation.empty(frames, self.points.shape[1])
        gradient = -prior_gradient
        for start in range(0, frames, CHUNK):
            chunk = slice(start, min(start + CHUNK, frames))
            self._add_chunk(local[chunk], first + start, repeat, linear[chunk], band[chunk], gradient[chunk])
        return Quadratic(linear, band, gradient)

    def _add_chunk(self, local, first, repeat, linear, band, gradient):
        shapes = self.space.shapes(local.neutral, local.expression)
        points = self.points[first : first + len(shapes)]
        error = squared_errors(points, shapes, local.rotation, local.zoom, local.shift)
        weights = self.weights(error, local.variance, first) / local.variance
        linearise(points, weights, shapes, local.rotation, local.zoom, local.shift, into=linear)
        gradient += linear.gradient @ self.space.expression

        movements = self.rest.movements(self.coefficients(local.expression))
        rest_weight = self.rest_weight[first : first + len(shapes), None]
        gradient -= (rest_weight * self.rest.slope(movements)) @ self.rest_rows

        landmark_part = self._products.shape[0] - len(self.rest_rows)
        factors = np.empty((len(shapes), len(self._products)))
        products = factors[:, :landmark_part].reshape(len(shapes), -1, 6)
        np.multiply(weights[:, :, None], linear.projection_products()[:, None], out=products)
        factors[:, landmark_part:] = rest_weight * self.rest.curvature(movements)
        rows = np.matmul(linear.camera_rows, self.space.expression)
        if repeat != 1:
            factors *= repeat
            rows *= np.sqrt(repeat)
        accumulate_band(band, factors @ self._products, rows)
        self._add_bounds(local.expression, band, gradient)

    def _add_bounds(self, z, band, gradient):
        beyond = self._beyond_expression(z)
        frames = np.flatnonzero(beyond.any(1))
        if not len(frames):
            return
        active = (beyond[frames] != 0)[:, :, None] * self.expression_rows
        packed = packed_triangle(BOUND_STIFFNESS * np.matmul(active.transpose(0, 2, 1), active))
        stiffened = band[frames]
        accumulate_band(stiffened, packed, np.zeros((len(frames), 0, z.shape[1])))
        band[frames] = stiffened
        gradient[frames] -= BOUND_STIFFNESS * beyond[frames] @ self.expression_rows

    def _beyond_expression(self, z):
        return _beyond(self.expression_offset + z @ self.expression_rows.T, self.settings.expression_bound)

    def _beyond_identity(self, y):
        return _beyond(self.identity_rows @ y, self.settings.identity_bound)


def _beyond(values: np.ndarray, bound: float) -> np.ndarray:
    """How far values lie outside [-bound, bound], signed; zero inside."""
    return values - np.clip(values, -bound, bound)
