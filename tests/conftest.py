"""Fixtures shared by all tests."""

import numpy as np
import pytest

from models.morphable_model import MorphableModel


@pytest.fixture(scope="session")
def small_model() -> MorphableModel:
    """A morphable model of the paper's dimensions with random smooth bases: quick to make, no download."""
    rng = np.random.default_rng(0)
    columns, rows = 24, 24
    u, v = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    z = 60 * np.sqrt(np.clip(1.2 - 0.8 * u**2 - 0.4 * v**2, 0.01, None))
    mean = np.stack([70 * u, 95 * v, z], -1).reshape(-1, 3)
    n = len(mean)
    cells = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    triangles = np.concatenate(
        [
            np.stack([cells, cells + 1, cells + columns], 1),
            np.stack([cells + 1, cells + columns + 1, cells + columns], 1),
        ]
    )
    frequency = rng.normal(size=(185, 2)) * 2.5
    phase = rng.uniform(0, 6, 185)
    waves = np.sin(mean[:, :2] / 60 @ frequency.T + phase)
    basis = (waves[:, None, :] * rng.normal(size=(1, 3, 185)) + 0.1 * rng.normal(size=(n, 3, 185))).reshape(3 * n, 185)
    basis = np.linalg.qr(basis)[0]
    expression_std = np.linspace(40, 8, 28)
    chosen = rng.permutation(n)[:68]
    # Outer eye corners a plausible distance apart, so that errors over the inter-ocular distance mean something.
    chosen[36] = np.argmin(np.linalg.norm(mean[:, :2] - [-45, 30], axis=1))
    chosen[45] = np.argmin(np.linalg.norm(mean[:, :2] - [45, 30], axis=1))
    return MorphableModel(
        mean=mean,
        identity_basis=basis[:, :157],
        identity_std=np.geomspace(80, 2, 157),
        expression_basis=basis[:, 157:],
        expression_std=expression_std,
        triangles=triangles.astype(np.int32),
        uv=(np.stack([u, v], -1).reshape(-1, 2) + 1) / 2,
        uv_triangles=triangles.astype(np.int32),
        material=np.zeros(len(triangles), np.uint8),
        landmark_vertices=np.repeat(chosen[:, None], 3, 1).astype(np.int32),
        landmark_weights=np.tile([1.0, 0.0, 0.0], (68, 1)),
        expression_mean=np.zeros(28),
        expression_covariance=np.diag(expression_std**2),
        expression_acceleration_covariance=np.diag(expression_std**2) * 0.01,
        name="small",
        licence="CC0-1.0",
    )
