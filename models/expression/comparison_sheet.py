"""The paper's Fig. 4: pictures, and below each the expressions that were estimated of it, drawn on the true person."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.expression.unseen_people import UnseenFace
from models.morphable_model import MorphableModel
from models.visualisation.panels import PAPER, portrait, view_of_face, write

_LETTERS, _GAP, _CAPTION, _LABEL = 13, 6, 14, 118


def comparison_sheet(
    faces: Sequence[UnseenFace], estimates: Mapping[str, np.ndarray], model: MorphableModel, side: int = 168
) -> np.ndarray:
    """A row of pictures, and a row of clay heads for every method, as one picture (H, W, 3) uint8.

    As in the paper all expressions of a column are drawn on one identity, the true one, from the front. The squared
    error of each, in standard deviations, stands below where the method is not the truth itself.

    Parameters
    ----------
    faces : C pictures with their truth
    estimates : name of the row to (C, n_e) in standard deviations; rows are drawn in this order, below the pictures
    side : of each picture, pixels
    """
    truth = np.stack([face.expression for face in faces]) / model.expression_std
    rows = [_row("picture", [_portrait(face, side) for face in faces])]
    for name, expressions in estimates.items():
        errors = np.mean((expressions - truth) ** 2, axis=1)
        heads = [
            _captioned(
                portrait(model, expression * model.expression_std, (side, side), face.identity),
                f"{error:.3f}" if error > 0 else "",
            )
            for face, expression, error in zip(faces, expressions, errors, strict=True)
        ]
        rows.append(_row(name, heads))
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


def _captioned(panel: np.ndarray, text: str) -> np.ndarray:
    """A panel with a line of small text below it."""
    caption = np.full((_CAPTION, panel.shape[1], 3), PAPER, np.uint8)
    write(caption, text, (panel.shape[1] / 2, _CAPTION / 2), 11, (110, 110, 110), "mm")
    return np.concatenate([panel, caption])


def _row(name: str, panels: Sequence[np.ndarray]) -> np.ndarray:
    height = panels[0].shape[0]
    label = np.full((height, _LABEL, 3), PAPER, np.uint8)
    for line, words in enumerate(name.split("\n")):
        write(label, words, (_LABEL - 8, height / 2 + 16 * line), _LETTERS, anchor="rm")
    gap = np.full((height, _GAP, 3), PAPER, np.uint8)
    row = np.concatenate([label, *(part for panel in panels for part in (gap, panel))], axis=1)
    return np.concatenate([row, np.full((_GAP, row.shape[1], 3), PAPER, np.uint8)])
