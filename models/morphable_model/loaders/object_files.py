"""Wavefront .obj meshes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError


@dataclass(frozen=True)
class Mesh:
    """A mesh of an .obj file; faces of more corners are cut into fans of triangles.

    Attributes
    ----------
    vertices : (N, 3)
    triangles : (T, 3)
    uv, uv_triangles : (U, 2) and (T, 3); None where a face has none
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray | None
    uv_triangles: np.ndarray | None


def read_vertices(path: Path) -> np.ndarray:
    """Vertices (N, 3) alone.

    Raises
    ------
    ModelMismatchError
        The file is no .obj.
    """
    return _numbers(path, _lines(path), "v", 3)


def read_mesh(path: Path) -> Mesh:
    """Vertices, triangles and texture coordinates.

    Raises
    ------
    ModelMismatchError
        The file is no .obj, or has no faces.
    """
    lines = _lines(path)
    vertices = _numbers(path, lines, "v", 3)
    corners, uv_corners = [], []
    try:
        for line in lines:
            if line.startswith("f "):
                face = [corner.split("/") for corner in line.split()[1:]]
                corners += _fan([int(corner[0]) - 1 for corner in face])
                uv_corners += _fan([int(corner[1]) - 1 if len(corner) > 1 and corner[1] else -1 for corner in face])
    except ValueError as error:
        raise ModelMismatchError(f"{path}: a face is not readable ({error}); get the file again.") from error
    if not corners:
        raise ModelMismatchError(f"{path}: has no faces; expected an .obj with them.")
    triangles, uv_triangles = np.array(corners), np.array(uv_corners)
    if uv_triangles.min() < 0:
        return Mesh(vertices, triangles, None, None)
    return Mesh(vertices, triangles, _numbers(path, lines, "vt", 2), uv_triangles)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelMismatchError(f"{path}: is no readable .obj ({error}); get the file again.") from error


def _numbers(path: Path, lines: list[str], kind: str, count: int) -> np.ndarray:
    """What follows `kind` at the beginnings of lines, (rows, count) float64."""
    try:
        rows = [line.split()[1 : 1 + count] for line in lines if line.startswith(f"{kind} ")]
        values = np.array(rows, np.float64)
    except ValueError as error:
        raise ModelMismatchError(f"{path}: a '{kind}' line is not readable ({error}); get the file again.") from error
    if values.ndim != 2 or values.shape[1] != count:
        raise ModelMismatchError(f"{path}: has no '{kind}' lines of {count} numbers; expected an .obj.")
    return values


def _fan(corners: list[int]) -> list[list[int]]:
    return [[corners[0], corners[k], corners[k + 1]] for k in range(1, len(corners) - 1)]
