"""Faces with known truth for the fitting tests."""

from dataclasses import replace

import numpy as np
import pytest

from models.fitting.simulation import SimulationSettings, simulate_video


@pytest.fixture(scope="session")
def face_model(small_model):
    """The small model with expressions that linger, and face units, so that rest can be told from movement."""
    rng = np.random.default_rng(1)
    units = np.abs(rng.normal(size=(28, 28))) * (rng.random((28, 28)) < 0.1) + np.eye(28)
    return replace(
        small_model,
        identity_std=np.geomspace(80, 0.5, 157),
        expression_acceleration_covariance=small_model.expression_covariance * 1e-3,
        extras={
            "units": units * small_model.expression_std,
            "unit_names": np.array([f"unit{k // 2}{'Right' if k % 2 else 'Left'}" for k in range(28)]),
        },
    )


@pytest.fixture(scope="session")
def video(face_model):
    """150 frames at 1 % noise."""
    return simulate_video(face_model, SimulationSettings(frames=150, expression="bumps"), seed=3)
