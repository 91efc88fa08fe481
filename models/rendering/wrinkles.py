"""Folds that come with movement: frown lines, crow's feet, nasolabial folds and the like, as shading on the texture.

The mesh is too coarse for them, and to the eye they are half of a frown or a sneer. What each fold looks like is drawn
once a person; how deep it is follows the activations of the face units that make it.
"""

from dataclasses import dataclass

import numpy as np

from models.morphable_model.expressions import EXPRESSION_UNITS
from models.morphable_model.model import MorphableModel
from models.rendering.noise import smooth_noise
from models.rendering.skin import landmark_texels

_SUBPIXEL_BITS = 4
# Light that reaches a fold has passed through skin, which takes blue and green.
_TINT = np.array([0.75, 1.0, 1.0], np.float32)
# Which unit groups deepen a fold, and by how much at full activation. Folds with a side follow the units of that side.
_SIDED = {
    "crows_feet": {"cheekSquint": 0.6, "mouthSmile": 0.35, "eyeSquint": 0.35, "eyeBlink": 0.1},
    "lower_lid": {"eyeSquint": 0.6, "cheekSquint": 0.6, "mouthSmile": 0.2},
    "nasolabial": {"mouthSmile": 0.7, "noseSneer": 0.6, "mouthUpperUp": 0.5, "cheekSquint": 0.3, "mouthStretch": 0.2},
    "nose_side": {"noseSneer": 1.0, "browDown": 0.1},
    "marionette": {"mouthFrown": 0.9, "mouthPress": 0.3, "mouthStretch": 0.2},
    "dimple": {"mouthDimple": 0.9, "mouthPress": 0.5, "mouthSmile": 0.3},
    "glabella": {"browDown": 1.0, "noseSneer": 0.3},
    "forehead_side": {"browOuterUp": 1.0},
}
_CENTRAL = {"forehead_middle": {"browInnerUp": 1.0}, "chin": {"mouthShrugLower": 1.0, "mouthFrown": 0.2}}
_SIDES = {"Right": -1, "Left": 1}


@dataclass(frozen=True)
class Fold:
    """One fold on the texture.

    Attributes
    ----------
    row, column : upper left corner of the patch that it takes up, texels
    field : (h, w) float32 darkness at full depth; negative where skin bulges beside it
    response : (K,) how its depth follows the activations of `EXPRESSION_UNITS`
    """

    row: int
    column: int
    field: np.ndarray
    response: np.ndarray


@dataclass(frozen=True)
class Wrinkles:
    """A person's folds."""

    folds: tuple[Fold, ...]

    def on(self, skin: np.ndarray, activations: np.ndarray) -> np.ndarray:
        """The skin (H, W, 3) float32 with its folds as deep as the activations (K,) make them."""
        skin = skin.copy()
        for fold in self.folds:
            depth = np.float32(min(float(fold.response @ activations), 1.2))
            if depth > 0.03:
                height, width = fold.field.shape
                patch = skin[fold.row : fold.row + height, fold.column : fold.column + width]
                patch *= (1 - depth * fold.field[..., None] * _TINT).clip(0.25, 1.2)
        return skin


def sample_wrinkles(model: MorphableModel, rng: np.random.Generator) -> Wrinkles:
    """Draw a person's folds: some have hardly any, others deep ones."""
    points = landmark_texels(model)
    depth = rng.uniform(0.02, 0.5) * rng.random() ** 0.5
    folds = []
    for name, units in _SIDED.items():
        for side, sign in _SIDES.items():
            response = _response({f"{unit}{side}": weight for unit, weight in units.items()})
            folds.append(_fold(name, _Face(points, sign), depth, response, rng))
    for name, units in _CENTRAL.items():
        sided = {f"{unit}{side}": weight / 2 for unit, weight in units.items() for side in _SIDES}
        folds.append(_fold(name, _Face(points, 1), depth, _response(sided | units), rng))
    return Wrinkles(tuple(folds))


