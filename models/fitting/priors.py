"""What is known of identity and expression before a video is seen.

Both are Gaussian, and both are handled in coordinates in which the prior is white:

- A frame's expression is `e = mean + T z`, where T diagonalises the covariance of natural expressions and that of
  their second differences at once. Each coordinate of z is then a stationary process of unit variance, independent
  of the others, and couples a frame to its neighbours by three scalars instead of three 28x28 blocks.
- The neutral face enters a fit only through its 68 landmarks, `n = U_id i + d`, d being small constant offsets
  between the points that a detector finds and those of the mesh. `n = L y` with white y; the identity follows from y
  as a conditional mean.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh

from models.morphable_model import MorphableModel

# The frame rate at which a model's `expression_acceleration_covariance` is stated.
MODEL_FRAME_RATE = 30.0


@dataclass(frozen=True)
class ExpressionPrior:
    """A stationary second-order process over frames, with the model's own mean and covariance in every frame.

    There are n_e coordinates z, or more: further ones move no expression but the detector's points alone.

    Attributes
    ----------
    mean : (n_e,) mm
    factor : (n_e, n_z) T of `e = mean + T z`, mm; zero in the columns of the detector's errors
    persistence : (n_z,) in [0, 1): both poles of each coordinate's autoregression at the video's time step;
        0 makes frames independent
    """

    mean: np.ndarray
    factor: np.ndarray
    persistence: np.ndarray

    def at_stride(self, stride: int) -> "ExpressionPrior":
        """The process as every `stride`-th frame sees it."""
        return replace(self, persistence=self.persistence**stride)

    @property
    def size(self) -> int:
        """n_z."""
        return self.factor.shape[1]

    def with_error_patterns(self, count: int, persistence: float) -> "ExpressionPrior":
        """The same prior with `count` more coordinates, of given persistence, that leave the expression alone."""
        return replace(
            self,
            factor=np.concatenate([self.factor, np.zeros((len(self.factor), count))], 1),
            persistence=np.concatenate([self.persistence, np.full(count, persistence)]),
        )

    def precision_bands(self, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Diagonals 0, 1 and 2 of the coordinates' precision: (F, n_e), (F-1, n_e), (F-2, n_e).

        `z[f] = 2 p z[f-1] - p^2 z[f-2] + noise`, started from its stationary distribution. As the persistence p
        goes to 1 this is the second-difference penalty of the papers' energy.
        """
        p = self.persistence
        first = 2 * p / (1 + p**2)
        second = 2 * p * first - p**2
        noise = 1 - 2 * p * first + p**2 * second
        centre = np.zeros((frames, len(p)))
        beside = np.zeros((max(frames - 1, 0), len(p)))
        beyond = np.zeros((max(frames - 2, 0), len(p)))
        if frames == 1:
            centre[:] = 1
            return centre, beside, beyond
        centre[:2] += 1 / (1 - first**2)
        beside[0] -= first / (1 - first**2)
        if frames > 2:
            for offset, value in enumerate((p**2, -2 * p, np.ones_like(p))):
                centre[offset : frames - 2 + offset] += value**2 / noise
            beside[: frames - 2] += -2 * p * p**2 / noise
            beside[1:] += -2 * p / noise
            beyond[:] = p**2 / noise
        return centre, beside, beyond


@dataclass(frozen=True)
class RestPrior:
    """Most of a face is at rest most of the time: the energy `w sum log(1 + (t / width)^2)` over movements t.

    Identity and mean expression can hardly be told apart by a Gaussian, which is why a face's mean expression leaks
    into its identity. Movements are sparse, and a muscle only pulls: that tells them apart. Movements are the
    activations of the model's face units where it has them, otherwise the coefficients themselves.

    Attributes
    ----------
    rows : (K, n_e) movements t of expression coefficients in mm, unit scale
    opposite : how much larger a negative movement counts than a positive one
    width : movement below which a face counts as at rest
    """

    rows: np.ndarray
    opposite: float
    width: float

    def movements(self, expression: np.ndarray) -> np.ndarray:
        """Movements t (F, K) of coefficients (F, n_e) mm, unscaled."""
        return expression @ self.rows.T

    def energy(self, expression: np.ndarray, weight: np.ndarray) -> float:
        """The energy of frames with weights (F,)."""
        movements = self.movements(expression)
        scaled = self._scale(movements) * movements / self.width
        return float(weight @ np.log1p(scaled**2).sum(1))

    def slope(self, movements: np.ndarray) -> np.ndarray:
        """Half the energy's derivative by each movement, (F, K), at weight one."""
        squared = self._scale(movements) ** 2
        return squared * movements / (squared * movements**2 + self.width**2)

    def curvature(self, movements: np.ndarray) -> np.ndarray:
        """Curvature (F, K) at weight one of half the parabola that touches the energy and stays above it everywhere.

        The energy's own curvature is larger at rest and falls off so fast that steps overshoot rest and come back.
        """
        squared = self._scale(movements) ** 2
        return squared / (squared * movements**2 + self.width**2)

    def _scale(self, movements):
        return np.where(movements < 0, self.opposite, 1.0)


@dataclass(frozen=True)
class NeutralPrior:
    """The landmarks of a face at rest, `mean landmarks + L y` with y white.

    Attributes
    ----------
    factor : (204, r) L, mm, rows in the order of `landmarks.reshape(-1)`
    identity_map : (n_i, r) identity coefficients in mm as conditional means given y
    """

    factor: np.ndarray
    identity_map: np.ndarray


