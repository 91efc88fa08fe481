"""What is classified: 28 expression coefficients, however they are come by, or MediaPipe's 52 blendshapes.

All are computed from the same landmarks of the same photographs, so that what is compared is the features alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.emotion.datasets.contents import Photograph
from models.emotion.detections import LARGEST_SIDE, Detections
from models.emotion.settings import Features
from models.errors import FittingError, ModelMismatchError
from models.expression.concurrency import mapped

if TYPE_CHECKING:
    from models.expression.predictor import Predictor
    from models.morphable_model.model import MorphableModel

# Name -> what it is, for readers.
FEATURES: Mapping[str, str] = {
    Features.deepexp3d: "28 expression coefficients of each photograph by the network",
    Features.image_fit: "28 expression coefficients of a fit of each photograph on its own",
    Features.shared_fit: "28 expression coefficients of a fit in which all photographs of a person share one identity",
    Features.blendshapes: "MediaPipe's 52 blendshape scores",
}

# Those that a face model is fitted for.
FITS = ("image_fit", "shared_fit")
# Faces that go through the network together.
BATCH = 32
# Tasks into which fits are divided for each process.
TASKS = 8

Progress = Callable[[Iterable, str, int | None], Iterable]


@dataclass(frozen=True)
class FeatureTable:
    """Features of F photographs.

    Attributes
    ----------
    paths : of the photographs
    values : (F, D); NaN where there are none
    """

    paths: tuple[Path, ...]
    values: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """(F,) bool, whether there are features."""
        return np.isfinite(self.values).all(axis=1)


@dataclass(frozen=True)
class FeatureSources:
    """What features are computed with; each of them needs but one.

    Attributes
    ----------
    predictor : for `deepexp3d`
    face_model : for the fits; best one that knows the detector
    workers : threads or processes that share the work
    """

    predictor: "Predictor | None" = None
    face_model: "MorphableModel | None" = None
    workers: int = 1


def compute_features(
    name: str,
    photographs: Sequence[Photograph],
    detections: Detections,
    sources: FeatureSources,
    *,
    progress: Progress | None = None,
) -> FeatureTable:
    """Features of photographs whose landmarks are known.

    Parameters
    ----------
    name : a key of `FEATURES`
    photographs : F
    detections : of the same photographs, in the same order
    sources : what to compute them with
    progress : wraps what is gone through, given it, its name and its length; may show a bar

    Raises
    ------
    KeyError
        There are no such features.
    ModelMismatchError
        The predictor or face model that they need is not given.
    WeightsMissingError
        MediaPipe's blendshape network is neither cached nor obtainable.
    """
    compute = {
        "deepexp3d": _network_expressions,
        "image_fit": _single_fits,
        "shared_fit": _shared_fits,
        "blendshapes": _blendshapes,
    }[name]
    show = progress or (lambda items, name, total: items)
    values = compute(photographs, detections, sources, show)
    return FeatureTable(tuple(photograph.path for photograph in photographs), values)


def _network_expressions(photographs, detections, sources, show) -> np.ndarray:
    from models.expression.images import read_photograph
    from models.landmarks.backend import Face, box_around

    predictor = _required(sources.predictor, "the features 'deepexp3d' need a network")

    def crop(index: int):
        points = detections.points[index]
        image = read_photograph(photographs[index].path, LARGEST_SIDE).image
        return predictor.crops(image, [Face(points, box_around(points), 1.0)])

    found = np.flatnonzero(detections.found)
    values = np.full((len(photographs), predictor.expression_size), np.nan)
    crops = mapped(crop, show(found.tolist(), "expressions", len(found)), sources.workers if sources.workers > 1 else 0)
    done = 0
    while batch := list(islice(crops, BATCH)):
        images, landmarks = (np.concatenate([getattr(one, part) for one in batch]) for part in ("images", "landmarks"))
        values[found[done : done + len(batch)]] = predictor.session(images, landmarks)
        done += len(batch)
    return values


def _single_fits(photographs, detections, sources, show) -> np.ndarray:
    groups = [[index] for index in np.flatnonzero(detections.found)]
    return _fitted(groups, detections, sources, show, "fits")


def _shared_fits(photographs, detections, sources, show) -> np.ndarray:
    groups: dict[object, list[int]] = {}
    for index in np.flatnonzero(detections.found):
        # Whoever is not named shares an identity with nobody.
        groups.setdefault(photographs[index].subject or photographs[index].path, []).append(int(index))
    return _fitted(list(groups.values()), detections, sources, show, "fits of people")


def _fitted(groups: Sequence[Sequence[int]], detections, sources, show, name: str) -> np.ndarray:
    """Expressions (F, n_e) in standard deviations, each group of photographs fitted together."""
    from joblib import Parallel, delayed

    model = _required(sources.face_model, "fits need a face model")
    values = np.full((len(detections.points), model.expression_size), np.nan)
    # The model goes to another process with every task: a task is worth that.
    together = 1 if sources.workers == 1 else max(1, len(groups) // (TASKS * sources.workers))
    tasks = [groups[start : start + together] for start in range(0, len(groups), together)]
    work = (delayed(fitted_people)([detections.points[group] for group in task], model) for task in tasks)
    fits = Parallel(n_jobs=sources.workers, return_as="generator")(work)
    for task, people in zip(tasks, show(fits, name, len(tasks)), strict=True):
        for group, expressions in zip(task, people, strict=True):
            values[group] = expressions
    return values


def fitted_people(people: Sequence[np.ndarray], model: "MorphableModel") -> list[np.ndarray]:
    """Expressions (M, n_e), standard deviations, of the photographs (M, 68, 2) of each person, who share an identity.

    NaN where the points allow no fit, as of faces of a few pixels.
    """
    from models.fitting import fit_photographs

    fits = []
    for points in people:
        try:
            fits.append(fit_photographs(points, model).expression / model.expression_std)
        except FittingError:
            fits.append(np.full((len(points), model.expression_size), np.nan))
    return fits


def _blendshapes(photographs, detections, sources, show) -> np.ndarray:
    from models.landmarks.blendshapes import BLENDSHAPE_COUNT, blendshape_network

    scores = blendshape_network()
    values = np.full((len(photographs), BLENDSHAPE_COUNT), np.nan)
    found = np.flatnonzero(np.isfinite(detections.blendshape_points).all(axis=(1, 2)))
    for index in show(found.tolist(), "blendshapes", len(found)):
        values[index] = scores(detections.blendshape_points[index])
    return values


def _required(source, need: str):
    if source is None:
        raise ModelMismatchError(f"{need}, and none was given.")
    return source