def _fold(name: str, face: "_Face", depth: float, response: np.ndarray, rng: np.random.Generator) -> Fold:
    row, column, field = _DRAWN[name](face, rng)
    return Fold(row, column, np.float32(depth * rng.uniform(0.4, 1.4)) * field, response)


def _response(weights: dict[str, float]) -> np.ndarray:
    return np.array([weights.get(unit, 0.0) for unit in EXPRESSION_UNITS])


@dataclass(frozen=True)
class _Face:
    """Places on the texture named from one side of the face: `sign` is -1 for the subject's right, 1 for the left."""

    points: np.ndarray
    sign: int

    def of(self, right: int, left: int) -> np.ndarray:
        """A landmark by its number on either side."""
        return self.points[right if self.sign < 0 else left]

    @property
    def unit(self) -> float:
        """Distance between the outer eye corners, texels."""
        return float(np.linalg.norm(self.points[45] - self.points[36]))

    def away(self, x: float, y: float) -> np.ndarray:
        """A step outwards and downwards, in units."""
        return np.array([self.sign * x, y]) * self.unit


def _crease(
    lines: list[np.ndarray], width: float, strengths: np.ndarray, gain: float = 1.0
) -> tuple[int, int, np.ndarray]:
    """Dark lines with light flanks: polylines (P, 2) of texels, as row, column and field (h, w) of a patch."""
    import cv2

    places = np.concatenate(lines)
    margin = int(6 * width) + 2
    left, top = np.maximum(np.floor(places.min(0)).astype(int) - margin, 0)
    right, bottom = np.ceil(places.max(0)).astype(int) + margin
    field = np.zeros((bottom - top, right - left), np.float32)
    for line, strength in zip(lines, strengths, strict=True):
        drawn = np.zeros_like(field)
        fixed = np.rint((line - [left, top]) * 2**_SUBPIXEL_BITS).astype(np.int32)
        cv2.polylines(drawn, [fixed], False, float(strength), max(1, round(width)), cv2.LINE_AA, _SUBPIXEL_BITS)
        np.maximum(field, drawn, out=field)
    sharp = cv2.GaussianBlur(field, (0, 0), 0.5 * width)
    return int(top), int(left), gain * (1.6 * sharp - 0.9 * cv2.GaussianBlur(field, (0, 0), 2.0 * width))


