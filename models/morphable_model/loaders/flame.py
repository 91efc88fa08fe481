"""FLAME (Li et al. 2017; 2019, 2020 and 2023 releases): `v_template` (N, 3), `shapedirs` (N, 3, 400), `f` (T, 3).

Metres. The first 300 directions are identity, the last 100 expression, each at one standard deviation. FLAME opens
the mouth by turning the jaw about a joint, which no linear model can; where the file has what the joint needs
(`weights` (N, 5), and `J` (5, 3) or `J_regressor` (5, N)), opening and the jaw's two sideways movements join the
expressions as their tangents at rest, with the file's pose correctives (`posedirs` (N, 3, 36)) where it has them.

A .pkl is read without running anything in it (`restricted_pickle`), which leaves sparse arrays out, `J_regressor`
among them: `J` is taken instead.
"""

from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.morphable_model.loaders.landmark_files import landmarks_on_triangles
from models.morphable_model.loaders.published import MILLIMETRES, PublishedModel
from models.morphable_model.loaders.reading import basis, npz_arrays, require_file, required, shape_vector
from models.morphable_model.loaders.restricted_pickle import read_pickled_arrays

MODEL_FILE = "a FLAME model with v_template, shapedirs and f"
_IDENTITY_DIRECTIONS = 300
_JAW = 2
# Rotations of the jaw about x (opening), y and z at one standard deviation, radians: talking and laughing open a
# mouth by up to 0.4, sideways it hardly moves.
_JAW_ANGLES = (0.10, 0.02, 0.01)


def read(source: Path, expression: Path | None) -> PublishedModel:
    """Read the model from an .npz or a .pkl; it needs no second file.

    Raises
    ------
    ModelMismatchError
        The file is missing, of another layout, or a pickle that asks for more than arrays.
    """
    if expression is not None:
        raise ModelMismatchError(f"{expression}: FLAME has its expressions in its own file; leave this one out.")
    require_file(source, MODEL_FILE)
    arrays = read_pickled_arrays(source) if source.suffix == ".pkl" else npz_arrays(source, MODEL_FILE)
    mean = shape_vector(required(arrays, "v_template", source, MODEL_FILE), source, "v_template").reshape(-1, 3)
    directions = basis(required(arrays, "shapedirs", source, MODEL_FILE), source, "shapedirs")
    if directions.shape[1] <= _IDENTITY_DIRECTIONS:
        raise ModelMismatchError(
            f"{source}: shapedirs has {directions.shape[1]} directions, expected 300 of identity and up to 100 of "
            f"expression; take a full FLAME model."
        )
    triangles = np.asarray(required(arrays, "f", source, MODEL_FILE), np.int64)
    embedded = None
    if {"lmk_faces_idx", "lmk_bary_coords"} <= arrays.keys() and len(np.ravel(arrays["lmk_faces_idx"])) == 68:
        embedded = landmarks_on_triangles(arrays["lmk_faces_idx"], arrays["lmk_bary_coords"], triangles, source)
    return PublishedModel(
        path=source,
        name=f"flame-{source.stem}",
        licence="FLAME: by the licence of its release at flame.is.tue.mpg.de (2023 Open: CC BY 4.0)",
        mean=mean,
        identity_modes=directions[:, :_IDENTITY_DIRECTIONS],
        expression_modes=np.column_stack([directions[:, _IDENTITY_DIRECTIONS:], *_jaw_movements(mean, arrays)]),
        triangles=triangles,
        unit=MILLIMETRES["m"],
        landmarks=embedded,
    )


def _jaw_movements(mean: np.ndarray, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Offsets (3N,) each, in metres, of small rotations of the jaw; none where the file lacks the joint.

    The tangent of `weight * (R(angle) - 1) (v - joint) + posedirs (R(angle) - 1)` at rest.
    """
    joints = arrays.get("J")
    if joints is None and np.ndim(arrays.get("J_regressor")) == 2:
        joints = arrays["J_regressor"] @ mean
    weights = arrays.get("weights")
    if joints is None or weights is None or len(weights) != len(mean) or len(joints) <= _JAW:
        return []
    movements = []
    for axis, angle in zip(np.eye(3), _JAW_ANGLES, strict=True):
        turn = np.cross(np.eye(3), axis)
        offset = weights[:, _JAW, None] * ((mean - joints[_JAW]) @ turn.T)
        correctives = arrays.get("posedirs")
        if correctives is not None and correctives.shape[:2] == mean.shape:
            # Correctives speak of all joints but the root, nine numbers of R - 1 each.
            offset = offset + correctives[:, :, 9 * (_JAW - 1) : 9 * _JAW] @ turn.reshape(-1)
        movements.append(angle * offset.reshape(-1))
    return movements
