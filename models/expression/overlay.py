"""Predictions drawn over the images that they were made from."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from models.emotion.labels import EMOTIONS
from models.errors import ImageError
from models.storage import written_whole

COLOURS = {
    "neutral": (200, 200, 200),
    "angry": (235, 80, 60),
    "disgusted": (120, 170, 60),
    "fearful": (150, 110, 220),
    "happy": (250, 200, 60),
    "sad": (80, 140, 230),
    "surprised": (250, 140, 200),
}
WITHOUT_EMOTION = (90, 220, 200)
# Videos with a variable rate are written at that of the first interval.
FALLBACK_RATE = 25.0
# Bars are drawn beside faces that are at least this wide, pixels; smaller ones would drown in them.
SMALLEST_WITH_BARS = 48
# Height and width of the smallest panel whose words can be read, pixels.
SMALLEST_PANEL = (150, 84)
# Standard deviations of a coefficient that fill a bar.
FULL_BAR = 3.0


def draw_predictions(image: np.ndarray, faces: dict) -> np.ndarray:
    """A copy of an image (H, W, 3) uint8 with box, landmarks, head direction, emotion and bars of each face.

    Right of a face (left where there is no room) stand the probabilities of the emotions, and below them the
    coefficients of the expression from -3 to 3 standard deviations, one line each.

    Parameters
    ----------
    image : what the predictions were made from
    faces : number of each face -> `Prediction`
    """
    import cv2

    drawn = image.copy()
    for number, face in faces.items():
        width = float(face.box[2] - face.box[0])
        line = max(1, round(width / 160))
        colour = COLOURS.get(face.emotion, WITHOUT_EMOTION)
        corners = [tuple(int(value) for value in np.round(corner)) for corner in face.box.reshape(2, 2)]
        cv2.rectangle(drawn, *corners, colour, line, cv2.LINE_AA)
        for point in np.round(face.landmarks).astype(int):
            cv2.circle(drawn, tuple(int(value) for value in point), line, (255, 255, 255), -1, cv2.LINE_AA)
        nose = face.landmarks[30]
        yaw, pitch = np.radians([face.yaw, face.pitch])
        tip = nose + 0.5 * width * np.array([np.cos(pitch) * np.sin(yaw), -np.sin(pitch)])
        ends = [tuple(int(value) for value in np.round(end)) for end in (nose, tip)]
        cv2.arrowedLine(drawn, *ends, colour, line + 1, cv2.LINE_AA)
        text = str(number) if face.emotion is None else f"{number} {face.emotion} {face.probabilities.max():.0%}"
        size = max(0.4, width / 260)
        _write(drawn, text, (corners[0][0], max(int(24 * size), corners[0][1] - int(8 * size))), size, colour)
        if width >= SMALLEST_WITH_BARS:
            _draw_bars(drawn, face)
    return drawn


def _draw_bars(drawn: np.ndarray, face) -> None:
    """A panel beside the face: probabilities on top, coefficients below."""
    import cv2

    left, top, right, bottom = face.box
    height = min(drawn.shape[0], max(SMALLEST_PANEL[0], int(1.15 * (bottom - top))))
    width = min(drawn.shape[1], max(SMALLEST_PANEL[1], int(0.6 * (right - left))))
    gap = 6
    x = int(right) + gap if right + gap + width <= drawn.shape[1] else max(0, int(left) - gap - width)
    y = int(np.clip(top, 0, drawn.shape[0] - height))
    panel = drawn[y : y + height, x : x + width]
    panel[:] = panel // 3
    emotions = 0 if face.probabilities is None else round(0.55 * height)
    if emotions:
        row = emotions / len(EMOTIONS)
        size = row / 36
        for index, emotion in enumerate(EMOTIONS):
            low, high = round(index * row) + 1, max(round(index * row) + 2, round((index + 1) * row) - 1)
            length = round(face.probabilities[index] * (width - 1))
            bar = panel[low:high, :length]
            bar[:] = (0.75 * np.array(COLOURS[emotion])).astype(np.uint8)
            _write(panel, emotion, (3, high - max(1, round(0.25 * row))), size, (255, 255, 255))
    values = np.clip(face.expression_whitened / FULL_BAR, -1, 1)
    row = (height - emotions) / len(values)
    middle = width // 2
    for index, value in enumerate(values):
        low = emotions + round(index * row)
        high = max(low + 1, emotions + round((index + 1) * row) - (1 if row >= 3 else 0))
        reach = round(float(value) * (middle - 2))
        start, end = sorted((middle, middle + reach))
        panel[low:high, start:end] = (240, 150, 60) if value >= 0 else (70, 160, 240)
    cv2.line(panel, (middle, emotions), (middle, height - 1), (230, 230, 230), 1)


def _write(image: np.ndarray, text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int]) -> None:
    """Text with a shadow, legible on anything. A thicker rim would be a wider text, too."""
    import cv2

    line = max(1, round(1.6 * size))
    shadow = max(1, round(2 * size))
    for shift, ink in ((shadow, (0, 0, 0)), (0, colour)):
        corner = (place[0] + shift, place[1] + shift)
        cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, size, ink, line, cv2.LINE_AA)


def write_overlay(path: Path | str, frames: Iterable, *, still: bool) -> None:
    """Write a picture (of the one frame there is) or an mp4 of frames with `source` and `faces`.

    Raises
    ------
    ImageError
        A picture cannot be written under this name.
    """
    if still:
        _write_picture(Path(path), next(iter(frames)))
        return
    from models.video.encoding import write_video

    frames = iter(frames)
    first = [frame for _, frame in zip(range(2), frames, strict=False)]
    interval = first[1].source.time - first[0].source.time if len(first) == 2 else 0.0

    def drawn() -> Iterator[np.ndarray]:
        for frame in first:
            yield draw_predictions(frame.source.image, frame.faces)
        for frame in frames:
            yield draw_predictions(frame.source.image, frame.faces)

    write_video(path, drawn(), fps=1 / interval if interval > 0 else FALLBACK_RATE)


def _write_picture(path: Path, frame) -> None:
    import cv2

    picture = cv2.cvtColor(draw_predictions(frame.source.image, frame.faces), cv2.COLOR_RGB2BGR)
    try:
        done, data = cv2.imencode(path.suffix, picture)
    except cv2.error:
        done = False
    if not done:
        raise ImageError(f"{path}: pictures are not written under this name; end it in .jpg or .png.")
    with written_whole(path) as temporary:
        temporary.write_bytes(data.tobytes())
