"""Random heads for the identity basis: MakeHuman's macro and face sliders, drawn as people differ.

Baby ages and large sliders of the skull are left out, and sliders that move as expressions do are kept small:
otherwise the shape of the skull, or the pull of the mouth, would fill the identity basis.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.morphable_model import makehuman

_SECTIONS = ["head", "forehead", "eyes", "eyebrows", "nose", "mouth", "ears", "chin", "cheek", "neck", "asym"]
_OPPOSITES = [
    ("incr", "decr"), ("up", "down"), ("in", "out"), ("forward", "backward"), ("convex", "concave"),
    ("big", "small"), ("compress", "uncompress"), ("square", "round"), ("pointed", "triangle"),
    ("1-l", "1-r"), ("2-l", "2-r"), ("3-l", "3-r"), ("4-l", "4-r"), ("straight", "curved"),
]  # fmt: skip
# How alike the sliders of the right and the left half are.
_SIDE_CORRELATION = 0.9


@dataclass(frozen=True)
class HeadSliders:
    """Offsets of all sliders on N vertices.

    Attributes
    ----------
    macro : name -> (N, 3) offsets for ethnicity, gender, age, muscle and weight, from the base mesh
    positive, negative : (B, N, 3) the two ends of the bipolar face sliders
    deviation : (B,) standard deviation of each bipolar slider, whose full way is 1
    pair : (B,) sliders of the right and the left half share a number
    unipolar : (S, N, 3) sliders with one end
    """

    macro: dict[str, np.ndarray]
    positive: np.ndarray
    negative: np.ndarray
    deviation: np.ndarray
    pair: np.ndarray
    unipolar: np.ndarray


def read_head_sliders(folder: Path, vertices: np.ndarray, vertex_count: int) -> HeadSliders:
    """Read the sliders of face and head for some vertices of the base mesh."""
    macro = makehuman.read_targets(folder, "macrodetails", vertices, vertex_count)
    ends = {}
    for section in _SECTIONS:
        for name, offsets in makehuman.read_targets(folder, section, vertices, vertex_count).items():
            # The rest of `asym` moves the body; offsets of nothing are those that miss the head.
            if not name.startswith("asymm-") and np.abs(offsets).max() > 0.01:
                ends[f"{section}/{name}"] = offsets
    pairs, unipolar = _paired_ends(sorted(ends))
    keys = [re.sub(r"/[lr]-", "/", first) for first, _ in pairs]
    return HeadSliders(
        macro,
        np.stack([ends[first] for first, _ in pairs]),
        np.stack([ends[second] for _, second in pairs]),
        np.array([_deviation(first) for first, _ in pairs]),
        np.unique(keys, return_inverse=True)[1],
        np.stack([ends[name] for name in unipolar]),
    )


def sample_heads(base: np.ndarray, sliders: HeadSliders, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random heads (count, N, 3), float32, mm: `base` (N, 3) plus sliders."""
    names = sorted(sliders.macro)
    macro = np.stack([_macro_weights(names, rng) for _ in range(count)])
    shared = rng.normal(size=(count, sliders.pair.max() + 1))[:, sliders.pair]
    own = rng.normal(size=shared.shape)
    bipolar = (_SIDE_CORRELATION * shared + np.sqrt(1 - _SIDE_CORRELATION**2) * own) * sliders.deviation
    bipolar = np.clip(bipolar, -1, 1)
    unipolar = np.clip(rng.normal(-0.1, 0.25, (count, len(sliders.unipolar))), 0, 0.8)
    weights = np.concatenate([macro, np.maximum(bipolar, 0), np.maximum(-bipolar, 0), unipolar], 1)
    offsets = np.concatenate(
        [np.stack([sliders.macro[name] for name in names]), sliders.positive, sliders.negative, sliders.unipolar]
    )
    heads = weights.astype(np.float32) @ offsets.reshape(len(offsets), -1).astype(np.float32)
    return heads.reshape(count, *base.shape) + base.astype(np.float32)


def _paired_ends(names: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Names of sliders that are two ends of one, and of those that stand alone."""
    known, taken, pairs, alone = set(names), set(), [], []
    for name in names:
        if name in taken:
            continue
        other = next(
            (
                name.removesuffix(mine) + its
                for end in _OPPOSITES
                for mine, its in (end, end[::-1])
                if name.endswith(f"-{mine}") and name.removesuffix(mine) + its in known
            ),
            None,
        )
        taken.add(name)
        if other is None or other in taken:
            alone.append(name)
        else:
            taken.add(other)
            pairs.append((name, other))
    return pairs, alone


def _deviation(name: str) -> float:
    if name.startswith(("head/", "forehead/", "asym/")):
        return 0.15
    # Translations act like pose, mouth angles like expression.
    if "trans" in name or name.startswith("neck/") or "mouth-angles" in name or "scale-depth" in name:
        return 0.2
    return 0.35


def _macro_weights(names: list[str], rng: np.random.Generator) -> np.ndarray:
    """Weights of the macro sliders for one random person; MakeHuman's own scales, on which 0.5 is a young adult."""
    gender = _interpolated(rng.beta(0.5, 0.5), {"female": 0.0, "male": 1.0})
    age = _interpolated(
        np.clip(rng.normal(0.55, 0.2), 0.3, 1), {"baby": 0.0, "child": 0.1875, "young": 0.5, "old": 1.0}
    )
    ethnicity = dict(zip(("african", "asian", "caucasian"), rng.dirichlet([0.5] * 3), strict=True))
    muscle = _interpolated(
        np.clip(rng.normal(0.5, 0.2), 0, 1), {"minmuscle": 0.0, "averagemuscle": 0.5, "maxmuscle": 1.0}
    )
    weight = _interpolated(
        np.clip(rng.normal(0.5, 0.2), 0, 1), {"minweight": 0.0, "averageweight": 0.5, "maxweight": 1.0}
    )
    scales = gender | age | ethnicity | muscle | weight | {"universal": 1.0}
    return np.array([np.prod([scales.get(word, 0.0) for word in name.split("-")]) for name in names])


def _interpolated(value: float, anchors: dict[str, float]) -> dict[str, float]:
    """Piecewise-linear weights of named anchors at a value."""
    positions = list(anchors.values())
    return {name: float(np.interp(value, positions, np.eye(len(anchors))[k])) for k, name in enumerate(anchors)}
