"""How far e tells an expression from a person, on pairs of pictures: everybody once neutral, once smiling.

Of a perfect e all neutral faces are zero and all smiles lie beyond one threshold, whoever smiles.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import ImageError

# Ages at which the people of a set are divided.
AGE_LIMITS = (25, 35)


@dataclass(frozen=True)
class PairedPhotograph:
    """One of the two pictures of a person: `expression` is "neutral" or "happy"."""

    path: Path
    subject: str
    expression: str


def paired_photographs(folder: Path | str) -> list[PairedPhotograph]:
    """The photographs that a folder's `manifest.csv` (file, subject, expression) lists: neutral and happy ones.

    Raises
    ------
    ImageError
        There is no such table, or it lacks a column.
    """
    path = Path(folder) / "manifest.csv"
    return [
        PairedPhotograph(path.parent / row["file"], row["subject"], row["expression"])
        for row in _rows(path, {"file", "subject", "expression"})
        if row["expression"] in ("neutral", "happy")
    ]


def subgroups(folder: Path | str) -> dict[str, dict[str, str]]:
    """Groups of each subject from `subjects.csv` (face_id, face_age, face_gender, face_eth): age, gender, ethnicity.

    Raises
    ------
    ImageError
        There is no such table, or it lacks a column.
    """
    rows = _rows(Path(folder) / "subjects.csv", {"face_id", "face_age", "face_gender", "face_eth"})
    return {
        row["face_id"]: {
            "age": _age_group(row["face_age"]),
            "gender": row["face_gender"].strip().lower(),
            "ethnicity": row["face_eth"].strip().lower().replace(" ", "_").replace("/", "_"),
        }
        for row in rows
    }


def _rows(path: Path, columns: set[str]) -> list[dict[str, str]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); name the folder that holds it.") from error
    if missing := columns - set(rows[0] if rows else ()):
        raise ImageError(f"{path}: lacks the column {', '.join(sorted(missing))}; complete it.")
    return rows


def _age_group(age: str) -> str:
    try:
        years = float(age)
    except ValueError:
        return "unknown"
    young, old = AGE_LIMITS
    return f"under_{young}" if years < young else f"{young}_to_{old - 1}" if years < old else f"{old}_and_over"


def complete_pairs(
    features: np.ndarray, subjects: list[str], expressions: list[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Neutral and smiling features (P, D) of those people of whom both are known (finite), and who they are.

    Parameters
    ----------
    features : (F, D), NaN where no face was found
    subjects, expressions : of each row; the latter "neutral" or "happy"
    """
    known: dict[str, dict[str, np.ndarray]] = {}
    for row, subject, expression in zip(features, subjects, expressions, strict=True):
        if np.isfinite(row).all():
            known.setdefault(subject, {})[expression] = row
    people = [subject for subject, pair in known.items() if len(pair) == 2]
    neutral = np.array([known[subject]["neutral"] for subject in people]).reshape(len(people), -1)
    smiling = np.array([known[subject]["happy"] for subject in people]).reshape(len(people), -1)
    return neutral, smiling, people


def measure_pairs(neutral: np.ndarray, smiling: np.ndarray) -> dict[str, float]:
    """Figures of neutral and smiling faces (P, D) of the same people, in the same units.

    Returns
    -------
    spread : root mean square distance of the neutral vectors from their mean, over the mean distance from neutral to
        smile
    offset : length of the mean neutral vector over the same
    cosine : mean over pairs of people of the cosine of the angle between their smiles (smiling less neutral)
    best_accuracy : of neutral against smiling by the best threshold on the mean smile, learned on the same faces
    """
    smile = smiling - neutral
    distance = np.linalg.norm(smile, axis=1)
    direction = smile / distance[:, None]
    count = len(smile)
    return {
        "spread": float(np.sqrt(np.sum((neutral - neutral.mean(0)) ** 2, 1).mean()) / distance.mean()),
        "offset": float(np.linalg.norm(neutral.mean(0)) / distance.mean()),
        "cosine": float((np.sum(direction.sum(0) ** 2) - count) / (count * (count - 1))),
        "best_accuracy": best_accuracy(neutral @ smile.mean(0), smiling @ smile.mean(0)),
    }


