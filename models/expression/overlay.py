"""Predictions drawn over the images that they were made from."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

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


def draw_predictions(image: np.ndarray, faces: dict) -> np.ndarray:
    """A copy of an image (H, W, 3) uint8 with box, landmarks, head direction and emotion of each face.

    Parameters
    ----------
    image : what the predictions were made from
    faces : number of each face -> `Prediction`
    """
    import cv2

    drawn = image.copy()
    for number, face in faces.items():
        width = float(face.box[2] - face.box[0])
        line = max(1, round(width / 120))
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
        place = (corners[0][0], max(int(24 * size), corners[0][1] - int(8 * size)))
        cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), line + 2, cv2.LINE_AA)
        cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, line, cv2.LINE_AA)
    return drawn


def write_overlay(path: Path | str, frames: Iterable, *, still: bool) -> None:
    """Write a picture (of the one frame there is) or an mp4 of frames with `image`, `time` and `faces`.

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
    interval = first[1].time - first[0].time if len(first) == 2 else 0.0

    def drawn() -> Iterator[np.ndarray]:
        for frame in first:
            yield draw_predictions(frame.image, frame.faces)
        for frame in frames:
            yield draw_predictions(frame.image, frame.faces)

    write_video(path, drawn(), fps=1 / interval if interval > 0 else FALLBACK_RATE)


def _write_picture(path: Path, frame) -> None:
    import cv2

    picture = cv2.cvtColor(draw_predictions(frame.image, frame.faces), cv2.COLOR_RGB2BGR)
    try:
        done, data = cv2.imencode(path.suffix, picture)
    except cv2.error:
        done = False
    if not done:
        raise ImageError(f"{path}: pictures are not written under this name; end it in .jpg or .png.")
    with written_whole(path) as temporary:
        temporary.write_bytes(data.tobytes())
