"""A video of a fit: each frame beside the mesh laid over it and the expression without the person (Fig. 4)."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from models.fitting.reconstruction import Reconstruction
from models.morphable_model import MorphableModel
from models.video.decoding import Frame, probe, read_frames
from models.video.encoding import write_video
from models.visualisation.panels import PAPER, View, mesh_panel, portrait, view_of_track, write

TITLES = ("video", "fitted mesh", "expression on the mean face")
TITLE_HEIGHT, CAPTION_HEIGHT, LETTERS = 26, 30, 15
PORTRAIT_ASPECT = 0.85  # width over height


def write_fit_video(
    out: Path | str,
    video: Path | str,
    fit: Reconstruction,
    frame_index: np.ndarray,
    landmarks: np.ndarray,
    model: MorphableModel,
    *,
    height: int = 400,
    progress: Callable[[Iterable], Iterable] = iter,
) -> int:
    """Write the frames of a video up to the last fitted one, and return how many there were.

    Parameters
    ----------
    frame_index : (F,) which frame of the video each frame of the fit is
    landmarks : (F, 68, 2) pixels of the video as displayed; what the camera of this picture must keep in sight
    height : of the three panels, pixels
    progress : wraps the frames, for example in a progress bar

    Raises
    ------
    VideoError
        The video cannot be read.
    """
    info = probe(video)
    view = view_of_track(landmarks, (info.width, info.height), height)
    frames = read_frames(video, max_side=view.decoded_side(info.width, info.height), limit=int(frame_index[-1]) + 1)
    return write_video(out, fit_frames(progress(frames), view, fit, frame_index, model), info.fps)


def fit_frames(
    frames: Iterable[Frame], view: View, fit: Reconstruction, frame_index: np.ndarray, model: MorphableModel
) -> Iterator[np.ndarray]:
    """The pictures (H, W, 3) uint8 of an overlay video, one a frame; frames that were not fitted say so."""
    place = {int(frame): position for position, frame in enumerate(frame_index)}
    height, width = view.size
    portrait_size = (height, 2 * round(PORTRAIT_ASPECT * height / 2))
    lefts = (0, width, 2 * width)
    empty = np.full((TITLE_HEIGHT + height + CAPTION_HEIGHT, 2 * width + portrait_size[1], 3), PAPER, np.uint8)
    for left, title in zip(lefts, TITLES, strict=True):
        write(empty, title, (left + 8, TITLE_HEIGHT / 2), LETTERS, anchor="lm")
    for frame in frames:
        picture = empty.copy()
        panels = picture[TITLE_HEIGHT : TITLE_HEIGHT + height]
        panels[:, :width] = panels[:, width : 2 * width] = filmed = view.cut(frame)
        caption = f"frame {frame.index}   {frame.time:.2f} s   "
        position = place.get(frame.index)
        if position is None:
            caption += "not fitted"
        else:
            panels[:, width : 2 * width] = mesh_panel(filmed, view, fit, position, model)
            panels[:, 2 * width :] = portrait(model, fit.expression[position], portrait_size)
            caption += residual_in_words(fit.residual[position])
        write(picture, caption, (8, TITLE_HEIGHT + height + CAPTION_HEIGHT / 2), LETTERS, anchor="lm")
        yield picture


def residual_in_words(residual: float) -> str:
    """A frame's residual, as `Reconstruction.residual` gives it, for a caption."""
    if not np.isfinite(residual):
        return "no landmarks here: filled in from the frames around"
    return f"residual {100 * residual:.1f} % of the inter-ocular distance"
