"""Expression coefficients as the 52 blend shape weights of Apple's ARKit, for people who animate.

Weights w in [0, 1] minimise `|w U - e|^2 + m (r |w|^2 + s sum(w))`, frame by frame: U (43, n_e) are the model's face
units as expression coefficients, so the first term is what the face's vertices differ by, in mm, and m is the units'
mean squared length. There are more units than coefficients; of weights that give the same face, the ridge r picks those
that use the units least, and the sparsity s those that use few: without it, units that oppose one another share what
neither explains. Weights are not smoothed over time: the whole-video fit has done that.

A model shows neither gaze nor tongue. Those nine names (`missing_names`) are always 0.
"""

import csv
import json
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.morphable_model.model import MorphableModel
from models.storage import written_whole

_EYE = ("eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")
# In the order of the columns that Live Link Face records.
ARKIT_NAMES: tuple[str, ...] = (
    *(f"{name}{side}" for side in ("Left", "Right") for name in _EYE),
    *("jawForward", "jawRight", "jawLeft", "jawOpen"),
    *("mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft"),
    *(f"mouth{name}{side}" for name in ("Smile", "Frown", "Dimple", "Stretch") for side in ("Left", "Right")),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *(f"mouth{name}{side}" for name in ("Press", "LowerDown", "UpperUp") for side in ("Left", "Right")),
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut"),
)
# Live Link Face goes on with rotations of head and eyes, which are not written: their convention is not published.
_ROTATIONS = tuple(f"{part}{angle}" for part in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll"))
_FRAMES_AT_ONCE = 2048
_EXACT = 1e-12


def missing_names(model: MorphableModel) -> tuple[str, ...]:
    """The names of `ARKIT_NAMES` that a model has no face unit for; their weights are always 0.

    Raises
    ------
    ModelMismatchError
        The model has no face units, or units of other names.
    """
    return tuple(np.array(ARKIT_NAMES)[np.setdiff1d(np.arange(52), _columns(model))].tolist())


def arkit_weights(
    expression: np.ndarray, model: MorphableModel, *, ridge: float = 1e-3, sparsity: float = 1e-3
) -> np.ndarray:
    """Blend shape weights (F, 52) in [0, 1], in the order of `ARKIT_NAMES`, of expressions (F, n_e) in mm.

    Parameters
    ----------
    ridge, sparsity : r and s; the ridge above 0, which makes the weights unique, the sparsity at least 0

    Raises
    ------
    ModelMismatchError
        The model has no face units of ARKit's names, or another number of coefficients.
    ValueError
        An expression is not finite, the ridge is not above 0, or the sparsity is below.
    """
    columns = _columns(model)
    expression = np.asarray(expression, np.float64)
    if expression.ndim != 2 or expression.shape[1] != model.expression_size:
        raise ModelMismatchError(
            f"expressions of shape {expression.shape}, but face model '{model.name}' has {model.expression_size} "
            f"coefficients; name the model that the fit was made with."
        )
    if not (np.isfinite(expression).all() and ridge > 0 and sparsity >= 0):
        raise ValueError(
            f"expressions must be finite, the ridge above 0 and the sparsity not below; they are {ridge} and {sparsity}"
        )
    units = np.asarray(model.extras["units"], np.float64)
    gram = units @ units.T
    length = np.trace(gram) / len(gram)
    gram = gram + ridge * length * np.eye(len(gram))
    weights = np.zeros((len(expression), len(ARKIT_NAMES)))
    for start in range(0, len(expression), _FRAMES_AT_ONCE):
        frames = slice(start, start + _FRAMES_AT_ONCE)
        weights[frames, columns] = _bounded_least_squares(gram, expression[frames] @ units.T - sparsity * length / 2)
    return weights


def expression_of_weights(weights: np.ndarray, model: MorphableModel) -> np.ndarray:
    """Expressions (F, n_e) in mm of blend shape weights (F, 52); those that the model lacks move nothing.

    Raises
    ------
    ModelMismatchError
        The model has no face units of ARKit's names.
    """
    return np.asarray(weights)[:, _columns(model)] @ np.asarray(model.extras["units"], np.float64)


def energy_kept(expression: np.ndarray, weights: np.ndarray, model: MorphableModel) -> float:
    """Share of the energy of expressions (F, n_e) that their weights (F, 52) give back: 1 is everything."""
    lost = ((expression_of_weights(weights, model) - expression) ** 2).sum()
    return float(1 - lost / max((np.asarray(expression) ** 2).sum(), np.finfo(float).tiny))


def write_live_link_csv(path: Path | str, weights: np.ndarray, frames_per_second: float) -> None:
    """Write weights (F, 52) in the layout of Live Link Face: Timecode, BlendShapeCount, 52 weights, 9 rotations.

    Names begin with a capital letter; the timecode is hours:minutes:seconds:frames from 0, with thousandths of a frame.
    The rotations of head and eyes are 0.
    """
    names = [f"{name[0].upper()}{name[1:]}" for name in ARKIT_NAMES]
    with written_whole(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["Timecode", "BlendShapeCount", *names, *_ROTATIONS])
        count = len(ARKIT_NAMES) + len(_ROTATIONS)
        for frame, row in enumerate(weights):
            values = [f"{value:.6f}" for value in (*row, *[0.0] * len(_ROTATIONS))]
            writer.writerow([_timecode(frame, frames_per_second), count, *values])


def write_weights_json(
    path: Path | str, weights: np.ndarray, frames_per_second: float, missing: tuple[str, ...]
) -> None:
    """Write weights (F, 52) as JSON: `names`, `missing`, `frames_per_second` and `weights`, a list for each frame."""
    content = {
        "names": ARKIT_NAMES,
        "missing": missing,
        "frames_per_second": frames_per_second,
        "weights": np.round(weights, 6).tolist(),
    }
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content) + "\n")


