"""From paths to rows: every face of every image and video, with its expression, pose and emotion.

A video goes through three threads and as many more as the network has streams: one decodes, one finds and follows
landmarks, the others align faces and ask the network, some frames at a time; order is kept throughout.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from models.emotion.labels import EMOTIONS
from models.errors import ImageError, NoFaceError, VideoError
from models.expression.calibration import rest_expression
from models.expression.concurrency import Raised, close, in_background, mapped, until_error
from models.expression.contract import expression_names
from models.expression.predictor import Crops, Measurement, Prediction, Predictor
from models.expression.sources import (
    SourceFailure,
    SourceFrame,
    files_of,
    image_frame,
    is_image,
    is_webcam,
    video_frames,
    webcam_frames,
)
from models.expression.temporal_filter import OneEuroFilter, OneEuroSettings
from models.expression.tracks import FaceTracks
from models.landmarks.backend import Face

log = logging.getLogger(__name__)

# Largest side of a video frame that is looked at: beyond it, a detector finds no more faces, only more slowly.
VIDEO_SIDE = 1280
# The same of an image: a face of 48 pixels in a picture of 100 million is a matter of minutes.
IMAGE_SIDE = 4096
# Frames that are decoded, and of which landmarks are known, before the network gets to them.
FRAMES_AHEAD = 8
# Images that are decoded at the same time.
DECODERS = 2
# Points that must lie outside for a face to count as cut by the border: detectors put one or two of the jaw there.
POINTS_OUTSIDE = 4

OK, NO_FACE, CUT = "ok", "no face", "cut by the border"


@dataclass(frozen=True)
class PredictionSettings:
    """How files are gone through.

    Attributes
    ----------
    batch : frames whose faces go through the network together
    max_side : of a video frame, pixels; larger ones are shrunk (boxes are in pixels of the original)
    smoothing : filter the expressions of each face of a video over time, or None
    neutral : (n_e,) expression of the person's neutral face, standard deviations, that is subtracted, or None
    calibrate_rest : subtract from each face of a video the expression that it returns to; each video is then read to
        its end before its first row comes
    """

    batch: int = 8
    max_side: int = VIDEO_SIDE
    smoothing: OneEuroSettings | None = None
    neutral: np.ndarray | None = None
    calibrate_rest: bool = False


@dataclass(frozen=True)
class SeenFrame:
    """A frame and the faces found in it, by number; `crops` once they are cut."""

    source: SourceFrame
    faces: dict[int, Face]
    crops: Crops | None = None


@dataclass(frozen=True)
class _MeasuredFrame:
    """A frame and what the network says of its faces, by number."""

    source: SourceFrame
    faces: dict[int, Measurement]


@dataclass(frozen=True)
class PredictedFrame:
    """A frame and what was read in it. `faces`: number of each face -> `Prediction`."""

    source: SourceFrame
    faces: dict[int, Prediction]


# Of a file or frame, or why there is none: a bad file goes through all stages at its place among the others.
_Seen = SeenFrame | SourceFailure
_Measured = _MeasuredFrame | SourceFailure


def neutral_expression(predictor: Predictor, path: Path | str) -> np.ndarray:
    """The expression (n_e,), in standard deviations, of the largest face in a photograph of a neutral face.

    Raises
    ------
    ImageError
        The photograph cannot be read.
    NoFaceError
        There is no face in it.
    """
    frame = image_frame(str(path), IMAGE_SIDE)
    if isinstance(frame, SourceFailure):
        raise frame.error
    faces = predictor(frame.image)
    if not faces:
        raise NoFaceError(f"{path}: no face is found in the neutral photograph; take one from the front, well lit.")
    return faces[0].expression_whitened


def predict_paths(
    paths: Iterable[Path | str],
    predictor: Predictor,
    *,
    settings: PredictionSettings | None = None,
    overlay: Path | str | None = None,
    progress: Callable[[Iterable, str, int | None], Iterable] | None = None,
) -> Iterator[dict]:
    """Rows for images, folders of them, videos, and webcams (named by their number).

    A row has path, frame, time_s, face (a number that lasts through a video), box (x0, y0, x1, y1), emotion, p_neutral
    ... p_surprised, e_00 ... (mm), yaw, pitch, roll (degrees) and status; without a classifier there are no p columns.
    The status is "ok", or says what a reader should know: "cut by the border", "first of 12 frames", "no face" (one
    row for a frame without any: face, box and emotion are None, the numbers NaN) or "error: ..." (one row for a file
    that cannot be used; it does not stop the others).

    Parameters
    ----------
    paths : what to read
    predictor : what to read it with
    settings : how; by default `PredictionSettings()`
    overlay : where to draw the results: a picture for one image, an mp4 for one video
    progress : wraps what is gone through, given it, its name and its length, if known; may show a bar

    Raises
    ------
    ImageError, VideoError
        None of the files can be used, an overlay is asked of several, or a webcam is to be calibrated at its end.
    """
    settings = settings or PredictionSettings()
    files = [file for path in paths for file in files_of(path)]
    if not files:
        raise ImageError("there is neither an image nor a video here; name one, or a folder that holds one.")
    if overlay is not None and len(files) != 1:
        raise ImageError(f"{overlay}: an overlay shows one image or one video, {len(files)} were given.")
    if settings.calibrate_rest and (cameras := [file for file in files if is_webcam(file)]):
        raise VideoError(f"webcam {cameras[0]}: has no end to find the rest by; give a neutral photograph instead.")
    show = progress or (lambda items, name, total: items)
    failures = 0
    outcomes = _predicted_files(files, predictor, settings, overlay, show)
    with closing(outcomes), _opencv_in_one_thread():
        for outcome in outcomes:
            if isinstance(outcome, PredictedFrame):
                yield from rows_of(outcome, predictor)
                continue
            failures += 1
            if failures == len(files):
                raise outcome.error
            log.warning("%s", outcome.error)
            yield _row_of_failure(outcome, predictor)


@contextmanager
def _opencv_in_one_thread() -> Iterator[None]:
    """The stages run side by side already: OpenCV's own threads would only take processors from them."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _predicted_files(
    files: Sequence[str], predictor: Predictor, settings: PredictionSettings, overlay: Path | str | None, show: Callable
) -> Generator[PredictedFrame | SourceFailure, None, None]:
    for images, group in groupby(files, is_image):
        if images:
            group = list(group)
            frames = _of_images(group, predictor, settings, keep_pixels=overlay is not None)
            yield from _drawn(show(frames, "images", len(group)), overlay, still=True)
            continue
        for file in group:
            try:
                frames = _of_video(file, predictor, settings, keep_pixels=overlay is not None)
                yield from _drawn(show(frames, Path(file).name, None), overlay, still=False)
            except VideoError as error:
                yield SourceFailure(file, error)