def _bent(start: np.ndarray, end: np.ndarray, bend: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A curve (16, 2) between two places, bulging by `bend` (2,) in its middle, a little uneven."""
    t = np.linspace(0, 1, 16)[:, None]
    uneven = np.cumsum(rng.normal(size=(16, 2)), 0) * 0.25 * np.sin(np.pi * t)
    return start + (end - start) * t + 4 * t * (1 - t) * bend + uneven


def _crows_feet(face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    corner = face.of(36, 45)
    lines = []
    for angle in np.linspace(-0.7, 0.6, rng.integers(2, 5)) + 0.1 * rng.normal():
        start = corner + face.away(rng.uniform(0.06, 0.1), 0.06 * np.sin(angle))
        reach = rng.uniform(0.08, 0.2)
        lines.append(
            _bent(start, start + face.away(reach * np.cos(angle), reach * np.sin(angle)), face.away(0, 0.01), rng)
        )
    return _crease(lines, rng.uniform(1.5, 2.5), rng.uniform(0.4, 1.0, len(lines)))


def _lower_lid(face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    inner, outer = face.of(39, 42), face.of(36, 45)
    lines = [
        _bent(inner + face.away(-0.01, drop), outer + face.away(0.02, drop), face.away(0, 0.05 + drop / 2), rng)
        for drop in np.linspace(0.04, rng.uniform(0.08, 0.15), rng.integers(1, 4))
    ]
    return _crease(lines, rng.uniform(2, 4), rng.uniform(0.4, 0.9, len(lines)))


def _nasolabial(face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    wing, corner = face.of(31, 35), face.of(48, 54)
    start = wing + face.away(rng.uniform(0.06, 0.1), rng.uniform(-0.08, -0.02))
    end = corner + face.away(rng.uniform(0.07, 0.14), rng.uniform(-0.02, 0.08))
    line = _bent(start, end, face.away(rng.uniform(0.02, 0.06), 0), rng)
    return _crease([line], rng.uniform(3, 6), np.array([1.0]), gain=1.3)


def _nose_side(face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    root, middle = face.points[27], face.points[28]
    lines = []
    for place in np.linspace(0.1, 1.1, rng.integers(2, 5)):
        start = root + (middle - root) * place + face.away(0.02, 0)
        lines.append(_bent(start, start + face.away(rng.uniform(0.06, 0.1), -0.06), face.away(0, 0.01), rng))
    return _crease(lines, rng.uniform(1.5, 3), rng.uniform(0.5, 1.0, len(lines)))


def _marionette(face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    corner = face.of(48, 54)
    end = corner + face.away(rng.uniform(0.02, 0.1), rng.uniform(0.1, 0.2))
    line = _bent(corner + face.away(0.03, 0.02), end, face.away(0.02, 0), rng)
    return _crease([line], rng.uniform(2.5, 5), np.array([1.0]))


def _dimple(face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    corner = face.of(48, 54)
    place = corner + face.away(rng.uniform(0.05, 0.12), rng.uniform(-0.03, 0.03))
    line = _bent(place - face.away(0, 0.04), place + face.away(0, 0.04), face.away(0.02, 0), rng)
    return _crease([line], rng.uniform(2, 4), np.array([1.0]))


def _glabella(face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    brow, root = face.of(21, 22), face.points[27]
    lines = []
    for _ in range(rng.integers(1, 3)):
        foot = root + (brow - root) * rng.uniform(0.3, 0.85) + face.away(0, rng.uniform(-0.02, 0.03))
        top = foot + face.away(rng.uniform(-0.02, 0.03), -rng.uniform(0.12, 0.24))
        lines.append(_bent(foot, top, face.away(-0.01, 0), rng))
    return _crease(lines, rng.uniform(2, 3.5), rng.uniform(0.6, 1.0, len(lines)), gain=1.2)


def _forehead(low: np.ndarray, high: np.ndarray, face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    lines = []
    first, spacing = rng.uniform(0.14, 0.22), rng.uniform(0.07, 0.11)
    for number in range(rng.integers(2, 5)):
        rise = face.away(0, -first - spacing * number)
        lines.append(_bent(low + rise, high + rise, face.away(0, rng.normal() * 0.02), rng))
    return _crease(lines, rng.uniform(2, 4), rng.uniform(0.5, 1.0, len(lines)))


def _forehead_side(face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    return _forehead(face.of(20, 23), face.of(17, 26), face, rng)


def _forehead_middle(face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    return _forehead(face.points[19], face.points[24], face, rng)


def _chin(face: _Face, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    import cv2

    lip, chin = face.points[57], face.points[8]
    middle = lip + (chin - lip) * rng.uniform(0.3, 0.45)
    arc = _bent(middle + face.away(-0.13, 0.02), middle + face.away(0.13, 0.02), face.away(0, -0.03), rng)
    row, column, field = _crease([arc], rng.uniform(4, 6), np.array([1.0]))
    pebbles = smooth_noise(field.shape, rng.uniform(6, 10), rng).clip(-1.5, 1.5)
    place = np.zeros_like(field)
    centre = np.rint(lip + (chin - lip) * 0.65 - [column, row]).astype(int)
    axes = (int(0.12 * face.unit), int(0.09 * face.unit))
    cv2.ellipse(place, (int(centre[0]), int(centre[1])), axes, 0, 0, 360, 1.0, -1)
    return row, column, field + 0.25 * cv2.GaussianBlur(place, (0, 0), 5) * pebbles


_DRAWN = {
    "crows_feet": _crows_feet,
    "lower_lid": _lower_lid,
    "nasolabial": _nasolabial,
    "nose_side": _nose_side,
    "marionette": _marionette,
    "dimple": _dimple,
    "glabella": _glabella,
    "forehead_side": _forehead_side,
    "forehead_middle": _forehead_middle,
    "chin": _chin,
}
