"""Rendered sets have exactly the publisher's layout, and another light changes the photographs alone."""

import numpy as np
import pytest

from models.errors import DatasetError
from models.expression.images import read_image
from models.rgbd.datasets import read_scans
from models.rgbd.meshes import read_landmarks, read_mesh
from models.rgbd.rendered_scans import rendered_scans, subject_name, write_rendered_bu3dfe
from models.rgbd.settings import RenderedScanSettings

SMALL = RenderedScanSettings(size=96, spacing=4.0)


@pytest.fixture(scope="module")
def root(renderable_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered") / "bu3dfe"
    write_rendered_bu3dfe(folder, renderable_model, people=2, seed=3, settings=SMALL)
    return folder


def test_a_rendered_set_is_read_back_as_bu3dfe(root):
    contents = read_scans("bu3dfe", root, verify=True)
    assert contents.synthetic
    assert contents.left_out == {}
    assert contents.subjects == ("F0001", "M0001")
    assert contents.counts == {"neutral": 2} | dict.fromkeys(
        ("angry", "disgusted", "fearful", "happy", "sad", "surprised"), 8
    )
    assert (root / "F0001" / "F0001_SU04WH_F2D.bmp").is_file()
    assert all(scan.landmarks is not None for scan in contents.scans)
    assert not any("missing" in problem for problem in contents.problems)


def test_landmarks_are_vertices_in_the_order_of_bu3dfe(root):
    path = root / "M0001" / "M0001_NE00AE_F3D"
    landmarks = read_landmarks(path.with_suffix(".bnd"))
    vertices = read_mesh(path.with_suffix(".wrl")).vertices
    index = np.array([int(line.split()[0]) for line in path.with_suffix(".bnd").read_text().splitlines()])
    np.testing.assert_allclose(vertices[index], landmarks, atol=1e-3)
    eyes, brows, lips, outline = (landmarks[part] for part in np.split(np.arange(83), [16, 36, 48])[:2] + [
        np.arange(48, 68), np.arange(68, 83)])  # fmt: skip
    assert brows[:, 1].mean() > eyes[:, 1].mean() > lips[:, 1].mean() > outline[:, 1].min()
    assert eyes[:8, 0].mean() < lips[:, 0].mean() < eyes[8:, 0].mean()


def test_texture_coordinates_point_at_the_photograph(renderable_model):
    scan = next(rendered_scans(renderable_model, 0, 3, SMALL))[2]
    pixels = scan.mesh.vertices[:, :2] @ scan.to_photograph[:, :2].T + scan.to_photograph[:, 2]
    u, v = scan.mesh.texture_coordinates.T
    np.testing.assert_allclose(np.stack([u * 96 - 0.5, (1 - v) * 96 - 0.5], 1), pixels, atol=0.01)


def test_another_light_changes_photographs_and_no_scan(root, renderable_model):
    changed = RenderedScanSettings(size=96, spacing=4.0, light="changed")
    scan = next(rendered_scans(renderable_model, 0, 3, changed))[2]
    path = root / "F0001" / "F0001_NE00WH_F3D.wrl"
    np.testing.assert_allclose(read_mesh(path).vertices, scan.mesh.vertices, atol=1e-3)
    studio = read_image(root / "F0001" / "F0001_NE00WH_F2D.bmp").astype(float)
    assert np.abs(studio - scan.photograph).mean() > 3


def test_an_expression_is_the_stronger_the_higher_its_intensity(renderable_model):
    found = {(emotion, level): scan for emotion, level, scan in rendered_scans(renderable_model, 0, 3, SMALL)}

    def opened(level: int) -> float:
        """Height of the mouth when surprised, mm."""
        lips = found["surprised", level].landmarks[48:68]
        return float(np.ptp(lips[:, 1]))

    assert opened(4) > opened(1)


def test_the_same_numbers_give_the_same_set_whatever_was_there(root, renderable_model):
    before = (root / "F0001" / "F0001_HA03WH_F3D.wrl").read_bytes()
    (root / "F0001" / "stray.txt").write_text("")
    write_rendered_bu3dfe(root, renderable_model, people=2, seed=3, settings=SMALL)
    assert (root / "F0001" / "F0001_HA03WH_F3D.wrl").read_bytes() == before
    assert not (root / "F0001" / "stray.txt").exists()


def test_folders_of_other_things_are_not_replaced(renderable_model, tmp_path):
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(DatasetError, match="holds no rendered set"):
        write_rendered_bu3dfe(tmp_path, renderable_model, people=1, seed=0)
    with pytest.raises(ValueError, match="1 to 100"):
        write_rendered_bu3dfe(tmp_path / "new", renderable_model, people=101, seed=0)


def test_a_hundred_people_have_the_publishers_names():
    names = {subject_name(person) for person in range(100)}
    assert names == {f"F{k:04d}" for k in range(1, 57)} | {f"M{k:04d}" for k in range(1, 45)}
