"""The papers' baseline [31]: a linear shape fit of every frame on its own, in alternation with the pose."""

import numpy as np

from models.fitting.observations import observations
from models.fitting.pose import estimate_pose, interpolate_cameras
from models.fitting.priors import independent_expression_prior
from models.fitting.reconstruction import Reconstruction, residual_of
from models.fitting.rigid import cameras_of_shape
from models.fitting.settings import FitSettings
from models.morphable_model import MorphableModel

ALTERNATIONS = 6
# Frames solved together; bounds the memory of their 136 x 136 systems.
BATCH = 256


def fit_per_frame(landmarks: np.ndarray, model: MorphableModel, settings: FitSettings | None = None) -> Reconstruction:
    """Fit identity and expression of each frame with independent Gaussian priors on the coefficients.

    Pose and shape are solved for in turn; the shape's regularised least squares is solved in its dual form, a
    136 x 136 system a frame, which gives the same coefficients as the 185 x 185 primal.

    Parameters
    ----------
    landmarks : (F, 68, 2) pixels; NaN marks a missing point
    settings : only `noise` is used

    Returns
    -------
    Reconstruction
        With identity (F, n_i). Frames without landmarks get the mean face.

    Raises
    ------
    FittingError, ModelMismatchError
        As `fit_video`.
    """
    settings = settings or FitSettings()
    observed = observations(landmarks, model)
    interocular = model.interocular_distance
    variance = (settings.noise * interocular) ** 2
    prior = independent_expression_prior(model)
    basis = np.concatenate(
        [model.landmark_identity_basis * model.identity_std, model.landmark_expression_basis @ prior.factor], 2
    )
    points = basis.shape[0]
    camera = cameras_of_shape(observed, model.landmark_mean, np.full(points, variance), np.inf)
    coefficients = np.zeros((len(observed.counts), basis.shape[2]))
    usable = np.flatnonzero(observed.usable)
    for alternation in range(ALTERNATIONS):
        for start in range(0, len(usable), BATCH):
            frames = usable[start : start + BATCH]
            coefficients[frames] = _shape_coefficients(
                observed.landmarks[frames] - camera.translation[frames, None],
                camera.projection()[frames],
                variance * camera.scale[frames, None] ** 2 / np.maximum(observed.counts[frames], 1e-9),
                model.landmark_mean,
                basis,
            )
        shapes = model.landmark_mean + (coefficients @ basis.reshape(3 * points, -1).T).reshape(-1, points, 3)
        if alternation + 1 < ALTERNATIONS:
            found = estimate_pose(shapes[usable], observed.landmarks[usable], observed.counts[usable])
            camera.rotation[usable], camera.scale[usable] = found.rotation, found.scale
            camera.translation[usable] = found.translation
    camera = interpolate_cameras(camera, observed.usable)
    return Reconstruction(
        identity=coefficients[:, : model.identity_size] * model.identity_std,
        expression=coefficients[:, model.identity_size :] @ prior.factor.T,
        rotation=camera.rotation,
        scale=camera.scale,
        translation=camera.translation,
        residual=residual_of(observed.landmarks, observed.counts, camera, shapes, interocular),
        converged=True,
    )


def _shape_coefficients(landmarks, projection, variance, mean, basis):
    """Whitened coefficients (B, n) of centred landmarks (B, L, 2) px with variances (B, L) px^2."""
    points, _, size = basis.shape
    seen = np.matmul(projection[:, None], basis[None]).reshape(len(landmarks), 2 * points, size)
    expected = np.matmul(mean, projection.transpose(0, 2, 1))
    right = (landmarks - expected).reshape(len(landmarks), 2 * points, 1)
    system = np.matmul(seen, seen.transpose(0, 2, 1))
    diagonal = np.arange(2 * points)
    system[:, diagonal, diagonal] += np.repeat(variance, 2, axis=1)
    return np.matmul(seen.transpose(0, 2, 1), np.linalg.solve(system, right))[..., 0]
