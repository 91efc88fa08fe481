"""Writing videos that every player opens, with the same bytes for the same images."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from models.errors import VideoError
from models.storage import written_whole


def write_video(path: Path | str, images: Iterable[np.ndarray], fps: float, crf: int = 18) -> int:
    """Encode images as H.264 in yuv420p and return how many there were.

    Parameters
    ----------
    path : where to; the suffix names the container (mp4, mov, mkv, avi)
    images : (H, W, 3) uint8 RGB, all of one size; an odd side loses its last row or column, as yuv420p needs
    fps : frames per second
    crf : constant rate factor, 0 (lossless) to 51; 18 is visually without loss

    Raises
    ------
    VideoError
        There is no image, or an image differs in size from the first.
    DiskFullError
        No space left; nothing half-written stays behind.
    """
    rate = Fraction(fps).limit_denominator(1001)
    count = 0
    with (
        written_whole(path) as temporary,
        av.open(str(temporary), "w", options={"fflags": "+bitexact"}) as container,
    ):
        stream = None
        for image in images:
            height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
            if stream is None:
                stream = _h264_stream(container, rate, width, height, crf)
            if (width, height) != (stream.width, stream.height):
                raise VideoError(
                    f"{path}: image {count} is {width}x{height}, those before {stream.width}x{stream.height}; "
                    "give images of one size."
                )
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
            picture.pts = count
            picture.time_base = 1 / rate
            container.mux(stream.encode(picture))
            count += 1
        if stream is None:
            raise VideoError(f"{path}: no images to write; a video needs at least one.")
        container.mux(stream.encode())
    return count


def _h264_stream(container, rate: Fraction, width: int, height: int, crf: int):
    # One encoder thread: with more, the bytes depend on how the threads were scheduled. With macroblock-tree rate
    # control they depend, one time in five, on what the memory held before.
    parameters = "threads=1:lookahead_threads=1:mbtree=0"
    options = {"crf": str(crf), "preset": "veryfast", "threads": "1", "x264-params": parameters}
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.thread_count = 1
    return stream
