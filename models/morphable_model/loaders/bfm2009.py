"""Basel Face Model 2009 (Paysan et al.) with the expressions that Guo et al. transferred from FaceWarehouse.

- `01_MorphableModel.mat`: `shapeMU` (3N, 1), `shapePC` (3N, 199) orthonormal, `shapeEV` (199, 1) standard deviations,
  all in micrometres, and `tl` (T, 3) counted from 1; N is 53,490.
- `Exp_Pca.bin`: an int32 L, then float32: the mean offset from rest (3M,) and L components of 3M numbers each, in
  micrometres on M = 53,215 vertices; `std_exp.txt`: L standard deviations; `BFM_exp_idx.mat`: `trimIndex` (M,), which
  vertex of the first file each of these is, counted from 1. All three lie in one folder.
"""

from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.morphable_model.loaders.published import MILLIMETRES, POINTS_OF_53215, Landmarks, PublishedModel
from models.morphable_model.loaders.reading import (
    basis,
    deviations,
    matlab_arrays,
    require_file,
    required,
    shape_vector,
)

SHAPE_FILE = "01_MorphableModel.mat with shapeMU, shapePC, shapeEV and tl"
EXPRESSION_FILE = "Exp_Pca.bin of Guo et al."
_LICENCE = (
    "Basel Face Model 2009: non-commercial, by agreement with the University of Basel; expressions of FaceWarehouse, "
    "transferred by Guo et al.: non-commercial research"
)


def read(source: Path, expression: Path | None) -> PublishedModel:
    """Read the shape model and the three files of its expressions; see the module for the layouts.

    Raises
    ------
    ModelMismatchError
        A file is missing, of another layout, or of another mesh than the others.
    """
    arrays = matlab_arrays(source, SHAPE_FILE)
    mean = shape_vector(required(arrays, "shapeMU", source, SHAPE_FILE), source, "shapeMU").reshape(-1, 3)
    components = basis(required(arrays, "shapePC", source, SHAPE_FILE), source, "shapePC")
    spread = required(arrays, "shapeEV", source, SHAPE_FILE)
    modes = components * deviations(spread, components.shape[1], source, "shapeEV")
    triangles = np.asarray(required(arrays, "tl", source, SHAPE_FILE), np.int64) - 1
    if len(modes) != mean.size:
        raise ModelMismatchError(f"{source}: shapeMU has {len(mean)} vertices, shapePC {len(modes) / 3:g}.")
    if expression is None:
        raise ModelMismatchError(
            f"{source}: the Basel model of 2009 has no expressions; name {EXPRESSION_FILE} as well "
            f"(--expression Exp_Pca.bin, with std_exp.txt and BFM_exp_idx.mat beside it)."
        )
    vertices = _vertices_with_expressions(expression, len(mean))
    offset, shapes = _expressions(expression, len(vertices))
    number = np.full(len(mean), -1)
    number[vertices] = np.arange(len(vertices))
    renumbered = number[triangles]
    return PublishedModel(
        path=source,
        name="bfm2009",
        licence=_LICENCE,
        mean=mean[vertices],
        identity_modes=modes.reshape(len(mean), 3, -1)[vertices].reshape(3 * len(vertices), -1),
        expression_modes=shapes,
        expression_mean=offset,
        triangles=renumbered[(renumbered >= 0).all(1)],
        unit=MILLIMETRES["um"],
        landmarks=Landmarks.at_vertices(POINTS_OF_53215) if len(vertices) == 53215 else None,
    )


def _vertices_with_expressions(expression: Path, count: int) -> np.ndarray:
    """Which vertices (M,) of the shape model the expressions are of, counted from 0."""
    path, what = expression.with_name("BFM_exp_idx.mat"), "BFM_exp_idx.mat with trimIndex, beside Exp_Pca.bin"
    vertices = np.asarray(required(matlab_arrays(path, what), "trimIndex", path, what), np.int64).reshape(-1) - 1
    if vertices.min() < 0 or vertices.max() >= count:
        raise ModelMismatchError(
            f"{path}: trimIndex names vertex {vertices.max() + 1} of a shape model with {count}; take "
            f"01_MorphableModel.mat of 2009 with its 53,490."
        )
    return vertices


def _expressions(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean offset (3M,) and modes (3M, L) at one standard deviation, micrometres."""
    content = require_file(path, EXPRESSION_FILE).read_bytes()
    components = int(np.frombuffer(content[:4], "<i4")[0]) if len(content) >= 4 else 0
    expected = 4 + 4 * 3 * count * (1 + components)
    if components < 1 or len(content) != expected:
        raise ModelMismatchError(
            f"{path}: has {len(content)} bytes; {components} components on {count} vertices take {expected}. Expected "
            f"{EXPRESSION_FILE}, with the BFM_exp_idx.mat that belongs to it."
        )
    numbers = np.frombuffer(content, "<f4", offset=4).astype(np.float64).reshape(1 + components, 3 * count)
    spread = require_file(path.with_name("std_exp.txt"), "std_exp.txt, beside Exp_Pca.bin")
    try:
        values = np.loadtxt(spread)
    except ValueError as error:
        raise ModelMismatchError(f"{spread}: is no list of numbers ({error}).") from error
    return numbers[0], numbers[1:].T * deviations(values, components, spread, "std_exp")