def _of_images(
    files: Sequence[str], predictor: Predictor, settings: PredictionSettings, keep_pixels: bool
) -> Generator[PredictedFrame | SourceFailure, None, None]:
    """What is read in images: decoding, landmarks and network side by side where there are several."""

    def seen(pictures: Iterable[SourceFrame | SourceFailure]) -> Generator[_Seen, None, None]:
        with closing(pictures):
            for picture in pictures:
                if isinstance(picture, SourceFailure):
                    yield picture
                    continue
                yield look_at(picture, predictor, keep_pixels=keep_pixels)

    several = len(files) > 1
    decode = partial(image_frame, max_side=IMAGE_SIDE)
    found = seen(mapped(decode, files, DECODERS if several else 0))
    if several:
        found = in_background(found, settings.batch)
    for batch in _measured(found, predictor, settings.batch if several else 1, direct=not several):
        for outcome in batch:
            # Each image may be of somebody else: a filter or a rest of its own makes no sense.
            single = replace(settings, smoothing=None)
            yield from (
                _interpreted([outcome], predictor, _Correction(single))
                if isinstance(outcome, _MeasuredFrame)
                else [outcome]
            )


def look_at(picture: SourceFrame, predictor: Predictor, *, keep_pixels: bool = False) -> SeenFrame:
    """The faces of a photograph, found and cut out for the network.

    The photograph itself is let go unless it is kept: a few of them are larger than all the rest together.
    """
    faces = predictor.backend.detect(picture.image)
    crops = predictor.crops(picture.image, faces)
    return SeenFrame(picture if keep_pixels else picture.without_pixels(), dict(enumerate(faces)), crops)


def predict_seen(pictures: Sequence[SeenFrame], predictor: Predictor) -> list[PredictedFrame]:
    """What is read in photographs that `look_at` has seen; their faces go through the network together."""
    measured = _measure_batch(predictor, pictures)
    return list(_interpreted(measured, predictor, _Correction(PredictionSettings())))


