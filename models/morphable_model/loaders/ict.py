"""ICT-FaceKit (Li et al. 2020), the folder `FaceXModel` of its repository.

`generic_neutral_mesh.obj` is the average face, `identity000.obj`, `identity001.obj`, ... the average plus one standard
deviation of each component, and `<expression>.obj` the average with one blend shape at full activation; centimetres,
all with the same vertices. `vertex_indices.json` has the expressions' names (`expressions`) and the 68 MULTI-PIE
vertices (`idx_to_landmark_verts`). Names are ARKit's with `_L` and `_R`. Gaze is left out: no landmark shows it.
"""

import json
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.morphable_model.loaders.object_files import read_mesh, read_vertices
from models.morphable_model.loaders.published import MILLIMETRES, Landmarks, PublishedModel
from models.morphable_model.loaders.reading import require_file
from models.morphable_model.model import EYE, MOUTH_CAVITY, SKIN, TEETH, TONGUE

FOLDER = "the folder FaceXModel of ICT-FaceKit"
_VERTICES = 26719
# First vertex of each part, by the repository's table. Lashes, tear lines and the films over the eyes come last and
# are left out: drawn opaque they would hide the eyes.
_PARTS = ((0, SKIN), (11248, MOUTH_CAVITY), (13294, SKIN), (14062, TONGUE), (17039, TEETH), (21451, EYE))
_OPAQUE = 24591


def read(source: Path, expression: Path | None) -> PublishedModel:
    """Read the folder.

    Raises
    ------
    ModelMismatchError
        A file is missing or damaged, or has other vertices than the rest.
    """
    if expression is not None:
        raise ModelMismatchError(f"{expression}: ICT-FaceKit has its expressions in its folder; leave this one out.")
    if not source.is_dir():
        raise ModelMismatchError(f"{source}: is no folder; name {FOLDER}.")
    known = require_file(source / "vertex_indices.json", f"it in {FOLDER}")
    try:
        listed = json.loads(known.read_text())
        names, points = list(listed["expressions"]), listed["idx_to_landmark_verts"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelMismatchError(
            f"{known}: has no readable 'expressions' and 'idx_to_landmark_verts' ({error!r}); take it from ICT-FaceKit."
        ) from error
    neutral = read_mesh(require_file(source / "generic_neutral_mesh.obj", f"it in {FOLDER}"))
    names = [name for name in names if not name.startswith("eyeLook")]
    shapes = [source / f"{name}.obj" for name in names]
    people = sorted(source.glob("identity[0-9][0-9][0-9].obj"))
    if not people or not shapes:
        raise ModelMismatchError(f"{source}: has no identity000.obj, or names no expressions; name {FOLDER}.")
    model = PublishedModel(
        path=source,
        name="ict-facekit",
        licence="ICT-FaceKit: MIT, copyright 2020 USC Institute for Creative Technologies",
        mean=neutral.vertices,
        identity_modes=_offsets(people, neutral.vertices),
        expression_modes=_offsets(shapes, neutral.vertices),
        triangles=neutral.triangles,
        unit=MILLIMETRES["cm"],
        uv=neutral.uv,
        uv_triangles=neutral.uv_triangles,
        material=_materials(neutral.triangles, len(neutral.vertices)),
        landmarks=Landmarks.at_vertices(np.asarray(points, np.int64)),
        shape_names=tuple(_arkit_name(name) for name in names),
    )
    return model.on_vertices(np.arange(_OPAQUE)) if len(neutral.vertices) == _VERTICES else model


def _offsets(paths: list[Path], neutral: np.ndarray) -> np.ndarray:
    """Offsets (3N, K) of meshes from the neutral one (N, 3)."""
    columns = []
    for path in paths:
        vertices = read_vertices(require_file(path, f"it in {FOLDER}"))
        if vertices.shape != neutral.shape:
            raise ModelMismatchError(
                f"{path}: has {len(vertices)} vertices, generic_neutral_mesh.obj {len(neutral)}; take all files from "
                f"one release."
            )
        columns.append((vertices - neutral).reshape(-1))
    return np.stack(columns, 1)


def _arkit_name(name: str) -> str:
    side = {"_L": "Left", "_R": "Right"}.get(name[-2:])
    return name if side is None else name[:-2] + side


def _materials(triangles: np.ndarray, count: int) -> np.ndarray:
    if count != _VERTICES:
        return np.full(len(triangles), SKIN, np.uint8)
    first, material = np.array(_PARTS).T
    return material[np.searchsorted(first, triangles[:, 0], side="right") - 1].astype(np.uint8)
