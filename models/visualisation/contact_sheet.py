"""One picture that says whether the fit of a video can be believed: a few telling moments, and curves over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import VideoError
from models.fitting.pruning import identity_norm
from models.fitting.reconstruction import Reconstruction
from models.morphable_model import MorphableModel
from models.morphable_model.model import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE
from models.video.decoding import Frame, probe, read_frames_at
from models.visualisation.curves import Curve, draw_curves
from models.visualisation.panels import PAPER, View, mark_points, mesh_panel, portrait, view_of_face, write

EXPRESSIVE, DOUBTFUL, BETWEEN = "strong expression", "large residual", "in between"
COLOURS = {EXPRESSIVE: (20, 110, 180), DOUBTFUL: (200, 60, 40), BETWEEN: (40, 40, 40)}
DETECTED = (60, 220, 90)

HEADER_HEIGHT, LABEL_HEIGHT, CURVES_HEIGHT, GAP = 50, 34, 96, 4
FRONTAL_ASPECT = 1.1  # height over width of the portraits
DOT = 1 / 190  # radius of a detected point over the side of its panel


@dataclass(frozen=True)
class Moment:
    """A frame of a fit, number `position` of it, and why it is shown."""

    position: int
    reason: str


def telling_moments(strength: np.ndarray, residual: np.ndarray, count: int) -> list[Moment]:
    """The frames of a fit to look at: those of the strongest expressions and of the largest residuals, no two of them
    close together, and as many others in the middle of what lies between.

    Parameters
    ----------
    strength : (F,) of the expression, as `expression_strength` gives it
    residual : (F,), as `Reconstruction.residual`; frames where it is NaN had no landmarks and are not chosen
    count : how many; fewer where the fit has fewer frames

    Returns
    -------
    In order of time.
    """
    seen = np.flatnonzero(np.isfinite(residual))
    chosen: dict[int, str] = {}

    def distances() -> np.ndarray:
        """Of every frame to the nearest chosen one, or before there is one to the ends."""
        known = np.array(list(chosen) or [seen[0] - 1, seen[-1] + 1])
        return np.abs(seen[:, None] - known).min(1)

    for turn in range(min(count, len(seen)) // 2):
        reason, value = ((EXPRESSIVE, strength[seen]), (DOUBTFUL, residual[seen]))[turn % 2]
        far = distances() > (len(seen) // (2 * count) if chosen else 0)
        if far.any():
            chosen[int(seen[np.argmax(np.where(far, value, -np.inf))])] = reason
    while len(chosen) < min(count, len(seen)):
        chosen[int(seen[np.argmax(distances())])] = BETWEEN
    return [Moment(position, chosen[position]) for position in sorted(chosen)]


def expression_strength(model: MorphableModel, expression: np.ndarray) -> np.ndarray:
    """How far expressions (F, n_e) in mm move the 68 landmarks, root mean square, mm, (F,).

    In standard deviations of the coefficients a blink would be the strongest of all.
    """
    moved = model.landmarks(None, expression) - model.landmark_mean
    return np.sqrt((moved**2).sum(-1).mean(-1))


def facial_movements(model: MorphableModel, expression: np.ndarray) -> dict[str, np.ndarray]:
    """What expressions (F, n_e) in mm do to a face: change of four distances on the mean identity from rest, (F,)
    each, as shares of the inter-ocular distance."""

    def distances(points: np.ndarray) -> dict[str, np.ndarray]:
        x, y = points[..., 0], points[..., 1]
        eyes = np.r_[RIGHT_EYE, LEFT_EYE]
        upper, lower = eyes[[1, 2, 7, 8]], eyes[[5, 4, 11, 10]]
        brows = np.r_[RIGHT_BROW, LEFT_BROW]
        return {
            "mouth open": y[..., [61, 62, 63]].mean(-1) - y[..., [67, 66, 65]].mean(-1),
            "mouth wide": x[..., 54] - x[..., 48],
            "eyes open": y[..., upper].mean(-1) - y[..., lower].mean(-1),
            "brows raised": y[..., brows].mean(-1) - y[..., [36, 39, 42, 45]].mean(-1),
        }

    rest = distances(model.landmark_mean)
    moved = distances(model.landmarks(None, expression))
    return {name: (moved[name] - rest[name]) / model.interocular_distance for name in rest}


def contact_sheet(
    title: str,
    moments: Sequence[Moment],
    views: Sequence[View],
    filmed: Sequence[np.ndarray],
    fit: Reconstruction,
    landmarks: np.ndarray,
    timestamps: np.ndarray,
    model: MorphableModel,
) -> np.ndarray:
    """Draw a sheet: a column a moment (what was filmed, the mesh on it with the detected points, the expression on
    the mean identity), and below them the residual and the movements of the face over time.

    Parameters
    ----------
    views, filmed : of each moment, the part of the video that is shown, and that part (S, S, 3) uint8
    landmarks : (F, 68, 2) pixels of the video as displayed
    timestamps : (F,) seconds

    Returns
    -------
    (H, W, 3) uint8
    """
    side = filmed[0].shape[0]
    frontal = round(FRONTAL_ASPECT * side), side
    top = HEADER_HEIGHT + LABEL_HEIGHT
    rows = [top, top + side + GAP, top + 2 * (side + GAP)]
    curves_top = rows[2] + frontal[0] + GAP
    width = len(moments) * (side + GAP) - GAP
    wide = max(width, 4 * (side + GAP))
    sheet = np.full((curves_top + 2 * CURVES_HEIGHT, wide, 3), PAPER, np.uint8)
    write(sheet, title, (8, 6), 16)
    write(sheet, _summary(fit, timestamps, model), (8, 29), 13)
    for column, (moment, view, image) in enumerate(zip(moments, views, filmed, strict=True)):
        left, position = column * (side + GAP), moment.position
        colour = COLOURS[moment.reason]
        write(sheet, moment.reason, (left + 3, HEADER_HEIGHT + 1), 12, colour)
        figures = f"{timestamps[position]:.1f} s   {100 * fit.residual[position]:.1f} %"
        write(sheet, figures, (left + 3, HEADER_HEIGHT + 16), 12, colour)
        mesh = mesh_panel(image, view, fit, position, model)
        mesh = mark_points(mesh, view.pixels(landmarks[position]), DETECTED, DOT * side)
        pictures = (image, mesh, portrait(model, fit.expression[position], frontal))
        for row, picture in zip(rows, pictures, strict=True):
            sheet[row : row + picture.shape[0], left : left + side] = picture
    marks = [(timestamps[moment.position], COLOURS[moment.reason]) for moment in moments]
    residual = [Curve("residual, % of the inter-ocular distance", 100 * fit.residual, (40, 40, 40))]
    hues = ((200, 60, 40), (20, 110, 180), (60, 150, 60), (150, 90, 170))
    movements = [
        Curve(name, 100 * values, hue)
        for (name, values), hue in zip(facial_movements(model, fit.expression).items(), hues, strict=True)
    ]
    for number, curves in enumerate((residual, movements)):
        begin = curves_top + number * CURVES_HEIGHT
        sheet[begin : begin + CURVES_HEIGHT] = draw_curves(curves, timestamps, (CURVES_HEIGHT, wide), marks)
    write(
        sheet,
        "change from rest, % of the inter-ocular distance",
        (wide - 8, curves_top + CURVES_HEIGHT + 1),
        12,
        anchor="ra",
    )
    return sheet


def draw_contact_sheet(
    video: Path | str,
    title: str,
    fit: Reconstruction,
    landmarks: np.ndarray,
    timestamps: np.ndarray,
    model: MorphableModel,
    *,
    moments: int,
    side: int,
) -> np.ndarray:
    """The sheet (H, W, 3) uint8 of a fit, with frames from its video, of which only those shown are decoded.

    Parameters
    ----------
    landmarks, timestamps : (F, 68, 2) pixels and (F,) seconds, what was fitted
    moments : how many columns
    side : of a column, pixels

    Raises
    ------
    VideoError
        The video cannot be read, or is not the one that was fitted.
    """
    chosen = telling_moments(expression_strength(model, fit.expression), fit.residual, moments)
    if not chosen:
        raise VideoError(f"{video}: no frame has landmarks; there is nothing to show of its fit.")
    views = [view_of_face(landmarks[moment.position], side) for moment in chosen]
    info = probe(video)
    longest = max(view.decoded_side(info.width, info.height) for view in views)
    frames: list[Frame] = list(
        read_frames_at(video, [timestamps[moment.position] for moment in chosen], max_side=longest)
    )
    if len(frames) != len(chosen):
        raise VideoError(
            f"{video}: lacks {len(chosen) - len(frames)} frames that were fitted; it was changed, so fit it again."
        )
    filmed = [view.cut(frame) for view, frame in zip(views, frames, strict=True)]
    return contact_sheet(title, chosen, views, filmed, fit, landmarks, timestamps, model)


def _summary(fit: Reconstruction, timestamps: np.ndarray, model: MorphableModel) -> str:
    residual = 100 * np.nanmedian(fit.residual)
    return "   ".join(
        (
            f"{len(fit)} frames",
            f"{timestamps[-1] - timestamps[0]:.1f} s",
            f"median residual {residual:.2f} % of the inter-ocular distance",
            f"|i| {identity_norm(fit.identity, model.identity_std):.2f}",
            "converged" if fit.converged else "NOT CONVERGED",
        )
    )
