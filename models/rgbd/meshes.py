"""Scanned surfaces and their landmarks from files: VRML (BU-3DFE), PLY and OBJ."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import ScanError
from models.rgbd.vrml import IndexedFaces, read_indexed_faces

VRML_SUFFIXES = (".wrl", ".vrml", ".wrz")
MESH_SUFFIXES = (*VRML_SUFFIXES, ".ply", ".obj")

# Of BU-3DFE's 83 landmarks: the person's right and left eye (in this order or the other: they are used together), then
# brows, nose, and the lips.
LANDMARKS = 83
EYES, LIPS = np.arange(0, 16), np.arange(48, 68)

# A face between a child's crop and a whole head with shoulders, mm.
_SMALLEST, _LARGEST = 50.0, 1000.0


@dataclass(frozen=True)
class Mesh:
    """A scanned surface.

    Attributes
    ----------
    vertices : (N, 3) float32, mm; of an upright face x to the subject's left, y up, z towards the viewer
    triangles : (T, 3) int32
    texture_coordinates : (N, 2) float32 in [0, 1], v upwards; None where the file has none
    """

    vertices: np.ndarray
    triangles: np.ndarray
    texture_coordinates: np.ndarray | None = None


def read_mesh(path: Path | str) -> Mesh:
    """The surface in a file. Vertices keep the file's order; those on a seam of the texture come again at the end.

    Raises
    ------
    ScanError
        The file is missing, of another kind, broken, without a surface, has vertices that are no numbers, or a size
        that no face in millimetres has.
    """
    path = Path(path)
    if path.suffix.lower() not in MESH_SUFFIXES:
        raise ScanError(f"{path}: is none of {', '.join(MESH_SUFFIXES)}; convert the scan to one of them.")
    try:
        if path.stat().st_size == 0:
            raise ScanError(f"{path}: is empty; copy it again.")
        mesh = _with_seams(read_indexed_faces(path)) if path.suffix.lower() in VRML_SUFFIXES else _from_trimesh(path)
        _require_face(path, mesh)
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror}).", "missing scan") from error
    except ScanError:
        raise
    except Exception as error:
        # Readers raise whatever a damaged file makes them stumble over, and one file shall not end a set.
        raise ScanError(f"{path}: is no readable mesh ({_cause(error)}); export the scan again.") from error
    return mesh


def _cause(error: Exception) -> str:
    """What an error of a library says, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def read_landmarks(path: Path | str) -> np.ndarray:
    """The landmarks (83, 3) float32, mm, of a `.bnd` file: lines of a vertex's number and its x, y and z.

    Raises
    ------
    ScanError
        The file cannot be read, or does not hold 83 such lines of numbers.
    """
    path = Path(path)
    try:
        rows = [line.split() for line in path.read_text("latin-1").splitlines() if line.strip()]
        points = np.array([row[1:4] for row in rows], np.float32)
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror}).", "broken landmarks") from error
    except ValueError:
        points = np.empty((0, 3), np.float32)
    if points.shape != (LANDMARKS, 3) or not np.isfinite(points).all():
        raise ScanError(
            f"{path}: expected {LANDMARKS} lines of a vertex's number and three coordinates, found {len(rows)} lines"
            f"{'' if len(rows) != LANDMARKS else ' of another form'}; copy it again.",
            "broken landmarks",
        )
    return points


def _with_seams(faces: IndexedFaces) -> Mesh:
    """One texture coordinate for each vertex: a vertex that has several is there several times."""
    vertices = faces.points.astype(np.float32)
    if faces.texture_points is None:
        return Mesh(vertices, faces.triangles.astype(np.int32))
    if len(faces.texture_points) == len(vertices) and np.array_equal(faces.triangles, faces.texture_triangles):
        return Mesh(vertices, faces.triangles.astype(np.int32), faces.texture_points.astype(np.float32))
    corners, texture = faces.triangles.ravel(), faces.texture_triangles.ravel()
    key = corners * len(faces.texture_points) + texture
    pairs, corner_of = np.unique(key, return_inverse=True)
    vertex, coordinate = np.divmod(pairs, len(faces.texture_points))
    first = np.append(True, vertex[1:] != vertex[:-1])
    place = np.where(first, vertex, len(vertices) - 1 + np.cumsum(~first))
    coordinates = np.zeros((len(vertices) + int((~first).sum()), 2), np.float32)
    coordinates[place] = faces.texture_points[coordinate]
    return Mesh(
        np.concatenate([vertices, vertices[vertex[~first]]]),
        place[corner_of].reshape(-1, 3).astype(np.int32),
        coordinates,
    )


def _from_trimesh(path: Path) -> Mesh:
    import trimesh

    loaded = trimesh.load(path, process=False, force="mesh")
    vertices, triangles = np.asarray(loaded.vertices, np.float32), np.asarray(loaded.faces, np.int32)
    coordinates = getattr(loaded.visual, "uv", None)
    if coordinates is not None and len(coordinates) == len(vertices):
        return Mesh(vertices, triangles, np.asarray(coordinates, np.float32))
    return Mesh(vertices, triangles)


def _require_face(path: Path, mesh: Mesh) -> None:
    if not len(mesh.triangles):
        raise ScanError(f"{path}: has points but no faces; export the scan as a surface.")
    used = mesh.vertices[np.unique(mesh.triangles)]
    wrong = int((~np.isfinite(used)).any(1).sum())
    if wrong:
        raise ScanError(
            f"{path}: {wrong} of {len(used)} vertices are no numbers; export the scan again.", "vertices that are NaN"
        )
    extent = float(np.ptp(used, axis=0).max())
    if not _SMALLEST < extent < _LARGEST:
        raise ScanError(
            f"{path}: measures {extent:.3g} along its longest side; expected a face in millimetres, {_SMALLEST:g} to "
            f"{_LARGEST:g}. Scale the scan.",
            "scan of another size",
        )
