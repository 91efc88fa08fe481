"""What a publisher's files say, before it is brought to this project's contract."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError

MILLIMETRES = {"um": 1e-3, "mm": 1.0, "cm": 10.0, "dm": 100.0, "m": 1000.0}

# MULTI-PIE points as vertices of the 53,215-vertex mesh that LSFM, 3DDFA and the FaceWarehouse expressions of Guo et
# al. share (menpo/itwmm, notebook 2).
POINTS_OF_53215 = np.array(
    [
        *(21868, 22404, 22298, 22327, 43430, 45175, 46312, 47132, 47911, 48692, 49737, 51376, 53136, 32516, 32616),
        *(32205, 32701, 38910, 39396, 39693, 39934, 40131, 40843, 41006, 41179, 41430, 13399, 8161, 8172, 8179, 8185),
        *(5622, 6881, 8202, 9403, 10764, 1831, 3887, 5049, 6214, 4805, 3643, 9955, 11095, 12255, 14197, 12397, 11366),
        *(5779, 6024, 7014, 8215, 9294, 10267, 10922, 9556, 8836, 8236, 7636, 6794, 5905, 7264, 8223, 9063, 10404),
        *(8828, 8228, 7509),
    ]
)


@dataclass(frozen=True)
class Landmarks:
    """68 points on a mesh.

    Attributes
    ----------
    vertices : (68, 3) vertices whose weighted sum is each landmark
    weights : (68, 3) barycentric weights
    """

    vertices: np.ndarray
    weights: np.ndarray

    @classmethod
    def at_vertices(cls, vertices: np.ndarray) -> "Landmarks":
        """Landmarks that are vertices (68,) themselves."""
        vertices = np.asarray(vertices, np.int64)
        return cls(np.repeat(vertices[:, None], 3, 1), np.tile([1.0, 0.0, 0.0], (len(vertices), 1)))


@dataclass(frozen=True)
class PublishedModel:
    """A linear face model in its publisher's own units, `mean + identity_modes a + expression_modes b`.

    The coefficients a and b have unit variance; a mode is the movement at one standard deviation, or, for a blend
    shape, at full activation.

    Attributes
    ----------
    path : the file, for messages
    name, licence : as in `MorphableModel`
    mean : (N, 3) the average face at rest
    identity_modes : (3N, K) over the vectorised shape [x1, y1, z1, x2, ...]
    expression_modes : (3N, L) offsets from rest
    triangles : (T, 3) 0-based, either way round
    expression_mean : (3N,) average offset of expressions from rest; None for none
    unit, expression_unit : millimetres in one unit of the shape and of the expression modes; None for the shape's is
        to be found from the distance of the eyes, None for the expression's is the shape's
    uv, uv_triangles, material : as in `MorphableModel`; None where the files say nothing
    landmarks : the 68 points that the files themselves, or their mesh, are known to have
    shape_names : (L,) names of the expression modes where they are blend shapes with activations in [0, 1]; else empty
    """

    path: Path
    name: str
    licence: str
    mean: np.ndarray
    identity_modes: np.ndarray
    expression_modes: np.ndarray
    triangles: np.ndarray
    expression_mean: np.ndarray | None = None
    unit: float | None = None
    expression_unit: float | None = None
    uv: np.ndarray | None = None
    uv_triangles: np.ndarray | None = None
    material: np.ndarray | None = None
    landmarks: Landmarks | None = None
    shape_names: tuple[str, ...] = ()

    def __post_init__(self):
        for problem in self._problems():
            raise ModelMismatchError(f"{self.path}: {problem}")

    def on_vertices(self, vertices: np.ndarray) -> "PublishedModel":
        """The part on some vertices (M,), in their order.

        Triangles that need others are left out; landmarks that do make all of them unknown.
        """
        number = np.full(len(self.mean), -1)
        number[vertices] = np.arange(len(vertices))
        inside = (number[self.triangles] >= 0).all(1)
        rows = (3 * np.asarray(vertices)[:, None] + np.arange(3)).reshape(-1)
        marks = None if self.landmarks is None else number[self.landmarks.vertices]
        return replace(
            self,
            mean=self.mean[vertices],
            identity_modes=self.identity_modes[rows],
            expression_modes=self.expression_modes[rows],
            expression_mean=None if self.expression_mean is None else self.expression_mean[rows],
            triangles=number[self.triangles[inside]],
            uv_triangles=None if self.uv_triangles is None else self.uv_triangles[inside],
            material=None if self.material is None else self.material[inside],
            landmarks=None if marks is None or marks.min() < 0 else Landmarks(marks, self.landmarks.weights),
        )

    def _problems(self):
        """Yield what does not fit, with its cure."""
        rows = self.mean.size
        if self.mean.ndim != 2 or self.mean.shape[1] != 3:
            yield f"the mean has shape {self.mean.shape}, expected (vertices, 3); is this the format you named?"
        for name in ("identity", "expression"):
            modes = getattr(self, f"{name}_modes")
            if modes.ndim != 2 or not modes.shape[1]:
                yield f"the {name} basis has shape {modes.shape}, expected (3 x vertices, components)."
            if len(modes) != rows:
                yield (
                    f"the mean has {rows // 3} vertices and the {name} basis {len(modes) / 3:g}; take both from one "
                    f"mesh (full or cropped, not mixed)."
                )
        if self.expression_mean is not None and self.expression_mean.shape != (rows,):
            yield f"the mean expression has {self.expression_mean.size} numbers, expected {rows}."
        for name in ("mean", "identity_modes", "expression_modes", "expression_mean"):
            values = getattr(self, name)
            if values is not None and not np.isfinite(values).all():
                yield f"{name} holds numbers that are not finite; get the file again."
        triangles = self.triangles
        if triangles.ndim != 2 or triangles.shape[1] != 3 or not len(triangles):
            yield f"the triangles have shape {triangles.shape}, expected (triangles, 3)."
        if triangles.min() < 0 or triangles.max() >= rows // 3:
            yield (
                f"a triangle names vertex {triangles.max() if triangles.min() >= 0 else triangles.min()}, but there "
                f"are {rows // 3}, counted from 0; take mean and triangles from one file."
            )
        if self.shape_names and len(self.shape_names) != self.expression_modes.shape[1]:
            yield f"{len(self.shape_names)} names for {self.expression_modes.shape[1]} expression shapes."
