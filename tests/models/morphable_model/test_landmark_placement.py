"""Points on a surface."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.morphable_model.landmark_placement import closest_point_on_surface, mirrored_vertices

COORDINATE = st.floats(-2, 2, allow_nan=False, width=32)


def surface() -> tuple[np.ndarray, np.ndarray]:
    vertices = np.random.default_rng(0).normal(size=(12, 3))
    triangles = np.random.default_rng(1).permuted(np.tile(np.arange(12), (9, 1)), axis=1)[:, :3]
    return vertices, triangles


@settings(max_examples=60, deadline=None)
@given(st.tuples(COORDINATE, COORDINATE, COORDINATE))
def test_no_other_point_of_the_surface_is_closer(point):
    vertices, triangles = surface()
    corners, weights = closest_point_on_surface(np.array(point), vertices, triangles)
    distance = np.linalg.norm(weights @ vertices[corners] - point)
    samples = np.random.default_rng(2).dirichlet([0.5] * 3, 400)
    others = np.linalg.norm(np.einsum("sk,tkd->tsd", samples, vertices[triangles]) - point, axis=-1)
    assert distance <= others.min() + 1e-9
    assert np.isclose(weights.sum(), 1)
    assert weights.min() >= -1e-12


def test_a_point_of_the_surface_is_its_own_closest():
    vertices, triangles = surface()
    point = np.array([0.2, 0.5, 0.3]) @ vertices[triangles[4]]
    corners, weights = closest_point_on_surface(point, vertices, triangles)
    np.testing.assert_allclose(weights @ vertices[corners], point, atol=1e-9)


def test_mirroring_twice_comes_back():
    half = np.abs(np.random.default_rng(0).normal(size=(10, 3))) + [0.1, 0, 0]
    mirror = mirrored_vertices(np.concatenate([half, half * [-1, 1, 1]]))
    np.testing.assert_array_equal(mirror[mirror], np.arange(20))
    np.testing.assert_array_equal(mirror[:10], np.arange(10, 20))
