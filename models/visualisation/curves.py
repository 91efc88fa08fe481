"""Small curves over time, without axes where a number will do."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.visualisation.panels import PAPER, write

FINENESS = 3  # lines are drawn so many times larger and averaged
LETTERS, LEFT, TOP = 12, 40, 18
GRID = (215, 215, 215)


@dataclass(frozen=True)
class Curve:
    """A named figure (F,) over time; where it is NaN nothing is drawn."""

    name: str
    values: np.ndarray
    colour: tuple[int, int, int]


def draw_curves(
    curves: Sequence[Curve],
    times: np.ndarray,
    size: tuple[int, int],
    marks: Sequence[tuple[float, tuple[int, int, int]]] = (),
) -> np.ndarray:
    """Curves over `times` (F,) in one frame whose range holds them all and zero, as a picture (H, W, 3) uint8.

    Parameters
    ----------
    size : (height, width)
    marks : times to be marked by a vertical line, with its colour
    """
    from PIL import Image, ImageDraw

    height, width = size
    values = np.concatenate([curve.values for curve in curves])
    values = values[np.isfinite(values)]
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    span, length = max(high - low, 1e-6), max(float(times[-1] - times[0]), 1e-6)
    bottom, right = height - 8, width - 8

    def across(time):
        return LEFT + (right - LEFT) * (np.asarray(time, float) - times[0]) / length

    def down(value):
        return bottom - (bottom - TOP) * (np.asarray(value, float) - low) / span

    canvas = Image.new("RGB", (FINENESS * width, FINENESS * height), (PAPER,) * 3)
    pen = ImageDraw.Draw(canvas)
    for level in {low, 0.0, high}:
        pen.line(_fine([(LEFT, down(level)), (right, down(level))]), fill=GRID, width=FINENESS)
    for time, colour in marks:
        pen.line(_fine([(across(time), TOP), (across(time), bottom)]), fill=_pale(colour), width=FINENESS)
    for curve in curves:
        points = np.stack([across(times), down(curve.values)], 1)
        gaps = np.flatnonzero(~np.isfinite(points).all(1))
        for piece in np.split(points, gaps):
            piece = piece[np.isfinite(piece).all(1)]
            if len(piece) > 1:
                pen.line(_fine(piece), fill=curve.colour, width=FINENESS + 1, joint="curve")
    picture = np.array(canvas.resize((width, height), Image.Resampling.BOX))
    for level in {low, high}:
        write(picture, f"{level:.1f}", (LEFT - 6, float(down(level))), LETTERS, anchor="rm")
    at = LEFT
    for curve in curves:
        write(picture, curve.name, (at, 1), LETTERS, curve.colour)
        at += 14 + round(0.56 * LETTERS * len(curve.name))
    return picture


def _fine(points) -> list[tuple[float, float]]:
    return [(FINENESS * float(x), FINENESS * float(y)) for x, y in points]


def _pale(colour: tuple[int, int, int]) -> tuple[int, ...]:
    return tuple(round(PAPER - 0.45 * (PAPER - channel)) for channel in colour)
