"""Video files with one peculiarity each, such as the library's own encoder never writes."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MILLISECOND = Fraction(1, 1000)


def encode(
    path: Path,
    images: list[np.ndarray],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: np.ndarray | None = None,
    rotation: int | None = None,
    aspect: Fraction | None = None,
    muxer: dict[str, str] | None = None,
) -> Path:
    """Write images to a file: with timestamps in seconds, a display rotation, oblong pixels, options of the muxer."""
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


def cut_off(path: Path, share: float) -> Path:
    """Leave only the first part of a file, as an interrupted copy does."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
