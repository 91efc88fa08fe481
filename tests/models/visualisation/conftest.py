"""A short fit with its video, both made up: a grey head on a coloured ground."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from models.fitting.reconstruction import Reconstruction
from models.morphable_model import MorphableModel
from models.rendering.head import rotation_from_angles
from models.rendering.mesh import draw_mesh
from tests.odd_videos import encode

FRAMES, WIDTH, HEIGHT = 40, 160, 120
GROUND = (40, 90, 160)


@dataclass(frozen=True)
class Filmed:
    """A fit that is true of its video: the head moves to the right, and opens its mouth in the middle."""

    video: Path
    fit: Reconstruction
    landmarks: np.ndarray
    timestamps: np.ndarray
    model: MorphableModel


@pytest.fixture(scope="session")
def filmed_fit(small_model, tmp_path_factory) -> Filmed:
    scale = np.full(FRAMES, 0.4)
    rotation = np.stack([rotation_from_angles(yaw, 0, 0) for yaw in np.linspace(-10, 10, FRAMES)])
    translation = np.stack([np.linspace(50, 110, FRAMES), np.full(FRAMES, 60.0)], 1)
    expression = np.zeros((FRAMES, small_model.expression_size))
    expression[:, 0] = 2 * small_model.expression_std[0] * np.exp(-(((np.arange(FRAMES) - 20) / 4) ** 2))
    residual = np.full(FRAMES, 0.01)
    residual[33] = 0.05
    identity = np.zeros(small_model.identity_size)
    fit = Reconstruction(identity, expression, rotation, scale, translation, residual, converged=True)
    ground = np.full((HEIGHT, WIDTH, 3), GROUND, np.uint8)
    images = [
        draw_mesh(
            ground, small_model.shape(identity, expression[f]), small_model, scale[f], rotation[f], translation[f]
        )
        for f in range(FRAMES)
    ]
    video = encode(tmp_path_factory.mktemp("filmed") / "head.mp4", images)
    return Filmed(video, fit, fit.landmarks(small_model), np.arange(FRAMES) / 25, small_model)
