"""From answers to figures. Expressions are in standard deviations throughout, unless a name says millimetres."""

from pathlib import Path

import numpy as np

from benchmarks.expression.faces import TestSets
from models.expression.judgement import KnownFaces, fitted_figures, neutral_figures, truth_figures, view_figures
from models.expression.neutral_smile import (
    SmileRule,
    complete_pairs,
    measure_pairs,
    measure_subgroups,
    subgroups,
)
from models.expression.observed_faces import network_expressions
from models.expression.robustness import RobustnessCurve, flat_figures, robustness_curves
from models.expression.runtime import NetworkSession

# Every so-manieth person's skin is kept from the training of the networks that come with the project.
HELD_OUT = 3
# Keys that others rely on, by those of the pattern that all figures follow.
RENAMED = {"per_frame_mse": "per_frame_baseline_mse", "fitted_per_frame_mse": "fitted_per_frame_baseline_mse"}


def answers(session: NetworkSession, known: KnownFaces) -> dict[str, np.ndarray]:
    """Expressions (F, n_e) by every method, under the prefix of its keys; the network's is empty."""
    return {
        "": network_expressions(session, known.faces),
        "single_image_": known.single_image,
        "per_frame_": known.per_frame,
    }


def measure_all(
    session: NetworkSession, sets: TestSets, london: Path | None
) -> tuple[dict[str, float], list[RobustnessCurve]]:
    """All figures but those of emotions, and the curves of which some of them are."""
    contract = session.contract
    posing = sets.neutral_and_smile()
    moments, filmed, pairs = sets.moments(), sets.filmed(), sets.view_pairs()
    figures = truth_figures(answers(session, moments), moments, contract)
    figures |= fitted_figures(answers(session, filmed), filmed)
    figures |= view_figures(answers(session, pairs), pairs, contract)
    figures |= neutral_figures(answers(session, posing), posing)
    under_severities, curves = measure_robustness(session, sets.degraded())
    figures |= under_severities
    if london:
        figures |= measure_london(session, sets.london(london), posing, london)
    return {RENAMED.get(name, name): value for name, value in figures.items()}, curves


def measure_robustness(session: NetworkSession, known: KnownFaces) -> tuple[dict[str, float], list[RobustnessCurve]]:
    """Errors under severities, as figures and as curves of the network and the fit of single images."""
    found = answers(session, known)
    curves = robustness_curves(
        known.condition, known.truth, {"network": found[""], "single_image": found["single_image_"]}
    )
    return {key.replace("_network_", "_"): value for key, value in flat_figures(curves).items()}, curves


def measure_london(session: NetworkSession, known: KnownFaces, rendered: KnownFaces, folder: Path) -> dict[str, float]:
    """Figures of photographs of real people, and of a rule that only rendered ones taught.

    Parameters
    ----------
    known : photographs
    rendered : rendered people at rest and smiling, from whom the rule is learned
    folder : holds `subjects.csv`
    """
    std = session.contract.expression_std
    learned, found = answers(session, rendered), answers(session, known)
    figures: dict[str, float] = {}
    for prefix, values in found.items():
        neutral, smiling, people = complete_pairs(values, list(known.subject), list(known.condition))
        posed = [learned[prefix][(rendered.condition == name) & rendered.faces.found] for name in ("neutral", "happy")]
        rule = SmileRule.learned(*posed)
        mm_rule = SmileRule.learned(*(part * std for part in posed))
        of_method = measure_pairs(neutral * std, smiling * std)
        of_method |= {f"{key}_std": value for key, value in measure_pairs(neutral, smiling).items()}
        of_method["accuracy"] = rule.accuracy(neutral, smiling)
        of_method["accuracy_mm"] = mm_rule.accuracy(neutral * std, smiling * std)
        of_method["people"] = len(people)
        unseen = np.isin(people, sorted(people)[HELD_OUT - 1 :: HELD_OUT])
        of_method["unseen_accuracy"] = rule.accuracy(neutral[unseen], smiling[unseen])
        of_unseen = measure_pairs(neutral[unseen] * std, smiling[unseen] * std)
        of_method |= {f"unseen_{key}": of_unseen[key] for key in ("spread", "offset", "cosine")}
        if not prefix:
            groups = subgroups(folder)
            of_method |= measure_subgroups(neutral * std, smiling * std, mm_rule, [groups[name] for name in people])
        figures |= {f"{prefix}london_{key}": value for key, value in of_method.items()}
    return figures
