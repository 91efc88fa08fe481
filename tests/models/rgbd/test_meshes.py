"""Meshes and landmarks are read from every kind of file, and what is no face is refused."""

import numpy as np
import pytest
import trimesh

from models.errors import ScanError
from models.rgbd.meshes import read_landmarks, read_mesh

POINTS = np.array([[0, 0, 0], [100, 0, 0], [100, 100, 0], [0, 100, 20]], float)
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def vrml(points=POINTS, texture: str = "") -> str:
    listed = ", ".join(" ".join(f"{value:g}" for value in point) for point in points)
    return (
        f"#VRML V2.0 utf8\nShape {{ geometry IndexedFaceSet {{ coord Coordinate {{ point [ {listed} ] }} "
        f"coordIndex [ 0 1 2 -1 0 2 3 -1 ] {texture} }} }}"
    )


@pytest.mark.parametrize("suffix", ["ply", "obj"])
def test_ply_and_obj_are_read_in_the_files_order(tmp_path, suffix):
    trimesh.Trimesh(POINTS, FACES, process=False).export(tmp_path / f"scan.{suffix}")
    mesh = read_mesh(tmp_path / f"scan.{suffix}")
    np.testing.assert_allclose(mesh.vertices, POINTS)
    np.testing.assert_array_equal(mesh.triangles, FACES)
    assert mesh.vertices.dtype == np.float32


def test_a_vertex_on_a_seam_of_the_texture_comes_again_at_the_end(tmp_path):
    texture = (
        "texCoord TextureCoordinate { point [ 0 0, 0.5 0, 0.5 1, 0.25 0.25, 0.75 0.75, 0 1 ] } "
        "texCoordIndex [ 0 1 2 -1 3 4 5 -1 ]"
    )
    (tmp_path / "scan.wrl").write_text(vrml(texture=texture))
    mesh = read_mesh(tmp_path / "scan.wrl")
    np.testing.assert_allclose(mesh.vertices[:4], POINTS)
    np.testing.assert_allclose(mesh.vertices[4:], POINTS[[0, 2]])
    np.testing.assert_allclose(mesh.vertices[mesh.triangles], POINTS[FACES])
    expected = [[[0, 0], [0.5, 0], [0.5, 1]], [[0.25, 0.25], [0.75, 0.75], [0, 1]]]
    np.testing.assert_allclose(mesh.texture_coordinates[mesh.triangles], expected)


def test_vertices_that_are_no_numbers_are_counted(tmp_path):
    (tmp_path / "scan.wrl").write_text(vrml(np.where(POINTS == 20, np.nan, POINTS)))
    with pytest.raises(ScanError, match="1 of 4 vertices are no numbers") as caught:
        read_mesh(tmp_path / "scan.wrl")
    assert caught.value.reason == "vertices that are NaN"


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_scan_that_is_not_in_millimetres_is_refused(tmp_path, factor):
    (tmp_path / "scan.wrl").write_text(vrml(factor * POINTS))
    with pytest.raises(ScanError, match="millimetres"):
        read_mesh(tmp_path / "scan.wrl")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scan.stl", b"solid", "convert"),
        ("scan.wrl", b"", "empty"),
        ("scan.ply", b"ply\nformat ascii 1.0\nelement vertex 3\n", "no readable mesh"),
        ("scan.obj", b"v 0 0 0\nv 100 0 0\n", "no faces|no readable mesh"),
    ],
)
def test_files_that_hold_no_surface_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScanError, match=message) as caught:
        read_mesh(tmp_path / name)
    assert name in str(caught.value)


def test_a_missing_scan_is_named(tmp_path):
    with pytest.raises(ScanError, match=r"none\.wrl"):
        read_mesh(tmp_path / "none.wrl")


def test_landmarks_are_read_without_their_vertices_numbers(tmp_path):
    points = np.arange(249, dtype=float).reshape(83, 3)
    lines = [f"{4000 + row}\t\t{x:.3f}  {y:.3f} {z:.3f}\r\n" for row, (x, y, z) in enumerate(points)]
    (tmp_path / "scan.bnd").write_text("".join(lines))
    np.testing.assert_allclose(read_landmarks(tmp_path / "scan.bnd"), points)
    (tmp_path / "scan.bnd").write_text("".join(lines[:-1]))
    with pytest.raises(ScanError, match=r"expected 83 lines.*found 82"):
        read_landmarks(tmp_path / "scan.bnd")
