"""Videos made on the spot, each with one peculiarity."""

import numpy as np
import pytest

from tests.odd_videos import encode


def _moving_square(count: int, width: int = 96, height: int = 64) -> list[np.ndarray]:
    """Dark noise with a red square in the top left corner that brightens from frame to frame."""
    rng = np.random.default_rng(0)
    images = []
    for index in range(count):
        image = rng.integers(0, 60, (height, width, 3)).astype(np.uint8)
        image[: height // 4, : width // 4] = [120 + 100 * index // max(count, 2), 0, 0]
        images.append(image)
    return images


@pytest.fixture
def moving_square():
    """Function that gives a number of images (64, 96, 3) of a red square on noise."""
    return _moving_square


@pytest.fixture
def make_video(tmp_path):
    """Function that writes images, by default a moving square, to a file; its options are those of `encode`."""

    def make(name="clip.mp4", images=None, **options):
        return encode(tmp_path / name, _moving_square(12) if images is None else images, **options)

    return make
