"""A face of the morphable model as a file that browsers turn and light: glTF 2.0, binary."""

import base64

import numpy as np

from models.morphable_model.model import EYE, MOUTH_CAVITY, SKIN, TEETH, TONGUE, MorphableModel

# Linear colours, dark enough that the page's lights do not bleach them.
COLOURS = {
    SKIN: (0.27, 0.195, 0.16),
    EYE: (0.36, 0.36, 0.36),
    TEETH: (0.36, 0.35, 0.32),
    TONGUE: (0.3, 0.1, 0.1),
    MOUTH_CAVITY: (0.1, 0.03, 0.03),
}
# Millimetres per unit of the scene.
UNIT = 100.0
# How far teeth and tongue are put behind where the model has them, mm: lips that bulge less than a real person's would
# let them through.
SETBACK = 6.0


def face_glb(model: MorphableModel, expression: np.ndarray) -> bytes:
    """The expression (n_e,) mm on the model's mean face, as a binary glTF.

    The face looks against the second axis of the scene and has the third upwards, as the scene's camera wants it; its
    origin is the middle of the mean face.
    """
    from trimesh import Trimesh

    middle = (model.mean.min(0) + model.mean.max(0)) / 2
    placed = (model.shape(None, expression) - middle) / UNIT
    vertices = np.stack([placed[:, 0], -placed[:, 2], placed[:, 1]], axis=1)
    # A vertex between two materials is given to both, so that lips do not bleed into teeth.
    behind = {TEETH: SETBACK / UNIT, TONGUE: SETBACK / UNIT}
    parts = [
        _part(vertices + [0.0, behind.get(material, 0.0), 0.0], model.triangles[model.material == material])
        for material in COLOURS
    ]
    counts = [len(points) for points, _ in parts]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    colours = np.repeat(np.array([(*colour, 1.0) for colour in COLOURS.values()]), counts, axis=0)
    mesh = Trimesh(
        np.concatenate([points for points, _ in parts]),
        np.concatenate([triangles + start for (_, triangles), start in zip(parts, starts, strict=True)]),
        vertex_colors=(255 * colours).astype(np.uint8),
        process=False,
    )
    return mesh.export(file_type="glb", include_normals=True, tree_postprocessor=_without_metal)


def data_url(glb: bytes) -> str:
    """A binary glTF as an address that holds it."""
    return "data:model/gltf-binary;base64," + base64.b64encode(glb).decode()


def _part(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices that some triangles use, and the triangles by their new numbers."""
    used, triangles = np.unique(triangles, return_inverse=True)
    return vertices[used], triangles.reshape(-1, 3)


def _without_metal(tree: dict) -> None:
    """Say that the surface is dull: glTF takes for metal what does not say, and metal is black without surroundings."""
    tree["materials"] = [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8}, "doubleSided": True}]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["material"] = 0
