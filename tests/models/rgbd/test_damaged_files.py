"""Whatever becomes of a file, its reader reads it or says what is wrong with it, and nothing else happens."""

import io

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.errors import ImageError, ScanError
from models.expression.images import read_image
from models.rgbd.meshes import read_landmarks, read_mesh
from tests.models.rgbd.test_meshes import FACES, POINTS

FACE = trimesh.Trimesh(POINTS, FACES, process=False)
LISTED = ", ".join(" ".join(f"{value:g}" for value in point) for point in POINTS)
VRML_2 = (
    "#VRML V2.0 utf8\nTransform { translation 1 2 3 rotation 0 0 1 0.5 scale 1 1 1 children [ DEF face Shape { "
    f"geometry IndexedFaceSet {{ coord Coordinate {{ point [ {LISTED} ] }} coordIndex [ 0 1 2 -1 0 2 3 -1 ] "
    "texCoord TextureCoordinate { point [ 0 0, 1 0, 1 1, 0 1 ] } texCoordIndex [ 0 1 2 -1 0 2 3 -1 ] } } ] }"
)
VRML_1 = (
    "#VRML V1.0 ascii\nSeparator { MatrixTransform { matrix 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1 } "
    f"Rotation {{ rotation 1 0 0 0.1 }} Scale {{ scaleFactor 1 1 1 }} Coordinate3 {{ point [ {LISTED} ] }} "
    "IndexedFaceSet { coordIndex [ 0, 1, 2, -1 ] } }"
)
MESHES = {
    "2.wrl": VRML_2.encode(),
    "1.wrl": VRML_1.encode(),
    "binary.ply": FACE.export(file_type="ply"),
    "text.ply": FACE.export(file_type="ply", encoding="ascii"),
    "plain.obj": FACE.export(file_type="obj").encode(),
}
LANDMARKS = "".join(f"{row}\t{row}.5\t2.25\t-3\n" for row in range(83)).encode()


def bitmap() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, "BMP")
    return file.getvalue()


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """A file after some bytes were changed, taken out or doubled, and perhaps cut off."""
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(1, 12)))
        piece = draw(st.sampled_from(["other", "none", "twice", "number"]))
        if piece == "other":
            between = draw(st.binary(min_size=1, max_size=4))
        elif piece == "number":
            between = draw(st.sampled_from([b" -1 ", b" nan ", b" 1e99 ", b" 99999999999 ", b" 0.5 ", b" { ", b" ] "]))
        else:
            between = content[start:end] * (2 if piece == "twice" else 0)
        content = content[:start] + between + content[end:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


def read_or_named(read, path, kind: type[Exception]):
    """What is read of a file; None where an error names it."""
    try:
        return read(path)
    except kind as error:
        message = str(error)
    assert str(path) in message
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@pytest.mark.parametrize("name", sorted(MESHES))
def test_the_file_is_read_as_long_as_it_is_whole(folder, name):
    (folder / name).write_bytes(MESHES[name])
    assert len(read_mesh(folder / name).vertices) == 4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(MESHES))
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_mesh_is_read_or_named(folder, name, data):
    path = folder / name
    path.write_bytes(data.draw(damaged(MESHES[name])))
    mesh = read_or_named(read_mesh, path, ScanError)
    if mesh is not None:
        assert mesh.triangles.max() < len(mesh.vertices)
        assert np.isfinite(mesh.vertices[np.unique(mesh.triangles)]).all()


@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_landmarks_are_read_or_named(folder, data):
    path = folder / "scan.bnd"
    path.write_bytes(data.draw(damaged(LANDMARKS)))
    points = read_or_named(read_landmarks, path, ScanError)
    assert points is None or points.shape == (83, 3)


@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_photograph_is_read_or_named(folder, data):
    path = folder / "photograph.bmp"
    path.write_bytes(data.draw(damaged(bitmap())))
    image = read_or_named(read_image, path, ImageError)
    assert image is None or image.ndim == 3