def predict_frames(
    frames: Generator[SourceFrame, None, None],
    predictor: Predictor,
    settings: PredictionSettings | None = None,
    *,
    live: bool = False,
) -> Generator[PredictedFrame, None, None]:
    """What is read in the frames of one video, in their order, while later ones are decoded and followed.

    Parameters
    ----------
    frames : as `video_frames` gives them, or from anywhere else
    predictor : what to read them with
    settings : how; by default `PredictionSettings()`
    live : each frame is read before the next is asked for: a camera's are worth nothing when they come late
    """
    settings = settings or PredictionSettings()
    if live:
        batches = _measured(_followed(frames, predictor), predictor, 1, direct=True)
    else:
        found = in_background(_followed(in_background(frames, FRAMES_AHEAD), predictor), FRAMES_AHEAD)
        batches = _measured(found, predictor, settings.batch)
    correction = _Correction(settings)
    with closing(batches):
        if not settings.calibrate_rest:
            for batch in batches:
                yield from _interpreted(batch, predictor, correction)
            return
        measured = [_without_pixels(frame) for batch in batches for frame in batch]
    correction.calibrate(measured)
    yield from _interpreted(measured, predictor, correction)


def _of_video(
    file: str, predictor: Predictor, settings: PredictionSettings, keep_pixels: bool
) -> Generator[PredictedFrame, None, None]:
    if is_webcam(file):
        yield from predict_frames(webcam_frames(file), predictor, settings, live=True)
        return
    predicted = predict_frames(video_frames(file, settings.max_side), predictor, settings)
    if not (keep_pixels and settings.calibrate_rest):
        yield from predicted
        return
    # The rest was known only when all pictures had gone by: they are decoded once more to be drawn on.
    with closing(video_frames(file, settings.max_side)) as again:
        for frame, source in zip(predicted, again, strict=True):
            yield replace(frame, source=source)


def _followed(frames: Generator[SourceFrame, None, None], predictor: Predictor) -> Generator[SeenFrame, None, None]:
    """The faces of a video's frames, under numbers that last."""
    tracks = FaceTracks(predictor.backend)
    with closing(frames):
        for frame in frames:
            yield SeenFrame(frame, tracks.next(frame.image, frame.time))


def _measured(
    found: Generator[_Seen, None, None], predictor: Predictor, batch: int, direct: bool = False
) -> Generator[list[_Measured], None, None]:
    """Frames through the network, some at a time; in this very thread if `direct`."""
    threads = 0 if direct else predictor.session.streams
    return mapped(partial(_measure_batch, predictor), _batches(found, batch), threads)


def _measure_batch(predictor: Predictor, batch: Sequence[_Seen]) -> list[_Measured]:
    """What the network says of all faces of some frames at once."""
    frames = [frame for frame in batch if isinstance(frame, SeenFrame)]
    faces = [face for frame in frames for face in frame.faces.values()]
    cut = [frame.crops or predictor.crops(frame.source.image, list(frame.faces.values())) for frame in frames]
    measured = iter(())
    if faces:
        images, landmarks = (
            np.concatenate([getattr(crops, name) for crops in cut]) for name in ("images", "landmarks")
        )
        measured = iter(predictor.measure(faces, Crops(images, landmarks)))
    return [
        _MeasuredFrame(frame.source, {number: next(measured) for number in frame.faces})
        if isinstance(frame, SeenFrame)
        else frame
        for frame in batch
    ]


def _batches(items: Iterable[_Seen], size: int) -> Generator[list[_Seen], None, None]:
    """Items in lists of `size`, the last one shorter, also where it is an error that ends them."""
    batch: list[_Seen] = []
    try:
        for item in until_error(items):
            if isinstance(item, Raised):
                if batch:
                    yield batch
                raise item.error
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch
    finally:
        close(items)


