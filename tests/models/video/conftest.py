"""Videos made on the spot, each with one peculiarity."""

from fractions import Fraction

import av
import numpy as np
import pytest

MILLISECOND = Fraction(1, 1000)


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
    """Write images to a file, with control over what the library's own encoder never does."""

    def make(
        name="clip.mp4",
        images=None,
        *,
        codec="libx264",
        pixel_format="yuv420p",
        times=None,
        rotation=None,
        aspect=None,
        muxer=None,
    ):
        images = _moving_square(12) if images is None else images
        path = tmp_path / name
        with av.open(str(path), "w", options=muxer or {}) as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = images[0].shape[:2] if images else (64, 96)
            stream.pix_fmt = pixel_format
            if times is not None:
                stream.codec_context.time_base = MILLISECOND
            if rotation is not None:
                stream.set_display_rotation(rotation)
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            container.start_encoding()
            for index, image in enumerate(images):
                picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixel_format)
                if times is not None:
                    picture.time_base, picture.pts = MILLISECOND, round(times[index] / MILLISECOND)
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        return path

    return make
