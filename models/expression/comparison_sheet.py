"""The paper's Fig. 4: pictures, and below each the expressions that were estimated of it, drawn on the true person."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.expression.unseen_people import UnseenFace
from models.morphable_model import MorphableModel
from models.visualisation.panels import PAPER, portrait, view_of_face, write

_LETTERS, _GAP = 13, 6


def comparison_sheet(
    faces: Sequence[UnseenFace], estimates: Mapping[str, np.ndarray], model: MorphableModel, side: int = 168
) -> np.ndarray:
    """A row of pictures, and a row of clay heads for every method, as one picture (H, W, 3) uint8.

    As in the paper all expressions of a column are drawn on one identity, the true one, from the front. The squared
    error of each, in standard deviations, stands above where the method is not the truth itself.

    Parameters
    ----------
    faces : C pictures with their truth
    estimates : name of the row to (C, n_e) in standard deviations; rows are drawn in this order, below the pictures
    side : of each picture, pixels
    """
    truth = np.stack([face.expression for face in faces]) / model.expression_std
    label_width = 118
    rows = [_row("picture", [_portrait(face, side) for face in faces], label_width)]
    for name, expressions in estimates.items():
        panels = []
        for face, expression, true in zip(faces, expressions, truth, strict=True):
            panel = portrait(model, expression * model.expression_std, (side, side), face.identity)
            error = float(np.mean((expression - true) ** 2))
            if error > 0:
                write(panel, f"{error:.3f}", (side - 4, 4), 11, (110, 110, 110), "rt")
            panels.append(panel)
        rows.append(_row(name, panels, label_width))
    return np.concatenate(rows)


def telling_faces(faces: Sequence[UnseenFace], model: MorphableModel, count: int) -> list[int]:
    """Places of the face of strongest expression in each of `count` stretches of the faces: rest looks the same
    whatever the method."""
    strength = np.linalg.norm([face.expression / model.expression_std for face in faces], axis=1)
    parts = np.array_split(np.arange(len(faces)), min(count, len(faces)))
    return [int(part[np.argmax(strength[part])]) for part in parts]


def _portrait(face: UnseenFace, side: int) -> np.ndarray:
    from models.video.decoding import Frame

    return view_of_face(face.landmarks, side).cut(Frame(0, 0.0, face.image, np.ones(2)))


def _row(name: str, panels: Sequence[np.ndarray], label_width: int) -> np.ndarray:
    height = panels[0].shape[0]
    label = np.full((height, label_width, 3), PAPER, np.uint8)
    for line, words in enumerate(name.split("\n")):
        write(label, words, (label_width - 8, height / 2 + 16 * line), _LETTERS, anchor="rm")
    gap = np.full((height, _GAP, 3), PAPER, np.uint8)
    strip = np.concatenate([part for panel in panels for part in (gap, panel)], axis=1)
    row = np.concatenate([label, strip], axis=1)
    return np.concatenate([row, np.full((_GAP, row.shape[1], 3), PAPER, np.uint8)])
