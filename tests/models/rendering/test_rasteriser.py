"""The z-buffer rasteriser, against one that looks at every pixel and triangle."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fitting.camera import ScaledOrthographicCamera
from models.rendering.head import HeadPose, rotation_from_angles
from models.rendering.rasteriser import camera_points, rasterise, visible_points

SIZE = (17, 23)


def brute_force(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth and triangle of every pixel, and how far each pixel is from any doubt about its triangle."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width].astype(float)
    depth, index = np.full(SIZE, -np.inf), np.full(SIZE, -1)
    for t, corners in enumerate(triangles):
        a, b, c = points[corners].astype(float)
        matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
        if abs(np.linalg.det(matrix)) < 1e-9:
            continue
        weights = np.einsum("ij,jhw->ihw", np.linalg.inv(matrix), np.stack([x, y, np.ones(SIZE)]))
        z = np.einsum("i,ihw->hw", [a[2], b[2], c[2]], weights)
        better = (weights >= 0).all(0) & (z > depth)
        depth[better], index[better] = z[better], t
    return depth, index


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_it_agrees_with_brute_force(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform([-6, -6, -10], [28, 22, 10], (36, 3)).astype(np.float32)
    triangles = rng.permutation(36).reshape(12, 3)
    raster = rasterise(points, triangles, SIZE)
    depth, index = brute_force(points, triangles)
    # Random borders hardly ever run through pixel centres; single precision may differ there.
    assert (raster.triangle != index).mean() < 0.01
    same = raster.triangle == index
    np.testing.assert_allclose(raster.depth[same], depth[same], atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_triangles_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform([0, 0, -10], [22, 16, 10], (15, 3)).astype(np.float32)
    triangles = rng.permuted(np.arange(15)).reshape(5, 3)
    order = rng.permutation(5)
    first, second = rasterise(points, triangles, SIZE), rasterise(points, triangles[order], SIZE)
    np.testing.assert_array_equal(first.depth, second.depth)
    assert (first.covered == second.covered).all()
    np.testing.assert_array_equal(first.triangle[first.covered], order[second.triangle[second.covered]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_barycentric_weights_say_where_the_pixel_is(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform([0, 0, -10], [22, 16, 10], (9, 3)).astype(np.float32)
    triangles = np.arange(9).reshape(3, 3)
    raster = rasterise(points, triangles, SIZE)
    row, column = np.nonzero(raster.covered)
    corners = points[triangles[raster.triangle[row, column]]]
    at = np.einsum("pk,pkd->pd", raster.barycentric[row, column], corners)
    np.testing.assert_allclose(at[:, 0], column, atol=1e-2)
    np.testing.assert_allclose(at[:, 1], row, atol=1e-2)
    np.testing.assert_allclose(at[:, 2], raster.depth[row, column], atol=1e-2)


def test_a_pixel_on_a_corner_is_covered_and_the_neighbour_is_not():
    points = np.array([[2, 3, 0], [6, 3, 0], [2, 7, 0]], np.float32)
    covered = rasterise(points, np.array([[0, 1, 2]]), SIZE).covered
    assert covered[3, 2]
    assert covered[3, 6]
    assert not covered[3, 7]
    assert not covered[2, 2]
    assert covered.sum() == 15


def test_culling_leaves_out_triangles_seen_from_behind_and_nothing_else():
    points = np.array([[2, 3, 0], [6, 3, 0], [2, 7, 0]], np.float32)
    outside, inside = np.array([[0, 2, 1]]), np.array([[0, 1, 2]])
    assert not rasterise(points, inside, SIZE, cull_back_faces=True).covered.any()
    np.testing.assert_array_equal(
        rasterise(points, outside, SIZE, cull_back_faces=True).depth, rasterise(points, inside, SIZE).depth
    )


def test_triangles_without_area_and_points_at_infinity_draw_nothing():
    points = np.array([[1, 1, 0], [5, 5, 0], [9, 9, 0], [np.nan, 1, 0]], np.float32)
    assert not rasterise(points, np.array([[0, 1, 2], [0, 1, 3]]), SIZE).covered.any()


def test_what_lies_behind_or_outside_is_not_visible():
    points = np.array([[0, 0, 5], [22, 0, 5], [0, 16, 5]], np.float32)
    raster = rasterise(points, np.array([[0, 1, 2]]), SIZE)
    looked_at = np.array([[4, 4, 5], [4, 4, 20], [4, 4, -10], [22, 16, -50], [-3, 4, 9], [4, 40, 9]], float)
    assert visible_points(looked_at, raster).tolist() == [True, True, False, True, False, False]


@settings(max_examples=30, deadline=None)
@given(st.floats(-60, 60), st.floats(-40, 40), st.floats(-40, 40), st.floats(0.2, 5))
def test_points_are_projected_as_the_camera_does(yaw, pitch, roll, scale):
    rng = np.random.default_rng(0)
    vertices, translation = rng.normal(size=(20, 3)) * 50, rng.normal(size=2) * 100
    rotation = rotation_from_angles(yaw, pitch, roll)
    camera = ScaledOrthographicCamera(np.array([scale]), rotation[None], translation[None])
    points = camera_points(vertices, scale, rotation, translation)
    np.testing.assert_allclose(points[:, :2], camera.project(vertices)[0], atol=1e-2)
    np.testing.assert_allclose(np.linalg.det(rotation), 1)


@settings(max_examples=20, deadline=None)
@given(st.floats(1, 4), st.floats(-20, 200), st.floats(-20, 200))
def test_a_magnified_view_keeps_every_point_at_its_place(factor, x, y):
    pose = HeadPose(1.5, np.eye(3), np.array([x, y]))
    point = np.array([[3.0, -7.0, 2.0]])
    before = camera_points(point, pose.scale, pose.rotation, pose.translation)[0, :2]
    fine = pose.magnified(factor)
    after = camera_points(point, fine.scale, fine.rotation, fine.translation)[0, :2]
    # A pixel is a square around its centre; its share of the image's width stays.
    np.testing.assert_allclose((after + 0.5) / factor, before + 0.5, atol=1e-3)
