"""The combined identity and expression 3D Morphable Model, equation (1): `x(i, e) = mean + U_id i + U_exp e`."""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.morphable_model.detector_errors import DetectorErrors
from models.storage import load_arrays, save_arrays

# Indices of the MULTI-PIE 68-point mark-up; "right" and "left" are the subject's.
JAW = np.arange(0, 17)
RIGHT_BROW, LEFT_BROW = np.arange(17, 22), np.arange(22, 27)
NOSE = np.arange(27, 36)
RIGHT_EYE, LEFT_EYE = np.arange(36, 42), np.arange(42, 48)
OUTER_LIPS, INNER_LIPS = np.arange(48, 60), np.arange(60, 68)
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 36, 45
INNER_FACE = np.arange(17, 68)

# What a triangle is made of.
SKIN, EYE, TEETH, TONGUE, MOUTH_CAVITY = range(5)


_NOT_ARRAYS_OF_THE_FILE = {"extras", "detector"}


@dataclass(frozen=True)
class MorphableModel:
    """A 3DMM with N vertices, n_i identity and n_e expression components (157 and 28 in the paper), in millimetres.

    Attributes
    ----------
    mean : (N, 3) mean shape, x to the subject's left, y up, z towards the viewer
    identity_basis : (3N, n_i) orthonormal columns over the vectorised shape [x1, y1, z1, x2, ...]
    identity_std : (n_i,) standard deviations of the identity coefficients
    expression_basis : (3N, n_e) orthonormal columns, offsets from the neutral face (e = 0 is a face at rest)
    expression_std : (n_e,) scale of each expression coefficient, mm: root mean square about rest in balanced use
    triangles : (T, 3) vertex indices, counter-clockwise seen from outside
    uv : (U, 2) texture coordinates in [0, 1], v upwards
    uv_triangles : (T, 3) indices into `uv` (seams make U differ from N)
    material : (T,) uint8, one of SKIN, EYE, TEETH, TONGUE, MOUTH_CAVITY
    landmark_vertices : (68, 3) vertices whose weighted sum is each landmark, MULTI-PIE order
    landmark_weights : (68, 3) barycentric weights, rows sum to 1
    expression_mean : (n_e,) mean of natural expression coefficients (they are not centred on rest)
    expression_covariance : (n_e, n_e) their covariance, mm^2
    expression_acceleration_covariance : (n_e, n_e) covariance of second differences at 30 frames a second, mm^2
    name, licence : what the model is and on what terms it may be used
    detector : how the points of a landmark detector differ from the model's landmarks; None for the model's own. It
        belongs to a detector, so a model's file does not hold it
    extras : further arrays that only some models have, such as `unit_names` (K,), `units` (K, n_e) (face units as
        expression coefficients), `resting_covariance` (n_e, n_e) of faces at rest within the expression span, mm^2,
        `eye_local` (N, 3) and masks over the texture
    """

    mean: np.ndarray
    identity_basis: np.ndarray
    identity_std: np.ndarray
    expression_basis: np.ndarray
    expression_std: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    uv_triangles: np.ndarray
    material: np.ndarray
    landmark_vertices: np.ndarray
    landmark_weights: np.ndarray
    expression_mean: np.ndarray
    expression_covariance: np.ndarray
    expression_acceleration_covariance: np.ndarray
    name: str = "unnamed"
    licence: str = "unknown"
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    detector: DetectorErrors | None = None

    def __post_init__(self):
        for problem in _problems(self):
            raise ModelMismatchError(f"face model '{self.name}': {problem}")

    @property
    def identity_size(self) -> int:
        return self.identity_basis.shape[1]

    @property
    def expression_size(self) -> int:
        return self.expression_basis.shape[1]

    def shape(self, identity: np.ndarray | None = None, expression: np.ndarray | None = None) -> np.ndarray:
        """Vertices (..., N, 3) in mm for coefficients (..., n_i) and (..., n_e) in mm; either may be left out."""
        offset = 0.0
        if identity is not None:
            offset = offset + np.asarray(identity) @ self.identity_basis.T
        if expression is not None:
            offset = offset + np.asarray(expression) @ self.expression_basis.T
        flat = self.mean.reshape(-1) + offset
        return flat.reshape(*flat.shape[:-1], -1, 3)

    def landmarks(self, identity: np.ndarray | None = None, expression: np.ndarray | None = None) -> np.ndarray:
        """The 68 landmarks (..., 68, 3) in mm, without building the other vertices."""
        offset = np.zeros(self.landmark_mean.size)
        if identity is not None:
            offset = offset + np.asarray(identity) @ self.landmark_identity_basis.reshape(len(offset), -1).T
        if expression is not None:
            offset = offset + np.asarray(expression) @ self.landmark_expression_basis.reshape(offset.shape[-1], -1).T
        return self.landmark_mean + offset.reshape(*offset.shape[:-1], -1, 3)

    def landmarks_of(self, vertices: np.ndarray) -> np.ndarray:
        """The 68 landmarks (..., 68, D) of given vertex positions (..., N, D)."""
        return np.einsum("lk,...lkd->...ld", self.landmark_weights, vertices[..., self.landmark_vertices, :])

    @cached_property
    def landmark_mean(self) -> np.ndarray:
        """(68, 3) mm."""
        points = self.landmarks_of(self.mean.astype(np.float64))
        return points if self.detector is None else points + self.detector.offsets

    def with_detector(self, errors: DetectorErrors) -> "MorphableModel":
        """The same model whose landmarks are the points that a detector finds."""
        return replace(self, detector=errors)

    def with_landmark_offsets(self, offsets: np.ndarray) -> "MorphableModel":
        """The same model whose landmarks are those of a detector, `offsets` (68, 3) mm away from its own."""
        none = DetectorErrors.none(len(self.landmark_vertices), self.expression_size)
        return self.with_detector(replace(none, offsets=np.asarray(offsets, np.float64)))

    @cached_property
    def landmark_identity_basis(self) -> np.ndarray:
        """(68, 3, n_i)."""
        return self._landmark_rows(self.identity_basis)

    @cached_property
    def landmark_expression_basis(self) -> np.ndarray:
        """(68, 3, n_e)."""
        rows = self._landmark_rows(self.expression_basis)
        return rows if self.detector is None else rows + self.detector.response

    @cached_property
    def interocular_distance(self) -> float:
        """Distance between the outer eye corners of the mean face, mm: the unit in which errors are reported."""
        return float(np.linalg.norm(self.landmark_mean[RIGHT_EYE_OUTER] - self.landmark_mean[LEFT_EYE_OUTER]))

    def _landmark_rows(self, basis: np.ndarray) -> np.ndarray:
        rows = basis.reshape(len(self.mean), 3, -1)[self.landmark_vertices].astype(np.float64)
        return np.einsum("lk,lkcn->lcn", self.landmark_weights, rows)

    def save(self, path: Path | str) -> None:
        """Write `model.npz`; the same model always gives the same bytes."""
        arrays = {
            item.name: np.asarray(getattr(self, item.name))
            for item in fields(self)
            if item.name not in _NOT_ARRAYS_OF_THE_FILE
        }
        save_arrays(path, **arrays, **{f"extra_{name}": value for name, value in sorted(self.extras.items())})

    @classmethod
    def load(cls, path: Path | str) -> "MorphableModel":
        """Read `model.npz`.

        Raises
        ------
        ModelMismatchError
            The file is missing, not an npz, lacks an array, or its arrays do not fit one another.
        """
        try:
            arrays = load_arrays(path)
        except FileNotFoundError:
            raise ModelMismatchError(
                f"{path}: no face model here; build it with `python -m assets.morphable_model`."
            ) from None
        except Exception as error:
            raise ModelMismatchError(f"{path}: not a readable face model ({error}); build it again.") from error
        extras = {name.removeprefix("extra_"): value for name, value in arrays.items() if name.startswith("extra_")}
        known = {name: value for name, value in arrays.items() if not name.startswith("extra_")}
        wanted = {item.name for item in fields(cls)} - _NOT_ARRAYS_OF_THE_FILE
        if missing := sorted(wanted - set(known)):
            raise ModelMismatchError(f"{path}: the face model lacks {', '.join(missing)}; build or convert it again.")
        texts = {name: str(known.pop(name)) for name in ("name", "licence")}
        try:
            return cls(**{name: known[name] for name in wanted & set(known)}, **texts, extras=extras)
        except ModelMismatchError as error:
            raise ModelMismatchError(f"{path}: {error}") from None