class _Correction:
    """What is taken off and smoothed away of each face's expression."""

    def __init__(self, settings: PredictionSettings):
        self.settings = settings
        self._rest: dict[int, np.ndarray] = {}
        self._filters: dict[int, OneEuroFilter] = {}

    def calibrate(self, frames: Sequence[_MeasuredFrame]) -> None:
        """Find the rest expression of each face from all its frames."""
        numbers = {number for frame in frames for number in frame.faces}
        for number in numbers:
            own = [frame for frame in frames if number in frame.faces]
            expression = np.stack([frame.faces[number].expression for frame in own])
            self._rest[number] = rest_expression(expression, np.array([frame.source.time for frame in own]))

    def __call__(self, number: int, time: float, expression: np.ndarray) -> np.ndarray:
        """The corrected expression (n_e,) of a face; frames come in order."""
        if self.settings.neutral is not None:
            expression = expression - self.settings.neutral
        if number in self._rest:
            expression = expression - self._rest[number]
        if self.settings.smoothing is not None:
            smooth = self._filters.setdefault(number, OneEuroFilter(self.settings.smoothing))
            expression = smooth(time, expression)
        return expression


def _interpreted(
    frames: Sequence[_MeasuredFrame], predictor: Predictor, correction: _Correction
) -> Iterator[PredictedFrame]:
    """Emotions of measured frames, whose faces are classified together."""
    measured = [found for frame in frames for found in frame.faces.values()]
    corrected = [
        correction(number, frame.source.time, found.expression)
        for frame in frames
        for number, found in frame.faces.items()
    ]
    predictions = iter(predictor.interpret(measured, np.array(corrected)))
    for frame in frames:
        yield PredictedFrame(frame.source, {number: next(predictions) for number in frame.faces})


def _without_pixels(frame: _MeasuredFrame) -> _MeasuredFrame:
    return replace(frame, source=frame.source.without_pixels())


def _drawn(
    frames: Iterable[PredictedFrame | SourceFailure], overlay: Path | str | None, *, still: bool
) -> Iterator[PredictedFrame | SourceFailure]:
    """The frames, drawn on the way if that is asked for; then all are read before the first comes back."""
    if overlay is None:
        yield from frames
        return
    from models.expression.overlay import write_overlay

    seen: list[PredictedFrame | SourceFailure] = []

    def passing() -> Iterator[PredictedFrame]:
        for frame in frames:
            if isinstance(frame, SourceFailure):
                raise frame.error
            seen.append(replace(frame, source=frame.source.without_pixels()))
            yield frame

    write_overlay(overlay, passing(), still=still)
    yield from seen


def rows_of(frame: PredictedFrame, predictor: Predictor) -> Iterator[dict]:
    """A frame's rows as `predict_paths` describes them, one for each face, or one that says that there is none."""
    source = frame.source
    start = {"path": source.path, "frame": source.index, "time_s": round(source.time, 6)}
    if not frame.faces:
        yield {**start, **_nothing(predictor), "status": _status(NO_FACE, source.remark)}
    names, emotions = expression_names(predictor.expression_size), _probability_names(predictor)
    for number, face in frame.faces.items():
        box = (face.box.reshape(2, 2) + 0.5) / source.scale - 0.5
        probabilities = [] if face.probabilities is None else face.probabilities.tolist()
        yield {
            **start,
            "face": number,
            "box": [round(float(value), 2) for value in box.reshape(-1)],
            "emotion": face.emotion,
            **dict(zip(emotions, probabilities, strict=True)),
            **dict(zip(names, face.expression.tolist(), strict=True)),
            "yaw": face.yaw,
            "pitch": face.pitch,
            "roll": face.roll,
            "status": _status(CUT if _is_cut(face.landmarks, source.size) else OK, source.remark),
        }


def _row_of_failure(failure: SourceFailure, predictor: Predictor) -> dict:
    start = {"path": failure.path, "frame": None, "time_s": float("nan")}
    return {**start, **_nothing(predictor), "status": f"error: {failure.error}"}


def _nothing(predictor: Predictor) -> dict:
    """The middle of a row without a face."""
    numbers = [*_probability_names(predictor), *expression_names(predictor.expression_size), "yaw", "pitch", "roll"]
    return {"face": None, "box": None, "emotion": None, **dict.fromkeys(numbers, float("nan"))}


def _status(state: str, remark: str) -> str:
    return "; ".join(part for part in (remark, state) if part and not (remark and part == OK))


def _is_cut(landmarks: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether part of a face lies outside of an image of this height and width."""
    inside = (landmarks >= -0.5).all(axis=1) & (landmarks <= np.array(size[::-1]) - 0.5).all(axis=1)
    return int((~inside).sum()) >= POINTS_OUTSIDE


def _probability_names(predictor: Predictor) -> list[str]:
    return [] if predictor.classifier is None else [f"p_{emotion}" for emotion in EMOTIONS]
