"""A model to render with, and small image files wherever a layout wants them."""

import cv2
import numpy as np
import pytest

from models.morphable_model import MorphableModel
from models.morphable_model.embedded import EmbeddedModelSettings, build_embedded_model


@pytest.fixture(scope="session")
def renderable_model() -> MorphableModel:
    """A small embedded model, built once: rendering needs its face units and skin masks."""
    return build_embedded_model(EmbeddedModelSettings(heads=200, sequences=20, sequence_frames=90))


@pytest.fixture
def put():
    """Write a small image, different from all others of a test, and its folders; returns the path."""
    shade = iter(range(256 * 256))

    def write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        number = next(shade)
        image = np.full((8, 8, 3), (number % 256, number // 256, 0), np.uint8)
        # Suffixes that OpenCV knows only in lower case.
        assert cv2.imencode(".png", image)[1].tofile(path) is None
        return path

    return write
