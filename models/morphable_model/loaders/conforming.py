"""From a publisher's units, scales and axes to this project's contract: millimetres on orthonormal bases."""

import numpy as np

from models.errors import ModelMismatchError
from models.morphable_model.loaders.expression_statistics import (
    ExpressionSpace,
    blend_shape_space,
    gaussian_space,
    orthonormal_modes,
)
from models.morphable_model.loaders.published import MILLIMETRES, Landmarks, PublishedModel
from models.morphable_model.loaders.unwrapping import spherical_unwrap
from models.morphable_model.model import (
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE_OUTER,
    OUTER_LIPS,
    RIGHT_BROW,
    RIGHT_EYE_OUTER,
    SKIN,
    MorphableModel,
)

NOSE_TIP = 30
# Outer eye corners of grown-ups are 75 to 105 mm apart; units differ by factors of ten.
_EYES_APART = (50.0, 150.0)


def conform(
    published: PublishedModel,
    landmarks: Landmarks | None,
    identity_size: int,
    expression_size: int,
    unit: float | None = None,
) -> MorphableModel:
    """The `MorphableModel` of a published one.

    Identity and expression are orthonormalised each by itself, so that faces stay what they were: a basis U and the
    deviations s come from the modes M by `M M^T = U s^2 U^T`. The origin moves amid the landmarks.

    Parameters
    ----------
    landmarks : the 68 points, or None where nobody knows them
    identity_size, expression_size : most components kept
    unit : millimetres in one unit of the shape, over what the layout says

    Raises
    ------
    ModelMismatchError
        There are no landmarks, or they are not where a face's are; the unit cannot be told.
    """
    path = published.path
    if identity_size < 1 or expression_size < 1:
        raise ModelMismatchError(
            f"{path}: {identity_size} and {expression_size} components asked for, at least 1 each."
        )
    if landmarks is None:
        raise ModelMismatchError(
            f"{path}: this mesh's 68 landmarks are not known; name a file with them (--landmarks, see "
            f"docs/face_models.md for its layouts)."
        )
    _check_landmarks(landmarks, published)
    scale = _millimetres(published, landmarks, unit)
    mean = published.mean * scale
    origin = _landmark_points(mean, landmarks).mean(0)
    mean = mean - origin
    _check_pose(_landmark_points(mean, landmarks), published)

    identity, identity_std, identity_kept = orthonormal_modes(published.identity_modes * scale, identity_size)
    expression = _expression_space(published, scale, expression_size)
    uv, uv_triangles = published.uv, published.uv_triangles
    if uv is None or uv_triangles is None or uv.min() < 0 or uv.max() > 1:
        uv, uv_triangles = spherical_unwrap(mean, _landmark_points(mean, landmarks)), published.triangles
    triangles, uv_triangles = _outwards(mean, published.triangles, uv_triangles)
    material = published.material if published.material is not None else np.full(len(triangles), SKIN, np.uint8)
    return MorphableModel(
        mean=mean.astype(np.float32),
        identity_basis=identity.astype(np.float32),
        identity_std=identity_std.astype(np.float32),
        expression_basis=expression.basis.astype(np.float32),
        expression_std=expression.std.astype(np.float32),
        triangles=triangles.astype(np.int32),
        uv=uv.astype(np.float32),
        uv_triangles=uv_triangles.astype(np.int32),
        material=material,
        landmark_vertices=landmarks.vertices.astype(np.int32),
        landmark_weights=landmarks.weights.astype(np.float32),
        expression_mean=expression.mean.astype(np.float32),
        expression_covariance=expression.covariance.astype(np.float32),
        expression_acceleration_covariance=expression.acceleration_covariance.astype(np.float32),
        name=published.name,
        licence=published.licence,
        extras=expression.units
        | {
            "identity_kept": np.float32(identity_kept),
            "expression_kept": np.float32(expression.kept),
            "published_identity": (scale * published.identity_modes.T @ identity).astype(np.float32),
            "published_expression": expression.published.astype(np.float32),
            "origin": origin,
        },
    )


