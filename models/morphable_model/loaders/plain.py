"""A plain .npz, for models that have no layout of their own here. Keys:

mean                (N, 3) or (3N,), the average face at rest
identity_basis      (3N, K) or (N, 3, K), in any scale, orthogonal or not
identity_std        (K,) deviations of its coefficients; left out: 1, the basis is scaled already
expression_basis    (3N, L) or (N, 3, L), offsets from rest
expression_std      (L,) as above
expression_mean     (3N,) or (N, 3), average offset from rest; left out: none
expression_names    (L,) text; with it the expressions are blend shapes with activations in [0, 1]
triangles           (T, 3) counted from 0
landmarks           (68,) vertices; or landmark_vertices and landmark_weights, (68, 3) each; left out: from a file
unit                text, one of um mm cm dm m; left out: found from the distance of the eyes
axes                text, the file's axes for the subject's left, up and ahead, such as "+x +y +z" or "+x -y -z"
uv, uv_triangles    (U, 2) in [0, 1] with v upwards, and (T, 3); left out: unwrapped here
material            (T,) 0 skin, 1 eye, 2 teeth, 3 tongue, 4 mouth cavity; left out: skin
name, licence       text
"""

import re
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.morphable_model.loaders.published import MILLIMETRES, Landmarks, PublishedModel
from models.morphable_model.loaders.reading import basis, deviations, npz_arrays, required, shape_vector

MODEL_FILE = "an .npz with mean, identity_basis, expression_basis and triangles"


def read(source: Path, expression: Path | None) -> PublishedModel:
    """Read the .npz; `expression` may name another .npz to take the keys `expression_*` from.

    Raises
    ------
    ModelMismatchError
        A file is missing, lacks a key, or holds arrays of other shapes.
    """
    arrays = npz_arrays(source, MODEL_FILE)
    expressions, path = (arrays, source) if expression is None else (npz_arrays(expression, MODEL_FILE), expression)
    axes = _axes(str(arrays["axes"]), source) if "axes" in arrays else np.eye(3)
    mean = shape_vector(required(arrays, "mean", source, MODEL_FILE), source, "mean")
    offset = expressions.get("expression_mean")
    offset = None if offset is None else shape_vector(offset, path, "expression_mean")
    return PublishedModel(
        path=source,
        name=str(arrays.get("name", source.stem)),
        licence=str(arrays.get("licence", "unknown")),
        mean=mean.reshape(-1, 3) @ axes.T,
        identity_modes=_turned(_modes(arrays, "identity", source), axes),
        expression_modes=_turned(_modes(expressions, "expression", path), axes),
        expression_mean=None if offset is None else _turned(offset[:, None], axes)[:, 0],
        triangles=np.asarray(required(arrays, "triangles", source, MODEL_FILE), np.int64),
        unit=_unit(str(arrays["unit"]), source) if "unit" in arrays else None,
        uv=arrays.get("uv"),
        uv_triangles=arrays.get("uv_triangles"),
        material=arrays["material"].astype(np.uint8) if "material" in arrays else None,
        landmarks=_landmarks(arrays),
        shape_names=tuple(str(name) for name in expressions.get("expression_names", ())),
    )


def _modes(arrays: dict[str, np.ndarray], part: str, path: Path) -> np.ndarray:
    columns = basis(required(arrays, f"{part}_basis", path, MODEL_FILE), path, f"{part}_basis")
    if f"{part}_std" not in arrays:
        return columns
    return columns * deviations(arrays[f"{part}_std"], columns.shape[1], path, f"{part}_std")


def _turned(modes: np.ndarray, axes: np.ndarray) -> np.ndarray:
    return np.einsum("cd,ndk->nck", axes, modes.reshape(-1, 3, modes.shape[1])).reshape(modes.shape)


def _axes(text: str, path: Path) -> np.ndarray:
    """Matrix (3, 3) that brings the file's coordinates to ours."""
    named = re.findall(r"([+-]?)([xyz])", text.lower())
    rows = [np.eye(3)["xyz".index(axis)] * (-1 if sign == "-" else 1) for sign, axis in named]
    if len(rows) != 3 or abs(np.linalg.det(rows)) != 1:
        raise ModelMismatchError(f"{path}: axes '{text}' are not three axes; write them like '+x -y -z'.")
    return np.array(rows)


def _unit(text: str, path: Path) -> float:
    if text not in MILLIMETRES:
        raise ModelMismatchError(f"{path}: unknown unit '{text}'; use one of {', '.join(MILLIMETRES)}.")
    return MILLIMETRES[text]


def _landmarks(arrays: dict[str, np.ndarray]) -> Landmarks | None:
    if {"landmark_vertices", "landmark_weights"} <= arrays.keys():
        return Landmarks(arrays["landmark_vertices"].astype(np.int64), arrays["landmark_weights"].astype(np.float64))
    return Landmarks.at_vertices(arrays["landmarks"]) if "landmarks" in arrays else None