def _timecode(frame: int, frames_per_second: float) -> str:
    """HH:MM:SS:FF.mmm; frames are counted anew each second of the nominal (whole) rate, as SMPTE's are."""
    nominal = max(1, round(frames_per_second))
    seconds, frames = divmod(frame, nominal)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}:{frames:02d}.000"


def _columns(model: MorphableModel) -> np.ndarray:
    """Place of each of the model's units among `ARKIT_NAMES`."""
    names = [str(name) for name in model.extras.get("unit_names", ())]
    if not names:
        raise ModelMismatchError(
            f"face model '{model.name}' has no face units, which ARKit's weights are made from; use the embedded model "
            f"or ICT-FaceKit."
        )
    if unknown := sorted(set(names) - set(ARKIT_NAMES)):
        raise ModelMismatchError(f"face model '{model.name}' has units that ARKit does not: {', '.join(unknown)}.")
    return np.array([ARKIT_NAMES.index(name) for name in names])


def _bounded_least_squares(gram: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Weights w (F, K) in [0, 1] that minimise `w G w / 2 - b w` for one positive definite G and many b (F, K).

    Active sets, for all frames at once (block principal pivoting, Portugal et al. 1994): units held at a bound whose
    gradient points inwards are let go, free ones beyond a bound are held there. Exchanging all of them at a time ends
    within a few rounds but may go round in circles; a frame in which it has not ended exchanges only the last unit
    from then on, which cannot (Murty's rule).
    """
    count = right.shape[1]
    # -1 held at 0, 0 free, 1 held at 1.
    state = np.full(right.shape, -1, np.int8)
    weights = np.zeros_like(right)
    scale = np.diag(gram).max()
    open_frames = np.arange(len(right))
    for round_ in range(40 + 50 * count):
        held = state[open_frames]
        free = held == 0
        fixed = (held == 1).astype(np.float64)
        system = np.where(free[:, :, None] & free[:, None, :], gram, 0.0)
        system[:, np.arange(count), np.arange(count)] += ~free * scale
        wanted = np.where(free, right[open_frames] - fixed @ gram, 0.0)
        solution = np.linalg.solve(system, wanted[..., None])[..., 0] + fixed
        pull = right[open_frames] - solution @ gram
        weights[open_frames] = solution.clip(0, 1)
        change = np.zeros_like(held)
        change[free & (solution < -_EXACT)] = -1
        change[free & (solution > 1 + _EXACT)] = 1
        let_go = ((held == -1) & (pull > _EXACT * scale)) | ((held == 1) & (pull < -_EXACT * scale))
        wrong = (change != 0) | let_go
        if round_ >= 40:
            last = count - 1 - wrong[:, ::-1].argmax(1)
            wrong &= np.arange(count) == last[:, None]
        state[open_frames] = np.where(wrong, np.where(let_go, 0, change), held)
        open_frames = open_frames[wrong.any(1)]
        if not len(open_frames):
            break
    return weights
