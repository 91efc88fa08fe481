"""Small image files wherever a layout wants them."""

import cv2
import numpy as np
import pytest


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
