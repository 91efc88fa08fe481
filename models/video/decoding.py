"""Reading videos frame by frame, upright, in RGB, with their true timestamps.

Frames are numbered from 0 in display order. Coordinates are those of the video *as displayed*: rotated as its display
matrix says, pixels made square. Frames may be handed out smaller than that; `Frame.to_video` takes points back.
"""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from models.errors import VideoError

log = logging.getLogger(__name__)

# A frame interval this far from the median (as a share of it) makes a frame rate variable; less is rounding of the
# container's clock.
INTERVAL_TOLERANCE = 0.1
# A header that promises this many seconds more than the packets hold belongs to a file that was cut off.
MISSING_SECONDS = 1.0


@dataclass(frozen=True)
class VideoInfo:
    """What a video holds.

    Attributes
    ----------
    fps : frames per second, the mean over the true timestamps
    frames : how many there are; in a file seen to be damaged, those that can be decoded
    width, height : pixels as displayed (after rotation, square pixels)
    codec, pixel_format : FFmpeg's names
    duration : seconds from the first frame to the end of the last one
    rotation : degrees counter-clockwise by which stored frames are turned for display, a multiple of 90
    variable_frame_rate : whether the intervals between frames differ by more than rounding
    damage : what is wrong with a file of which only a part can be used; empty for a sound one
    """

    fps: float
    frames: int
    width: int
    height: int
    codec: str
    pixel_format: str
    duration: float
    rotation: int
    variable_frame_rate: bool
    damage: str = ""


