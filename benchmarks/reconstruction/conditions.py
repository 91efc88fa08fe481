"""The fit under every simulated condition."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from models.fitting import FitSettings, Reconstruction, fit_video
from models.fitting.evaluation import evaluate
from models.fitting.simulation import OTHER_EXPRESSIONS, SimulatedVideo, SimulationSettings, simulate_video
from models.morphable_model import MorphableModel

FIRST_SEED = 10


@dataclass(frozen=True)
class Condition:
    """What videos are like, and how many of them are measured."""

    settings: SimulationSettings
    videos: int

    def simulate(self, model: MorphableModel) -> list[SimulatedVideo]:
        return [simulate_video(model, self.settings, FIRST_SEED + number) for number in range(self.videos)]


def usual_condition(model: MorphableModel, quick: bool) -> Condition:
    """1,000 frames at 1 % noise; a model without face units moves as its prior says."""
    generator = "natural" if "units" in model.extras else "process"
    settings = SimulationSettings(frames=400 if quick else 1000, expression=generator)
    return Condition(settings, videos=2 if quick else 6)


def conditions(model: MorphableModel, quick: bool) -> dict[str, Condition]:
    """By the suffix that their keys have; other generators only for a model with the units that they move."""
    usual = usual_condition(model, quick)

    def changed(**changes) -> Condition:
        return replace(usual, settings=replace(usual.settings, **changes))

    occluded = {"occluded": 0.1, "lost": 0.05}
    chosen = {
        "": usual,
        "_noise_0.3": changed(noise=0.003),
        "_noise_2": changed(noise=0.02),
        "_bias": changed(bias=0.01),
        "_outliers": changed(outliers=0.1),
        "_occluded": changed(**occluded),
        "_frontal": changed(yaw=0.0, pitch=0.0, roll=0.0),
        "_all_at_once": changed(bias=0.01, outliers=0.1, **occluded),
        **({f"_{name}": changed(expression=name) for name in OTHER_EXPRESSIONS} if "units" in model.extras else {}),
        "_200": changed(frames=200),
    }
    if not quick:
        chosen["_2000"] = replace(changed(frames=2000), videos=3)
        chosen["_10000"] = replace(changed(frames=10000), videos=1)
    return chosen


def measure_conditions(model: MorphableModel, quick: bool, progress: Callable[[str], None]) -> dict[str, float]:
    """All measures under all conditions, by key; `progress` is told of each condition that is done."""
    figures: dict[str, float] = {}
    for suffix, condition in conditions(model, quick).items():
        measured = [_measure(model, video) for video in condition.simulate(model)]
        figures |= _mean([whole for whole, _ in measured], suffix)
        hidden = [values for _, values in measured if values]
        if suffix == "_occluded" and hidden:
            figures |= _mean(hidden, "_hidden")
        share = figures[f"unexplained_expression_variance{suffix}"]
        progress(f"{suffix.lstrip('_') or 'usual videos'}: {share:.3f} of the expression unexplained")
    for measure in _measures(figures, f"_{OTHER_EXPRESSIONS[-1]}"):
        others = [figures[f"{measure}_{name}"] for name in OTHER_EXPRESSIONS]
        figures[f"{measure}_other_generator"] = float(np.mean(others))
    figures["frontal_only_ratio"] = (
        figures["unexplained_expression_variance_frontal"] / figures["unexplained_expression_variance"]
    )
    return figures


def fit_at(fit: Reconstruction, frames: np.ndarray) -> Reconstruction:
    """A fit of some of its frames only."""
    names = ["expression", "rotation", "scale", "translation", "residual"]
    names += ["identity"] if fit.identity.ndim == 2 else []
    names += ["expression_std"] if len(fit.expression_std) else []
    return replace(fit, **{name: getattr(fit, name)[frames] for name in names})


def _measure(model: MorphableModel, video: SimulatedVideo) -> tuple[dict[str, float], dict[str, float]]:
    """Measures of the fit of a video, and of its frames with missing landmarks, if any."""
    fit = fit_video(video.landmarks, model, FitSettings(uncertainty=True))
    hidden = np.flatnonzero(video.hidden)
    if not len(hidden):
        return evaluate(fit, video, model), {}
    of_hidden = evaluate(fit_at(fit, hidden), video.at(hidden), model)
    # Frames that are not neighbours have no second differences, and some have no landmarks to be compared with.
    meaningful = of_hidden.keys() - {"jitter", "reprojection_residual"}
    return evaluate(fit, video, model), {name: of_hidden[name] for name in sorted(meaningful)}


def _mean(rows: list[dict[str, float]], suffix: str) -> dict[str, float]:
    return {f"{name}{suffix}": float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _measures(figures: dict[str, float], suffix: str) -> list[str]:
    return [name.removesuffix(suffix) for name in figures if name.endswith(suffix)]