def _problems(model: MorphableModel):
    """Yield what is wrong with a model's dimensions, in words."""
    n = model.mean.shape[0]
    ni, ne, t = model.identity_std.shape[0], model.expression_std.shape[0], model.triangles.shape[0]
    expected = {
        "mean": (n, 3),
        "identity_basis": (3 * n, ni),
        "expression_basis": (3 * n, ne),
        "triangles": (t, 3),
        "uv_triangles": (t, 3),
        "material": (t,),
        "uv": (model.uv.shape[0], 2),
        "landmark_vertices": (68, 3),
        "landmark_weights": (68, 3),
        "expression_mean": (ne,),
        "expression_covariance": (ne, ne),
        "expression_acceleration_covariance": (ne, ne),
    }
    for name, shape in expected.items():
        if getattr(model, name).shape != shape:
            yield f"{name} has shape {getattr(model, name).shape}, expected {shape}"
            return
    if model.detector is not None:
        points, (_, _, patterns), (_, _, passing) = 68, model.detector.person.shape, model.detector.image.shape
        of_detector = {
            "offsets": (points, 3),
            "response": (points, 3, ne),
            "person": (points, 3, patterns),
            "image": (points, 3, passing),
            "noise": (points,),
        }
        for name, shape in of_detector.items():
            if getattr(model.detector, name).shape != shape:
                yield f"its detector's {name} have shape {getattr(model.detector, name).shape}, expected {shape}"
                return
    if model.triangles.max(initial=-1) >= n or model.landmark_vertices.max(initial=-1) >= n:
        yield f"a triangle or a landmark names a vertex beyond the {n} there are"
    for name in ("identity_basis", "expression_basis"):
        basis = getattr(model, name)
        deviation = np.abs(basis.T.astype(np.float64) @ basis - np.eye(basis.shape[1])).max(initial=0)
        if not deviation < 1e-3:
            yield f"the columns of {name} are not orthonormal (largest deviation {deviation:.2g})"
