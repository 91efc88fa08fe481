"""Files that say where the 68 MULTI-PIE points are on a mesh.

    .txt           68 vertices counted from 0; or 68 rows of three numbers: positions on the average face
    .npy           (68,) integers: vertices; (68, 3): positions
    .npz           vertices (68,); or vertices and weights, (68, 3) each; or on triangles, as FLAME's embeddings are:
                   lmk_face_idx (68,) and lmk_b_coords (68, 3), or full_lmk_faces_idx and full_lmk_bary_coords
    .pkl, .npy     the last, pickled, as FLAME's and DECA's are; read without running anything in it
    .json          a list of 68 vertices, or one under `landmarks` or `idx_to_landmark_verts`
    .ljson         menpo's: positions

Positions are in the units and axes of the model's file; the nearest vertex is taken.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import ModelMismatchError
from models.morphable_model.loaders.published import Landmarks
from models.morphable_model.loaders.reading import npz_arrays, require_file
from models.morphable_model.loaders.restricted_pickle import read_pickled_arrays
from models.morphable_model.model import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

if TYPE_CHECKING:
    from models.morphable_model.loaders.published import PublishedModel

WANTED = "68 landmarks (docs/face_models.md has the layouts)"
_ON_TRIANGLES = (
    ("lmk_face_idx", "lmk_b_coords"),
    ("lmk_faces_idx", "lmk_bary_coords"),
    ("full_lmk_faces_idx", "full_lmk_bary_coords"),
)
# How far a stated position may be from the mesh, over the distance of the eyes.
_FARTHEST = 0.05


def read_landmarks(path: Path, published: "PublishedModel") -> Landmarks:
    """Landmarks of a file, on the mesh of a model.

    Raises
    ------
    ModelMismatchError
        The file is missing, of an unknown kind, does not hold 68 points, or they are not on this mesh.
    """
    require_file(path, WANTED)
    if path.suffix == ".pkl" or _holds_objects(path):
        return _of_arrays(read_pickled_arrays(path), published, path)
    if path.suffix == ".npz":
        return _of_arrays(npz_arrays(path, WANTED), published, path)
    readers = {".txt": _text, ".npy": _numpy, ".json": _json, ".ljson": _menpo}
    if path.suffix not in readers:
        known = ", ".join((*readers, ".npz", ".pkl"))
        raise ModelMismatchError(f"{path}: landmarks in a '{path.suffix}' file are not known; use one of {known}.")
    try:
        values = np.asarray(readers[path.suffix](path))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelMismatchError(f"{path}: not readable as {WANTED} ({error}).") from error
    return _of_values(values, published, path)


def landmarks_on_triangles(triangle: np.ndarray, weights: np.ndarray, triangles: np.ndarray, path: Path) -> Landmarks:
    """Landmarks given by triangle (68,) and barycentric weights (68, 3), on triangles (T, 3).

    Raises
    ------
    ModelMismatchError
        There are not 68, or a triangle is beyond those of the mesh.
    """
    triangle = np.asarray(triangle, np.int64).reshape(-1)
    weights = np.asarray(weights, np.float64).reshape(-1, 3)
    if len(triangle) != 68 or len(weights) != 68:
        raise ModelMismatchError(
            f"{path}: holds {len(triangle)} points, expected all 68; FLAME's static embedding lacks the jaw, take "
            f"the 68-point one."
        )
    if triangle.min() < 0 or triangle.max() >= len(triangles):
        raise ModelMismatchError(
            f"{path}: names triangle {triangle.max()}, but the mesh has {len(triangles)}; it is of another mesh."
        )
    return Landmarks(triangles[triangle], weights)


def _of_arrays(arrays: dict[str, np.ndarray], published: "PublishedModel", path: Path) -> Landmarks:
    for triangle, weights in _ON_TRIANGLES:
        if triangle in arrays and weights in arrays:
            return landmarks_on_triangles(arrays[triangle], arrays[weights], published.triangles, path)
    if "vertices" not in arrays:
        raise ModelMismatchError(
            f"{path}: has {', '.join(sorted(arrays)) or 'nothing'}; expected vertices, or lmk_face_idx with "
            f"lmk_b_coords."
        )
    vertices = np.asarray(arrays["vertices"])
    if "weights" not in arrays:
        return _of_values(vertices, published, path)
    weights = np.asarray(arrays["weights"], np.float64)
    if vertices.shape != (68, 3) or weights.shape != (68, 3):
        raise ModelMismatchError(
            f"{path}: vertices {vertices.shape} and weights {weights.shape}, expected (68, 3) for both."
        )
    return Landmarks(vertices.astype(np.int64), weights)


def _of_values(values: np.ndarray, published: "PublishedModel", path: Path) -> Landmarks:
    if values.shape == (68,) and np.issubdtype(values.dtype, np.number) and (values == np.round(values)).all():
        if values.min() < 0 or values.max() >= len(published.mean):
            raise ModelMismatchError(
                f"{path}: names vertex {values.max():g}, but {published.path} has {len(published.mean)}, counted from "
                f"0; the landmarks belong to another mesh."
            )
        return Landmarks.at_vertices(values)
    if values.shape == (68, 3):
        return _nearest(values.astype(np.float64), published, path)
    raise ModelMismatchError(f"{path}: holds numbers of shape {values.shape}; expected 68 vertices or 68 positions.")


def _nearest(points: np.ndarray, published: "PublishedModel", path: Path) -> Landmarks:
    from scipy.spatial import cKDTree

    distance, vertices = cKDTree(published.mean).query(points)
    apart = np.linalg.norm(points[RIGHT_EYE_OUTER] - points[LEFT_EYE_OUTER])
    if not distance.max() <= _FARTHEST * apart:
        raise ModelMismatchError(
            f"{path}: point {int(distance.argmax())} is {distance.max():.3g} away from the average face, whose eyes "
            f"are {apart:.3g} apart; state positions in the units and axes of {published.path}."
        )
    return Landmarks.at_vertices(vertices)


def _text(path: Path) -> np.ndarray:
    rows = [line.split("#")[0].replace(",", " ").split() for line in path.read_text().splitlines()]
    rows = [row for row in rows if row]
    if len(rows) == 68 and {len(row) for row in rows} == {3}:
        return np.array(rows, np.float64)
    return np.array([number for row in rows for number in row], np.float64)


def _holds_objects(path: Path) -> bool:
    """Whether this is an .npy of Python objects, which is a pickle behind a header."""
    if path.suffix != ".npy":
        return False
    try:
        np.load(path, allow_pickle=False)
    except ValueError as error:
        return "Object arrays" in str(error)
    return False


def _numpy(path: Path) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def _json(path: Path) -> Any:
    content = json.loads(path.read_text())
    if isinstance(content, dict):
        content = content["landmarks"] if "landmarks" in content else content["idx_to_landmark_verts"]
    return content


def _menpo(path: Path) -> list:
    """Points of menpo's landmark files, versions 1 to 3; of a file with several groups, the first."""
    content = json.loads(path.read_text())
    if "groups" in content and isinstance(content["groups"], list):
        return [mark["point"] for group in content["groups"] for mark in group["landmarks"]]
    if "groups" in content:
        content = next(iter(content["groups"].values()))
    return content["landmarks"]["points"]