def _expression_space(published: PublishedModel, scale: float, size: int) -> ExpressionSpace:
    scale = scale if published.expression_unit is None else published.expression_unit
    modes = published.expression_modes * scale
    if published.shape_names:
        return blend_shape_space(modes.T, published.shape_names, size)
    mean = np.zeros(len(modes)) if published.expression_mean is None else published.expression_mean * scale
    return gaussian_space(modes, mean, size)


def _check_landmarks(landmarks: Landmarks, published: PublishedModel) -> None:
    path, count = published.path, len(published.mean)
    if landmarks.vertices.shape != (68, 3) or landmarks.weights.shape != (68, 3):
        raise ModelMismatchError(f"{path}: {len(landmarks.vertices)} landmarks, expected the 68 of MULTI-PIE.")
    if landmarks.vertices.min() < 0 or landmarks.vertices.max() >= count:
        raise ModelMismatchError(
            f"{path}: a landmark is vertex {landmarks.vertices.max()}, but there are {count}, counted from 0; the "
            f"landmarks belong to another mesh."
        )
    if not np.allclose(landmarks.weights.sum(1), 1, atol=1e-3):
        raise ModelMismatchError(f"{path}: the barycentric weights of the landmarks do not sum to 1.")


def _landmark_points(vertices: np.ndarray, landmarks: Landmarks) -> np.ndarray:
    return np.einsum("lk,lkd->ld", landmarks.weights, vertices[landmarks.vertices])


def _millimetres(published: PublishedModel, landmarks: Landmarks, unit: float | None) -> float:
    """Millimetres in one unit of the mean: as told, or the decimal unit in which the eyes are as far apart as eyes."""
    points = _landmark_points(published.mean, landmarks)
    apart = float(np.linalg.norm(points[RIGHT_EYE_OUTER] - points[LEFT_EYE_OUTER]))
    known = unit if unit is not None else published.unit
    if known is not None:
        if not _EYES_APART[0] < known * apart < _EYES_APART[1]:
            raise ModelMismatchError(
                f"{published.path}: at {known:g} mm a unit the outer eye corners are {known * apart:.3g} mm apart; "
                f"correct the unit, or the landmarks."
            )
        return known
    fitting = [scale for scale in MILLIMETRES.values() if _EYES_APART[0] < scale * apart < _EYES_APART[1]]
    if not fitting:
        raise ModelMismatchError(
            f"{published.path}: the outer eye corners are {apart:.3g} units apart, which is no face in micrometres to "
            f"metres; correct the landmarks, or state the unit."
        )
    return fitting[0]


def _check_pose(points: np.ndarray, published: PublishedModel) -> None:
    """Refuse a face that does not look along +z with its left at +x and its brows up."""
    sideways = points[LEFT_EYE_OUTER, 0] - points[RIGHT_EYE_OUTER, 0]
    brows, mouth = points[np.r_[RIGHT_BROW, LEFT_BROW]], points[np.r_[OUTER_LIPS, INNER_LIPS]]
    upwards = (brows.mean(0) - mouth.mean(0))[1]
    forwards = points[NOSE_TIP, 2] - points[[RIGHT_EYE_OUTER, LEFT_EYE_OUTER], 2].mean()
    if min(sideways, upwards, forwards) <= 0:
        raise ModelMismatchError(
            f"{published.path}: by its landmarks the face has its left at {sideways:+.0f} mm in x, its brows at "
            f"{upwards:+.0f} mm in y and its nose at {forwards:+.0f} mm in z, all of which must be positive; the "
            f"landmarks are not those of this mesh, or its axes are others (the npz format has a key for them)."
        )


def _outwards(mean: np.ndarray, triangles: np.ndarray, uv_triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both lists of triangles, turned so that most of the surface is seen from outside counter-clockwise.

    The sum over triangles of the volume that each spans with a point in the head is positive then, for closed
    surfaces and for masks.
    """
    inside = np.array([0.0, 0.0, -80.0])
    a, b, c = np.moveaxis(mean[triangles] - inside, 1, 0)
    if np.einsum("td,td->", a, np.cross(b, c)) >= 0:
        return triangles, uv_triangles
    return triangles[:, ::-1], uv_triangles[:, ::-1]
