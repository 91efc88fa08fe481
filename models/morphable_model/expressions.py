"""Natural expression over time: sparse, left-right correlated, smooth activations of named face units.

Activations of single units, drawn independently, give faces that nobody makes. What moves a face are events: a posed
or spontaneous emotion, a few units together, a blink, speech. Each event raises some units along a smooth envelope;
events overlap and saturate. The same sampler estimates the expression prior of the embedded model and drives the
synthetic heads.

Emotion prototypes follow the action units of EMFACS (Ekman and Friesen, 1983), mapped to ARKit-named units.
"""

from dataclasses import dataclass

import numpy as np

# Units with a left and a right half are named without side.
_PAIRED = (
    *("browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown"),
    *("mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer"),
)
_SINGLE = (
    *("browInnerUp", "cheekPuff", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel"),
    *("mouthLeft", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower"),
    "mouthShrugUpper",
)
UNIT_GROUPS: dict[str, tuple[str, ...]] = {name: (f"{name}Left", f"{name}Right") for name in _PAIRED} | {
    name: (name,) for name in _SINGLE
}
EXPRESSION_UNITS: tuple[str, ...] = tuple(sorted(name for names in UNIT_GROUPS.values() for name in names))

# Sideways jaw and mouth occur far less often than the rest.
_RARE = {"cheekPuff", "jawForward", "jawLeft", "jawRight", "mouthLeft", "mouthRight"}


@dataclass(frozen=True)
class Movement:
    """How far a unit group goes at full intensity of an emotion, and how often it takes part at all."""

    low: float
    high: float
    probability: float = 1.0


EMOTION_PROTOTYPES: dict[str, dict[str, Movement]] = {
    "neutral": {},
    # AU 4 + 5 + 7 + 23 / 24
    "angry": {
        "browDown": Movement(0.5, 1.0),
        "eyeSquint": Movement(0.1, 0.8),
        "eyeWide": Movement(0.1, 0.6, 0.3),
        "mouthPress": Movement(0.2, 0.9, 0.7),
        "noseSneer": Movement(0.1, 0.6, 0.5),
        "mouthRollLower": Movement(0.1, 0.6, 0.4),
        "mouthRollUpper": Movement(0.1, 0.6, 0.4),
        "mouthShrugLower": Movement(0.1, 0.5, 0.4),
        "mouthFrown": Movement(0.1, 0.5, 0.3),
    },
    # AU 9 + 10 + 4 + 15 / 17
    "disgusted": {
        "noseSneer": Movement(0.4, 1.0),
        "mouthUpperUp": Movement(0.2, 0.9),
        "browDown": Movement(0.2, 0.8, 0.8),
        "eyeSquint": Movement(0.1, 0.8, 0.8),
        "cheekSquint": Movement(0.1, 0.7, 0.6),
        "mouthFrown": Movement(0.1, 0.5, 0.4),
        "mouthShrugLower": Movement(0.1, 0.6, 0.4),
        "jawOpen": Movement(0.05, 0.25, 0.3),
    },
    # AU 1 + 2 + 4 + 5 + 20 + 25 / 26
    "fearful": {
        "browInnerUp": Movement(0.4, 1.0),
        "eyeWide": Movement(0.3, 1.0),
        "mouthStretch": Movement(0.3, 1.0),
        "jawOpen": Movement(0.05, 0.4, 0.8),
        "browOuterUp": Movement(0.1, 0.5, 0.5),
        "browDown": Movement(0.1, 0.5, 0.4),
        "mouthLowerDown": Movement(0.1, 0.6, 0.5),
    },
    # AU 6 + 12 (+ 25)
    "happy": {
        "mouthSmile": Movement(0.4, 1.0),
        "cheekSquint": Movement(0.2, 1.0),
        "eyeSquint": Movement(0.1, 0.5, 0.5),
        "mouthUpperUp": Movement(0.1, 0.5, 0.6),
        "mouthLowerDown": Movement(0.1, 0.4, 0.5),
        "jawOpen": Movement(0.05, 0.35, 0.5),
        "mouthDimple": Movement(0.1, 0.5, 0.3),
    },
    # AU 1 + 4 + 15 + 17
    "sad": {
        "browInnerUp": Movement(0.3, 1.0),
        "mouthFrown": Movement(0.3, 1.0),
        "mouthShrugLower": Movement(0.2, 0.9, 0.8),
        "browDown": Movement(0.1, 0.4, 0.4),
        "eyeSquint": Movement(0.1, 0.5, 0.4),
        "mouthPress": Movement(0.1, 0.4, 0.3),
        "eyeBlink": Movement(0.05, 0.35, 0.3),
    },
    # AU 1 + 2 + 5 + 26 / 27
    "surprised": {
        "browInnerUp": Movement(0.4, 1.0),
        "browOuterUp": Movement(0.4, 1.0),
        "eyeWide": Movement(0.3, 1.0),
        "jawOpen": Movement(0.25, 0.9),
        "mouthFunnel": Movement(0.1, 0.4, 0.3),
    },
}


@dataclass(frozen=True)
class ExpressionSettings:
    """How much and how often a synthetic face moves.

    Attributes
    ----------
    events_per_second : emotions and small unit combinations that begin in a second
    emotion_share : share of those events that are emotions
    blinks_per_second : blinks that begin in a second
    speech_share : share of a sequence, on average, during which the mouth talks
    asymmetry : relative standard deviation between the left and the right half of a paired unit
    """

    events_per_second: float = 0.5
    emotion_share: float = 0.5
    blinks_per_second: float = 0.25
    speech_share: float = 0.25
    asymmetry: float = 0.12


def sample_activations(
    frames: int, rng: np.random.Generator, settings: ExpressionSettings | None = None, frames_per_second: float = 30.0
) -> np.ndarray:
    """Activations (F, K) in [0, 1] of `EXPRESSION_UNITS` for a sequence of natural expression."""
    settings = settings or ExpressionSettings()
    time = np.arange(frames) / frames_per_second
    duration = frames / frames_per_second
    # What is left of each unit's rest: overlapping events saturate towards 1 instead of adding up beyond it.
    slack = np.ones((frames, len(EXPRESSION_UNITS)))
    # Events that began before the first frame may still be going on.
    lead = 2.0
    for start in rng.uniform(-lead, duration, rng.poisson(settings.events_per_second * (duration + lead))):
        if rng.random() < settings.emotion_share:
            emotion = list(EMOTION_PROTOTYPES)[rng.integers(1, len(EMOTION_PROTOTYPES))]
            peak = emotion_activations(emotion, rng.uniform(0.3, 1.1), rng, settings.asymmetry)
        else:
            peak = _small_combination(rng, settings.asymmetry)
        rise, hold, fall = rng.uniform(0.25, 0.9), rng.exponential(1.0), rng.uniform(0.3, 1.3)
        slack *= 1 - _envelope(time - start, rise, hold, fall)[:, None] * peak
    for start in rng.uniform(-0.3, duration, rng.poisson(settings.blinks_per_second * (duration + 0.3))):
        peak = group_activations({"eyeBlink": rng.uniform(0.8, 1.0)}, rng, 0.02)
        slack *= 1 - _envelope(time - start, 0.1, 0.03, rng.uniform(0.12, 0.2))[:, None] * peak
    slack *= 1 - _speech(time, rng, settings.speech_share)
    return _reconciled(1 - slack)


def emotion_activations(
    emotion: str, intensity: float, rng: np.random.Generator, asymmetry: float = 0.12
) -> np.ndarray:
    """Activations (K,) of one rendering of an emotion: its prototype's units, each as strong as chance has it."""
    strengths = {
        group: intensity * rng.uniform(movement.low, movement.high)
        for group, movement in EMOTION_PROTOTYPES[emotion].items()
        if rng.random() < movement.probability
    }
    return _reconciled(group_activations(strengths, rng, asymmetry))


def incidental_activations(rng: np.random.Generator, asymmetry: float = 0.12) -> np.ndarray:
    """Activations (K,) of the faint, meaningless movements that come with any expression."""
    # Eyes closed by a blink are left to those who sample over time.
    groups = [group for group in UNIT_GROUPS if group != "eyeBlink"]
    strengths = {group: rng.beta(1.2, 4.0) for group in groups if rng.random() < (0.02 if group in _RARE else 0.08)}
    return _reconciled(group_activations(strengths, rng, asymmetry))


def combined_activations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two expressions at once (..., K); units saturate towards 1."""
    return _reconciled(1 - (1 - first) * (1 - second))


def _small_combination(rng: np.random.Generator, asymmetry: float) -> np.ndarray:
    groups = list(UNIT_GROUPS)
    weights = np.array([0.3 if group in _RARE else 1.0 for group in groups])
    chosen = rng.choice(len(groups), rng.integers(1, 5), replace=False, p=weights / weights.sum())
    strengths = {groups[k]: rng.beta(1.5, 1.5) for k in chosen}
    peak = group_activations(strengths, rng, asymmetry)
    if rng.random() < 0.15:
        # One side of the face alone, as in a smirk or a single raised brow.
        side = "Left" if rng.random() < 0.5 else "Right"
        peak[[k for k, name in enumerate(EXPRESSION_UNITS) if name.endswith(side) and name[:-4] in _PAIRED]] *= 0.1
    return peak


def group_activations(strengths: dict[str, float], rng: np.random.Generator, asymmetry: float) -> np.ndarray:
    """Activations (K,) of unit groups, each as strong as named, and differing a little between the sides."""
    activations = np.zeros(len(EXPRESSION_UNITS))
    for group, strength in strengths.items():
        for name in UNIT_GROUPS[group]:
            activations[EXPRESSION_UNITS.index(name)] = np.clip(strength * (1 + asymmetry * rng.normal()), 0, 1)
    return activations


def _smoothstep(x: np.ndarray) -> np.ndarray:
    """Minimum-jerk step from 0 at x <= 0 to 1 at x >= 1."""
    x = np.clip(x, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def _envelope(time: np.ndarray, rise: float, hold: float, fall: float) -> np.ndarray:
    return _smoothstep(time / rise) * (1 - _smoothstep((time - rise - hold) / fall))


def _speech(time: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """Activations (F, K) of talking: jaw and lips follow a few incommensurate waves at the rate of syllables."""
    activations = np.zeros((len(time), len(EXPRESSION_UNITS)))
    if rng.random() >= 2 * share:
        return activations
    start, length = rng.uniform(-0.3, 0.7) * time[-1], rng.uniform(0.3, 0.7) * max(time[-1], 1.0)
    talking = _envelope(time - start, 0.3, length, 0.3)
    ranges = {
        "jawOpen": 0.35,
        "mouthFunnel": 0.4,
        "mouthPucker": 0.35,
        "mouthClose": 0.25,
        "mouthLowerDown": 0.4,
        "mouthUpperUp": 0.2,
        "mouthStretch": 0.25,
    }
    for group, largest in ranges.items():
        waves = sum(np.sin(2 * np.pi * (rng.uniform(0.7, 3.5) * time + rng.random())) for _ in range(3)) / 3
        wave = largest * rng.uniform(0.4, 1.0) * np.clip(0.3 + waves, 0, 1)
        for name in UNIT_GROUPS[group]:
            activations[:, EXPRESSION_UNITS.index(name)] = talking * wave
    return activations


def _reconciled(activations: np.ndarray) -> np.ndarray:
    """Activations (..., K) without contradictions: a closing eye is not wide, closed lips need an open jaw."""
    activations = np.array(activations)
    column = EXPRESSION_UNITS.index
    for side in ("Left", "Right"):
        activations[..., column(f"eyeWide{side}")] *= 1 - activations[..., column(f"eyeBlink{side}")]
        activations[..., column(f"eyeSquint{side}")] *= 1 - 0.7 * activations[..., column(f"eyeBlink{side}")]
    closing, opening = column("mouthClose"), column("jawOpen")
    activations[..., closing] = np.minimum(activations[..., closing], activations[..., opening])
    return activations
