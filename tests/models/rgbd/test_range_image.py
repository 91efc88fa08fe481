"""Range images keep millimetres, close small holes and show no spikes."""

import numpy as np
import pytest

from models.errors import ScanError
from models.rgbd.meshes import Mesh
from models.rgbd.range_image import filled_holes, range_image, without_spikes
from models.rgbd.settings import RangeImageSettings


def dome(step: float = 2.0, radius: float = 130.0) -> Mesh:
    """A bulging net of points, 120 mm wide and high."""
    line = np.arange(-60, 60 + step / 2, step)
    x, y = np.meshgrid(line, -line)
    points = np.stack([x, y, np.sqrt(radius**2 - x**2 - y**2)], -1).reshape(-1, 3)
    number = np.arange(len(points)).reshape(x.shape)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return Mesh(points.astype(np.float32), triangles.astype(np.int32))


def test_depth_is_that_of_the_surface_in_millimetres_where_pixels_say():
    mesh = dome()
    image = range_image(mesh, RangeImageSettings(size=128))
    assert image.depth.shape == (128, 128)
    inner = mesh.vertices[np.abs(mesh.vertices[:, :2]).max(1) < 50]
    column, row = np.rint(image.pixels(inner)).astype(int).T
    assert np.abs(image.depth[row, column] - inner[:, 2]).max() < 1.5
    assert abs(image.pixels(np.zeros((1, 3)))[0] - 63.5).max() < 1
    assert image.mm_per_pixel == pytest.approx(120 / (0.8 * 127))


def test_small_holes_are_filled_and_large_ones_stay():
    mesh = dome()
    x, y, _ = mesh.vertices[mesh.triangles].mean(1).T
    small, large = np.hypot(x - 30, y) < 4, np.hypot(x + 20, y) < 15
    image = range_image(Mesh(mesh.vertices, mesh.triangles[~small & ~large]), RangeImageSettings(size=128))
    (column, row), (far_column, far_row) = np.rint(image.pixels(np.array([[30, 0, 0], [-20, 0, 0]]))).astype(int)
    assert image.depth[row, column] == pytest.approx(np.sqrt(130**2 - 30**2), abs=0.5)
    assert np.isnan(image.depth[far_row, far_column])


def test_a_hole_is_bridged_by_the_slope_around_it():
    columns = np.tile(np.arange(40, dtype=np.float32), (40, 1))
    depth = np.where((np.abs(columns - 20) < 3) & (np.abs(columns.T - 20) < 3), np.nan, 2 * columns)
    np.testing.assert_allclose(filled_holes(depth, 30), 2 * columns, atol=0.3)
    assert np.isnan(filled_holes(depth, 10)).sum() == 25


def test_spikes_are_removed_and_closed():
    mesh = dome()
    spiked = mesh.vertices.copy()
    chosen = np.argmin(np.hypot(*(mesh.vertices[:, :2] - [10, 10]).T))
    spiked[chosen, 2] += 40
    assert len(without_spikes(Mesh(spiked, mesh.triangles), 5.0).triangles) == len(mesh.triangles) - 6
    image = range_image(Mesh(spiked, mesh.triangles), RangeImageSettings(size=128))
    clean = range_image(mesh, RangeImageSettings(size=128))
    assert np.nanmax(np.abs(image.depth - clean.depth)) < 1.0
    assert not np.isnan(image.depth[clean.valid]).any()


def test_shreds_beside_the_face_are_dropped():
    mesh = dome()
    shred = np.array([[80, 80, 50], [84, 80, 50], [80, 84, 50]], np.float32)
    joined = Mesh(
        np.concatenate([mesh.vertices, shred]),
        np.concatenate([mesh.triangles, [[len(mesh.vertices) + k for k in range(3)]]]).astype(np.int32),
    )
    image = range_image(joined, RangeImageSettings(size=128))
    column, row = np.rint(image.pixels(shred.mean(0, keepdims=True))).astype(int)[0]
    assert np.isnan(image.depth[row, column])
    assert image.valid.sum() > 3000


def test_a_scan_of_which_nothing_is_seen_is_refused():
    edge_on = Mesh(np.array([[0, 0, 0], [0, 80, 0], [0, 0, 80]], np.float32), np.array([[0, 1, 2]], np.int32))
    with pytest.raises(ScanError, match="from the front"):
        range_image(edge_on)
