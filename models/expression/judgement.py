"""Rendered faces of known expression as a detector sees them, and what answers about them are worth.

Answers map a method's prefix to expressions (F, n_e) in standard deviations, NaN where a method has none. Figures carry
the prefixes in front of their names. The network's is empty by convention.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from models.expression.contract import NetworkContract
from models.expression.evaluation import evaluate
from models.expression.identity_leakage import chance, identity_leakage, neutral_variance, recognisable
from models.expression.observed_faces import (
    ObservedFaces,
    observe,
    per_frame_expressions,
    single_image_expressions,
)
from models.expression.robustness import mean_squared_error
from models.expression.unseen_people import UnseenFace
from models.fitting.settings import FitSettings
from models.landmarks.backend import LandmarkBackend
from models.morphable_model.model import MorphableModel

PROBE_FOLDS, PROBE_SEED = 6, 0

Answers = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class KnownFaces:
    """Faces with everything that is known of them; expressions are in standard deviations.

    Attributes
    ----------
    faces : as the detector saw them
    truth : (F, n_e), what answers are compared with; NaN where nothing is known
    subject, condition : (F,) strings
    single_image, per_frame : (F, n_e) by the fit of each picture on its own, and by the papers' baseline [31]
    """

    faces: ObservedFaces
    truth: np.ndarray
    subject: np.ndarray
    condition: np.ndarray
    single_image: np.ndarray
    per_frame: np.ndarray

    @classmethod
    def fitted(
        cls,
        faces: ObservedFaces,
        truth: np.ndarray,
        subject: Iterable[str],
        condition: Iterable[str],
        detector_model: MorphableModel,
        settings: FitSettings,
    ) -> "KnownFaces":
        """With the fits' answers.

        Parameters
        ----------
        detector_model : whose landmarks are those that the detector finds (`MorphableModel.with_detector`)
        settings : of the per-frame fit, which takes its noise from there
        """
        return cls(
            faces=faces,
            truth=truth,
            subject=np.array(list(subject)),
            condition=np.array(list(condition)),
            single_image=single_image_expressions(faces, detector_model),
            per_frame=per_frame_expressions(faces, detector_model, settings),
        )

    @classmethod
    def rendered(
        cls,
        pictures: Iterable[UnseenFace],
        backend: LandmarkBackend,
        template: np.ndarray,
        detector_model: MorphableModel,
        settings: FitSettings,
    ) -> "KnownFaces":
        """Rendered faces through a detector, aligned to `template` (68, 2); the rest as for `fitted`."""
        known: list[UnseenFace] = []

        def images() -> Iterator[np.ndarray]:
            for face in pictures:
                # Of thousands of pictures only the aligned faces are kept.
                known.append(replace(face, image=face.image[:0]))
                yield face.image

        faces = observe(images(), backend, template)
        truth = np.stack([face.expression for face in known]) / detector_model.expression_std
        subject, condition = [str(face.subject) for face in known], [face.condition for face in known]
        return cls.fitted(faces, truth, subject, condition, detector_model, settings)

    @classmethod
    def joined(cls, parts: list["KnownFaces"]) -> "KnownFaces":
        """Those of several sets, one after the other."""
        arrays = {
            item.name: np.concatenate([getattr(part, item.name) for part in parts])
            for item in fields(cls)
            if item.name != "faces"
        }
        faces = {
            item.name: np.concatenate([getattr(part.faces, item.name) for part in parts])
            for item in fields(ObservedFaces)
        }
        return cls(ObservedFaces(**faces), **arrays)

    def save(self, path: Path | str) -> None:
        """Write one npz."""
        self.faces.save(path, **{item.name: getattr(self, item.name) for item in fields(self) if item.name != "faces"})

    @classmethod
    def load(cls, path: Path | str) -> "KnownFaces":
        """Read what `save` wrote."""
        faces, others = ObservedFaces.load(path)
        return cls(faces, **others)


def truth_figures(answers: Answers, known: KnownFaces, contract: NetworkContract) -> dict[str, float]:
    """Errors of moments of known truth, and how well a probe recognises the person from each method's answers.

    All methods are compared on the same faces: those of which each has an answer. `rest_mse` is the error of an answer
    that is always zero.
    """
    usable = np.all([np.isfinite(values).all(1) for values in answers.values()], axis=0)
    truth, subject = known.truth[usable], known.subject[usable]
    figures: dict[str, float] = {"moments": int(usable.sum()), "people": len(np.unique(subject))}
    for prefix, values in answers.items():
        errors = evaluate(values[usable], truth, contract)
        for name in ("mse", "mse_mm2", "vertex_rms", "explained_variance"):
            figures[f"{prefix}{name}"] = getattr(errors, name)
    figures["rest_mse"] = float(np.mean(truth**2))
    if len(np.unique(subject[recognisable(truth, subject)])) > 1:
        for prefix, values in answers.items():
            figures[f"{prefix}identity_leakage"] = _leakage(values[usable], subject)
        figures["identity_leakage_true"] = _leakage(truth, subject)
        figures["identity_leakage_chance"] = chance(truth, subject)
    return figures


def view_figures(answers: Answers, known: KnownFaces, contract: NetworkContract) -> dict[str, float]:
    """How far answers about the same moment are apart, "semi-profile" from "frontal" (section IV-A).

    `view_invariance_mse` in squared standard deviations, with `_mm2` in mm^2, and with `_share` over the variance of
    the frontal answers: an answer that is always the same is independent of the view, too.
    """
    frontal, turned = known.condition == "frontal", known.condition == "semi-profile"
    figures: dict[str, float] = {}
    for prefix, values in answers.items():
        both = np.isfinite(values[frontal]).all(1) & np.isfinite(values[turned]).all(1)
        figures[f"{prefix}view_pairs"] = int(both.sum())
        if not both.any():
            continue
        difference = values[turned][both] - values[frontal][both]
        key = f"{prefix}view_invariance_mse"
        figures[key] = float(np.mean(difference**2))
        figures[f"{key}_mm2"] = float(np.mean((difference * contract.expression_std) ** 2))
        if (variance := float(values[frontal][both].var(axis=0).mean())) > 0:
            figures[f"{key}_share"] = figures[key] / variance
    return figures


def neutral_figures(answers: Answers, known: KnownFaces) -> dict[str, float]:
    """`neutral_variance` of each method over the faces at rest, condition "neutral"."""
    rest = known.condition == "neutral"
    return {f"{prefix}neutral_variance": neutral_variance(values[rest]) for prefix, values in answers.items()}


def fitted_figures(answers: Answers, known: KnownFaces) -> dict[str, float]:
    """`fitted_..._mse` against whole-video fits, which stand in the place of the truth, as in section IV-C."""
    figures = {f"fitted_{prefix}mse": mean_squared_error(values, known.truth) for prefix, values in answers.items()}
    return figures | {"fitted_rest_mse": float(np.mean(known.truth**2))}


def _leakage(expressions: np.ndarray, subject: np.ndarray) -> float:
    return identity_leakage(expressions, subject, folds=PROBE_FOLDS, seed=PROBE_SEED)