def expression_prior(
    model: MorphableModel,
    time_step: float | None,
    *,
    acceleration_factor: float = 1.0,
    inflation: float = 1.0,
    regularisation: float = 1e-3,
) -> ExpressionPrior:
    """The model's expression statistics at a video's time step.

    Parameters
    ----------
    time_step : seconds between frames, or None for frames without order (photographs)
    acceleration_factor : multiplies the covariance of second differences; above 1 because natural expressions
        accelerate in bursts, which a Gaussian of the same covariance would smooth away
    inflation : multiplies the covariance; above 1 where faces may move in other ways than the model's samples did
    regularisation : share of the mean variance added to the covariance, so that directions that no training sample
        uses stay solvable
    """
    covariance = _regularised(model.expression_covariance, regularisation) * inflation
    acceleration = _regularised(model.expression_acceleration_covariance, regularisation)
    # acceleration = B diag(share) B^T and covariance = B B^T: B is the factor that makes both diagonal.
    share, vectors = eigh(acceleration, covariance)
    factor = covariance @ vectors
    if time_step is None:
        return ExpressionPrior(model.expression_mean, factor, np.zeros(model.expression_size))
    poles = persistence_of_acceleration(share * acceleration_factor)
    return ExpressionPrior(model.expression_mean, factor, poles ** (time_step * MODEL_FRAME_RATE))


def independent_expression_prior(model: MorphableModel) -> ExpressionPrior:
    """Frames and coefficients independent, about rest, with the model's standard deviations (the baseline [31])."""
    size = model.expression_size
    return ExpressionPrior(np.zeros(size), np.diag(model.expression_std), np.zeros(size))


def rest_prior(model: MorphableModel, *, width: float, opposite: float) -> RestPrior:
    """The rest prior of a model: over its face units where it has them, over its coefficients otherwise."""
    if "units" in model.extras:
        return RestPrior(np.linalg.pinv(np.asarray(model.extras["units"], np.float64).T), opposite, width)
    return RestPrior(np.diag(1 / np.asarray(model.expression_std, np.float64)), 1.0, width)


def rest_weight(weight: float, time_step: float | None) -> float:
    """Weight of a frame, `weight` being that of one at 30 frames a second.

    Neighbouring frames say the same; a frame on its own (no time step) counts as much as a second of video, at most 1.
    """
    frames = MODEL_FRAME_RATE if time_step is None else time_step * MODEL_FRAME_RATE
    return min(1.0, weight * frames)


def neutral_prior(model: MorphableModel, landmark_bias: float, patterns: np.ndarray | None = None) -> NeutralPrior:
    """Prior of the 68 resting landmarks: identity `N(0, identity_std^2)` plus offsets `N(0, landmark_bias^2)`, mm.

    The patterns (68, 3, p) mm in which a detector's errors differ between people come on top.

    An image does not tell a large head from a near one, nor a face that is turned within its skull from a turned
    head. Left free, these seven directions drift wherever the expression's prior is cheapest, which shrinks faces.
    Each is therefore held at its expectation given the rest of the shape. Directions in which the landmarks vary by
    less than a micrometre are left out.
    """
    basis = model.landmark_identity_basis.reshape(-1, model.identity_size) * model.identity_std
    covariance = basis @ basis.T + landmark_bias**2 * np.eye(len(basis))
    if patterns is not None:
        flat = patterns.reshape(len(basis), -1)
        covariance += flat @ flat.T
    unseen = _similarity_directions(model.landmark_mean)
    seen = np.eye(len(basis)) - unseen @ unseen.T
    variance, vectors = np.linalg.eigh(seen @ covariance @ seen)
    kept = variance > 1e-6
    std, vectors = np.sqrt(variance[kept][::-1]), vectors[:, kept][:, ::-1]
    expected = unseen @ (unseen.T @ covariance @ vectors) / std
    identity_map = model.identity_std[:, None] * (basis.T @ vectors) / std
    return NeutralPrior(vectors * std + expected, identity_map)


def _similarity_directions(points: np.ndarray) -> np.ndarray:
    """Orthonormal basis (3L, 7) of the small scalings, rotations and translations of points (L, 3)."""
    centred = points - points.mean(0)
    axes = np.eye(3)
    turns = [np.cross(axis, centred).reshape(-1) for axis in axes]
    shifts = [np.tile(axis, len(points)) for axis in axes]
    return np.linalg.qr(np.array([centred.reshape(-1), *turns, *shifts]).T)[0]


def persistence_of_acceleration(share: np.ndarray) -> np.ndarray:
    """Double pole of the unit-variance autoregression whose second differences have variance `share` (in 0 to 6)."""
    low, high = np.zeros_like(share), np.full_like(share, 1 - 1e-6)
    for _ in range(60):
        middle = (low + high) / 2
        first = 2 * middle / (1 + middle**2)
        too_rough = 6 - 8 * first + 2 * (2 * middle * first - middle**2) > share
        low, high = np.where(too_rough, middle, low), np.where(too_rough, high, middle)
    return (low + high) / 2


def _regularised(covariance: np.ndarray, share: float) -> np.ndarray:
    covariance = np.asarray(covariance, np.float64)
    return (covariance + covariance.T) / 2 + share * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
