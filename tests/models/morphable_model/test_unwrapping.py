"""Texture coordinates for meshes without."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.morphable_model.loaders.unwrapping import spherical_unwrap

LANDMARKS = np.stack([np.linspace(-65, 65, 68), np.linspace(-60, 60, 68), np.full(68, 20.0)], 1)
MIDDLE = np.array([0, 0, 20 - 0.6 * 130])


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), radius=st.floats(1, 300))
def test_the_angle_from_straight_ahead_is_the_distance_from_the_middle(seed, radius):
    direction = np.random.default_rng(seed).normal(size=(50, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    uv = spherical_unwrap(MIDDLE + radius * direction, LANDMARKS)
    away = np.arccos(direction[:, 2].clip(-1, 1))
    np.testing.assert_allclose(np.linalg.norm(uv - 0.5, axis=1), away / (2 * np.pi), atol=1e-6)
    outward = (uv - 0.5) * np.linalg.norm(direction[:, :2], axis=1, keepdims=True)
    wanted = direction[:, :2] * np.linalg.norm(uv - 0.5, axis=1, keepdims=True)
    np.testing.assert_allclose(outward, wanted, atol=1e-9)


def test_left_is_right_on_the_texture_and_up_is_up():
    left, up, ahead, behind = spherical_unwrap(
        MIDDLE + np.array([[80.0, 0, 0], [0, 80, 0], [0, 0, 80], [0, 0, -80]]), LANDMARKS
    )
    np.testing.assert_allclose(left, [0.75, 0.5])
    np.testing.assert_allclose(up, [0.5, 0.75])
    np.testing.assert_allclose(ahead, [0.5, 0.5])
    assert 0 <= behind.min() <= behind.max() <= 1