def best_accuracy(negative: np.ndarray, positive: np.ndarray) -> float:
    """Share of right answers of the best threshold on scores (N,) and (M,), positives above it."""
    scores = np.concatenate([negative, positive])
    thresholds = np.append(-np.inf, scores)
    right = (negative[:, None] <= thresholds).sum(0) + (positive[:, None] > thresholds).sum(0)
    return float(right.max() / len(scores))


@dataclass(frozen=True)
class SmileRule:
    """A face smiles where `direction . e` is above `threshold`."""

    direction: np.ndarray
    threshold: float

    @classmethod
    def learned(cls, neutral: np.ndarray, smiling: np.ndarray, scatter: float = 0.15) -> "SmileRule":
        """The rule between rendered neutral (N, D) and smiling faces (M, D), for real people.

        The direction is that of the means, not Fisher's: people differ otherwise than renders do, and what varies
        little among these must not be given weight for that. The threshold lies where both kinds are equally many of
        their own standard deviations away, so that smiles, of which there are weak and strong ones, may vary more.

        Parameters
        ----------
        scatter : standard deviation of what real faces scatter along the direction and renders do not, over the
            distance between the means
        """
        direction = smiling.mean(0) - neutral.mean(0)
        distance = np.linalg.norm(direction)
        direction /= distance
        low, high = neutral @ direction, smiling @ direction
        deviations = [np.hypot(scores.std(), scatter * distance) for scores in (low, high)]
        share = deviations[0] / max(sum(deviations), np.finfo(float).tiny)
        return cls(direction, float(low.mean() + share * distance))

    def smiles(self, expressions: np.ndarray) -> np.ndarray:
        """Whether each face (F, D) smiles, (F,) bool."""
        return expressions @ self.direction > self.threshold

    def accuracy(self, neutral: np.ndarray, smiling: np.ndarray) -> float:
        """Share of right answers on neutral (N, D) and smiling (M, D) faces."""
        right = (~self.smiles(neutral)).sum() + self.smiles(smiling).sum()
        return float(right / (len(neutral) + len(smiling)))


def measure_subgroups(
    neutral: np.ndarray, smiling: np.ndarray, rule: SmileRule, groups: list[dict[str, str]], least: int = 5
) -> dict[str, float]:
    """Figures by subgroup, distances over everybody's mean distance from neutral to smile.

    `people_KIND_GROUP`; `spread_KIND_GROUP` about the mean neutral face of everybody; `offset_KIND_GROUP`, how far the
    group's mean neutral face is from everybody's: what a network takes for the expression of a whole group; and
    `accuracy_KIND_GROUP` of the rule.

    Parameters
    ----------
    groups : of each person, kind to group, as `subgroups` gives them
    least : groups of fewer people are left out: one face more or less would make their figures
    """
    distance = np.linalg.norm(smiling - neutral, axis=1).mean()
    from_mean = neutral - neutral.mean(0)
    figures: dict[str, float] = {}
    for kind in groups[0] if groups else ():
        names = np.array([group[kind] for group in groups])
        for name in sorted(set(names)):
            chosen = names == name
            if chosen.sum() < least:
                continue
            figures[f"people_{kind}_{name}"] = int(chosen.sum())
            figures[f"spread_{kind}_{name}"] = float(np.sqrt(np.sum(from_mean[chosen] ** 2, 1).mean()) / distance)
            figures[f"offset_{kind}_{name}"] = float(np.linalg.norm(from_mean[chosen].mean(0)) / distance)
            figures[f"accuracy_{kind}_{name}"] = rule.accuracy(neutral[chosen], smiling[chosen])
    return figures