@dataclass(frozen=True)
class Frame:
    """One decoded frame.

    Attributes
    ----------
    index : position in display order, from 0
    time : seconds, strictly increasing
    image : (h, w, 3) uint8 RGB
    scale : (2,) pixels of `image` per pixel of the video as displayed, along x and y
    """

    index: int
    time: float
    image: np.ndarray
    scale: np.ndarray

    def to_video(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of `image` in pixels of the video as displayed; pixel centres are at integers in both."""
        return (np.asarray(points) + 0.5) / self.scale - 0.5

    def from_video(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the video as displayed in pixels of `image`."""
        return (np.asarray(points) + 0.5) * self.scale - 0.5


def probe(path: Path | str) -> VideoInfo:
    """Describe a video from its packets and first frame; only a damaged file is decoded to its end.

    Raises
    ------
    VideoError
        The file is missing, unreadable, empty, not a video, has no index, or holds no frame that can be decoded.
    """
    path = Path(path)
    with _opened(path) as container:
        stream = container.streams.video[0]
        promised_frames = stream.frames
        promised_seconds = (container.duration or 0) / av.time_base
        times, hidden, problems = _packet_times(container, stream)
        time_base = float(stream.time_base)
        guessed_rate = float(stream.average_rate or stream.guessed_rate or 25)
        codec = stream.codec_context.name
        aspect = _pixel_aspect(stream)
    first = _first_frame(path)
    turns, _ = _orientation(first)
    width, height = _square_size(first, aspect)
    if turns % 2:
        width, height = height, width

    missing_frames = promised_frames - hidden - len(times)
    missing_seconds = promised_seconds - (np.ptp(times) if len(times) else 0)
    if missing_frames > 0:
        problems.append(f"cut off: {len(times)} of {promised_frames - hidden} frames are there")
    elif not promised_frames and missing_seconds > max(MISSING_SECONDS, 2 / guessed_rate):
        problems.append(f"cut off: {missing_seconds:.1f} s of {promised_seconds:.1f} s are missing")
    frames = len(times)
    if problems or frames == 0:
        decoded = np.array([frame.time for frame in read_frames(path, max_side=64)])
        frames, times = len(decoded), decoded

    intervals = np.diff(np.sort(times))
    interval = float(np.mean(intervals)) if len(intervals) else 1 / guessed_rate
    tolerance = max(2 * time_base, INTERVAL_TOLERANCE * float(np.median(intervals))) if len(intervals) else 0.0
    return VideoInfo(
        fps=1 / interval if interval > 0 else guessed_rate,
        frames=frames,
        width=width,
        height=height,
        codec=codec,
        pixel_format=first.format.name,
        duration=frames * interval,
        rotation=turns * 90,
        variable_frame_rate=bool(len(intervals) and np.ptp(intervals) > tolerance),
        damage="; ".join(problems),
    )


def read_frames(path: Path | str, *, max_side: int, start: int = 0, limit: int | None = None) -> Iterator[Frame]:
    """Yield frames `start`, `start + 1`, ... (at most `limit` of them) in display order.

    Frames that the decoder cannot make whole are left out with a warning and the rest is read on; `probe` says that
    such a file is damaged. Frames whose longer side exceeds `max_side` pixels come scaled down to it.

    Raises
    ------
    VideoError
        As `probe`; also where not a single frame can be decoded.
    """
    path = Path(path)
    index, last_time = -1, -np.inf
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        interval = 1 / float(stream.average_rate or stream.guessed_rate or 25)
        aspect = _pixel_aspect(stream)
        for picture in _decoded(path, container, stream):
            index += 1
            # Timestamps that are missing or run backwards occur in damaged and badly cut files.
            time = picture.time if picture.time is not None and picture.time > last_time else None
            last_time = time if time is not None else max(last_time, -interval) + interval
            if index < start:
                continue
            if limit is not None and index >= start + limit:
                break
            image, scale = _upright_rgb(picture, aspect, max_side)
            yield Frame(index, float(last_time), image, scale)
    if index < 0:
        raise VideoError(f"{path}: holds no frame that can be decoded; record or export it again.")


def read_frames_at(path: Path | str, times: np.ndarray, *, max_side: int) -> Iterator[Frame]:
    """Yield the frames of a video that are shown from `times` on (seconds, in any order), in display order.

    What lies between is skipped from key frame to key frame, and only decoded where there is none. `times` are those
    that `read_frames` gives; a frame that is not there is left out.

    Raises
    ------
    VideoError
        As `probe`.
    """
    path = Path(path)
    wanted = np.unique(np.asarray(times, float))
    with _opened(path) as container:
        stream = container.streams.video[0]
        shown, keys = _clock(container, stream)
    intervals = np.diff(shown)
    tolerance = 0.25 * float(intervals[intervals > 0].min(initial=1.0))
    if not len(keys) or any(np.abs(shown - time).min() > tolerance for time in wanted):
        # A clock that had to be mended while reading: the frames have to be counted from the first on.
        frames = read_frames(path, max_side=max_side)
        yield from (frame for frame in frames if np.abs(wanted - frame.time).min(initial=np.inf) < 1e-6)
        return
    before = np.searchsorted(keys, wanted + tolerance, side="right").clip(1) - 1
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        aspect = _pixel_aspect(stream)
        for key in np.unique(before):
            group = wanted[before == key]
            container.seek(round(keys[key] / stream.time_base), stream=stream)
            for picture in _decoded(path, container, stream):
                if picture.time is not None and np.abs(group - picture.time).min() <= tolerance:
                    image, scale = _upright_rgb(picture, aspect, max_side)
                    yield Frame(int(np.abs(shown - picture.time).argmin()), float(picture.time), image, scale)
                if picture.time is not None and picture.time > group[-1] - tolerance:
                    break


def frame_times(path: Path | str) -> np.ndarray:
    """Timestamps (F,) of all frames, seconds, increasing, from the packets alone.

    Raises
    ------
    VideoError
        As `probe`.
    """
    with _opened(Path(path)) as container:
        return np.sort(_packet_times(container, container.streams.video[0])[0])


def _opened(path: Path) -> av.container.InputContainer:
    """Open a file that has a video stream, or say why that cannot be done."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError:
        raise VideoError(f"{path}: there is no such file; check the path.") from None
    except IsADirectoryError:
        raise VideoError(f"{path}: is a folder, not a video; name a file in it.") from None
    except PermissionError:
        raise VideoError(f"{path}: may not be read; grant read permission (chmod u+r) and run again.") from None
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror}); check the disk, or copy it again.") from error
    if not head:
        raise VideoError(f"{path}: is empty (0 bytes); copy or export it again.")
    try:
        # An absolute path is never taken for a protocol, and a playlist in disguise may not reach the network.
        container = av.open(str(path.absolute()), options={"protocol_whitelist": "file"}, metadata_errors="ignore")
    except (av.error.FFmpegError, ValueError) as error:
        if head[4:8] in (b"ftyp", b"mdat", b"wide"):
            raise VideoError(
                f"{path}: is cut off before its index (the moov atom is missing), so no frame can be found; "
                "copy it again, or repair it with a tool such as untrunc."
            ) from error
        raise VideoError(f"{path}: is not a video ({_cause(error)}); remove it or convert it to mp4.") from error
    if not container.streams.video:
        container.close()
        raise VideoError(f"{path}: has no video stream (it is empty, or sound only); remove it.")
    if container.streams.video[0].codec_context is None:
        container.close()
        raise VideoError(f"{path}: its video codec is unknown here; convert it to H.264.")
    return container


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _packet_times(container, stream) -> tuple[np.ndarray, int, list[str]]:
    """Display times (F,) in seconds of the packets that carry a frame, how many others an edit list hides, and what
    went wrong while reading them."""
    times, hidden, problems = [], 0, []
    base = float(stream.time_base)
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.is_discard:
                hidden += 1
                continue
            if packet.is_corrupt:
                problems = ["some packets are corrupt"]
                continue
            stamp = packet.pts if packet.pts is not None else packet.dts
            times.append(stamp * base if stamp is not None else np.nan)
    except av.error.FFmpegError as error:
        problems.append(f"cannot be read to its end ({_cause(error)})")
    times = np.array(times, float)
    if np.isnan(times).any():
        # A raw stream without a clock: the nominal rate is all there is.
        times = np.arange(len(times)) / float(stream.average_rate or stream.guessed_rate or 25)
    return times, hidden, problems


def _clock(container, stream) -> tuple[np.ndarray, np.ndarray]:
    """Display times of all frames and of the key frames, seconds, ascending; empty where the file has no clock."""
    shown, keys = [], []
    base = float(stream.time_base)
    with contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            if packet.size == 0 or packet.is_discard or packet.is_corrupt or packet.pts is None:
                continue
            shown.append(packet.pts * base)
            if packet.is_keyframe:
                keys.append(packet.pts * base)
    return np.sort(shown), np.sort(keys)


def _first_frame(path: Path) -> av.VideoFrame:
    with _opened(path) as container:
        for picture in _decoded(path, container, container.streams.video[0]):
            return picture
    raise VideoError(f"{path}: holds no frame that can be decoded; record or export it again.")


def _decoded(path: Path, container, stream) -> Iterator[av.VideoFrame]:
    """Decode packet by packet, so that a broken one costs its own frames and no others."""
    packets = container.demux(stream)
    broken = 0
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.error.FFmpegError as error:
            log.warning("%s: cannot be read to its end (%s); the frames before are used", path, _cause(error))
            break
        try:
            pictures = packet.decode()
        except av.error.FFmpegError:
            broken += 1
            continue
        for picture in pictures:
            if picture.is_corrupt:
                broken += 1
            else:
                yield picture
    if broken:
        log.warning("%s: %d broken frames left out", path, broken)


def _orientation(picture: av.VideoFrame) -> tuple[int, bool]:
    """Quarter turns counter-clockwise (-1 to 2) that bring a stored frame upright, after mirroring it or not."""
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    # The display matrix maps the stored axes x, y to its first two rows (x right, y down).
    x_axis, y_axis = np.sign(np.frombuffer(matrix, np.int32).reshape(3, 3)[:2, :2])
    mirrored = bool(x_axis[0] * y_axis[1] - x_axis[1] * y_axis[0] < 0)
    if mirrored:
        x_axis = -x_axis
    turns = {(1, 0): 0, (0, -1): 1, (-1, 0): 2, (0, 1): -1}.get((int(x_axis[0]), int(x_axis[1])), 0)
    return turns, mirrored


def _pixel_aspect(stream) -> float:
    """Width over height of a stored pixel."""
    return float(stream.sample_aspect_ratio or 1)


def _square_size(picture: av.VideoFrame, aspect: float) -> tuple[int, int]:
    """Width and height of a stored frame once its pixels are square, before it is turned."""
    return max(1, round(picture.width * aspect)), picture.height


def _upright_rgb(picture: av.VideoFrame, aspect: float, max_side: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB uint8 image of a frame, upright and at most `max_side` long, and its scale (2,) relative to the display."""
    width, height = _square_size(picture, aspect)
    shrink = min(1.0, max_side / max(width, height))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    rgb = picture.reformat(*size, format="rgb24", interpolation="AREA" if shrink < 1 else "BILINEAR")
    turns, mirrored = _orientation(picture)
    image = rgb.to_ndarray()
    if mirrored:
        image = image[:, ::-1]
    scale = np.array([size[0] / width, size[1] / height])
    return np.ascontiguousarray(np.rot90(image, turns)), scale[::-1].copy() if turns % 2 else scale
