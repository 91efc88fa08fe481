"""What can be predicted on: images, folders of them, videos and webcams, as frames one after another."""

import signal
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.errors import ImageError, VideoError
from models.expression.images import IMAGE_SUFFIXES, read_photograph

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")


@dataclass(frozen=True)
class SourceFrame:
    """One picture of a file or camera.

    Attributes
    ----------
    path : as it was named
    index : 0 for an image, the frame's number for a video
    time : seconds, 0 for an image
    image : (H, W, 3) uint8 RGB; (0, 0, 3) once nobody needs it any more
    size : height and width of `image`, also when it is gone
    scale : (2,) pixels of `image` per pixel of the file, along x and y
    remark : what a reader should know of the file; mostly empty
    """

    path: str
    index: int
    time: float
    image: np.ndarray
    size: tuple[int, int]
    scale: np.ndarray
    remark: str = ""

    def without_pixels(self) -> "SourceFrame":
        """The same but for the image, which takes nearly all the memory."""
        return replace(self, image=self.image[:0, :0].copy())


@dataclass(frozen=True)
class SourceFailure:
    """A file that cannot be used, and why."""

    path: str
    error: ImageError | VideoError


def files_of(path: Path | str) -> list[str]:
    """The files that a path stands for: images and videos of a folder and its folders, sorted, or itself."""
    path = str(path)
    if not Path(path).is_dir():
        return [path]
    wanted = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    return sorted(str(file) for file in Path(path).rglob("*") if file.suffix.lower() in wanted and file.is_file())


def is_image(path: str) -> bool:
    """Whether a file is taken for an image, by its name."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def is_webcam(path: str) -> bool:
    """Whether a path is a camera's number."""
    return path.isdigit()


def is_live(paths: Sequence[str]) -> bool:
    """Whether each picture is waited for: a camera, or one image alone."""
    return all(is_webcam(path) for path in paths) or (
        len(paths) == 1 and Path(paths[0]).is_file() and is_image(paths[0])
    )


def image_frame(path: str, max_side: int) -> SourceFrame | SourceFailure:
    """The one frame of an image, at most `max_side` pixels long, or why there is none: other images may follow."""
    try:
        photograph = read_photograph(path, max_side)
    except ImageError as error:
        return SourceFailure(path, error)
    return SourceFrame(path, 0, 0.0, photograph.image, photograph.image.shape[:2], photograph.scale, photograph.remark)


def video_frames(path: str, max_side: int) -> Generator[SourceFrame, None, None]:
    """The frames of a video, at most `max_side` pixels long.

    Raises
    ------
    VideoError
        The video cannot be read.
    """
    from models.video.decoding import read_frames

    for frame in read_frames(path, max_side=max_side):
        yield SourceFrame(path, frame.index, frame.time, frame.image, frame.image.shape[:2], frame.scale)


def webcam_frames(path: str) -> Generator[SourceFrame, None, None]:
    """Frames of a camera, the newest each time, until it is unplugged, the caller stops, or Ctrl-C is pressed.

    Raises
    ------
    VideoError
        There is no such camera.
    """
    import cv2

    camera = cv2.VideoCapture(int(path))
    stopped = threading.Event()
    # Ctrl-C ends the camera and not the program, which still has rows and a video to finish.
    may_listen = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set()) if may_listen else None
    try:
        if not camera.isOpened():
            raise VideoError(f"webcam {path}: cannot be opened; check that it is plugged in and not in use.")
        # Frames that wait in the driver would be shown late.
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        started, index = time.monotonic(), 0
        while not stopped.is_set():
            there, image = camera.read()
            if not there:
                return
            seconds = time.monotonic() - started
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            yield SourceFrame(path, index, seconds, image, image.shape[:2], np.ones(2))
            index += 1
    finally:
        camera.release()
        if may_listen:
            signal.signal(signal.SIGINT, before)
