"""What can be set about the emotion classifier, without the libraries that it takes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

# Seeds where no project says others: of photographs that are picked at random, and of folds and searches.
PICK_SEED, SEED = 23, 3

# What happens to photographs in which no face is found: they take no part, or count as told wrong.
WithoutFace = Literal["leave_out", "wrong"]


class Features(StrEnum):
    """What emotions are told from; `models.emotion.features.FEATURES` says what each is."""

    deepexp3d = "deepexp3d"
    image_fit = "image_fit"
    shared_fit = "shared_fit"
    blendshapes = "blendshapes"


@dataclass(frozen=True)
class SearchSettings:
    """What is searched, and how hard.

    Attributes
    ----------
    coding : of `EcocSvm`
    class_weight : of `EcocSvm`
    kernels : those to choose from
    smallest, largest : bounds of box constraint and kernel scale, both searched on a logarithmic scale
    evaluations : how many settings are tried, the first of them C = 1 and the kernel scale sqrt(D); 0 takes that one
    initial_evaluations : how many of them are drawn at random before the model of the error guides the choice
    folds : of the cross-validation that judges a setting
    most_samples : on more of them than this, settings are judged by that many, drawn with the classes' shares kept
    most_iterations : of the solver while settings are judged: those that need more are of no use
    """

    coding: str = "one_vs_all"
    class_weight: str | None = None
    kernels: tuple[str, ...] = ("rbf", "linear")
    smallest: float = 1e-3
    largest: float = 1e3
    evaluations: int = 30
    initial_evaluations: int = 8
    folds: int = 3
    most_samples: int = 3000
    most_iterations: int = 20_000


@dataclass(frozen=True)
class EvaluationSettings:
    """A protocol.

    Attributes
    ----------
    folds : of the outer cross-validation
    repeats : how often the whole of it is done, each time with other folds; None is as often as the protocol says
    search : of the hyper-parameters, inside each training part
    most_samples : a training part of more is replaced by that many, drawn with the classes' shares kept: the time that
        a support vector machine takes grows with the square of its samples
    """

    folds: int = 10
    repeats: int | None = 1
    search: SearchSettings = SearchSettings()
    most_samples: int = 15_000


@dataclass(frozen=True)
class ZeroShotSettings:
    """How a classifier learns emotions from rendered faces alone (`models.emotion.zero_shot`).

    Attributes
    ----------
    people : rendered; each poses all seven emotions once
    intensity : weakest and strongest posing of a prototype
    yaw_spread : degrees of the heads about the frontal view
    resting_spread : how much their faces at rest differ, as in `models.rendering.settings`
    neutral_scatter : root mean square distance from the prototype's rest of real people's neutral vectors, over the
        mean distance from neutral to smile; what an unknown camera adds for everybody included
    scatter : of the other emotions likewise; smaller, because who poses an emotion shows more of it than of chance
    error_share : how much of the scatter has the shape that neutral faces of renders have
    strength_deviation : of the logarithm of the factor on each copy
    copies : of each picture's features
    C : of the classifier
    """

    people: int = 250
    intensity: tuple[float, float] = (0.55, 1.15)
    yaw_spread: float = 12.0
    resting_spread: float = 1.0
    neutral_scatter: float = 0.7
    scatter: float = 0.4
    error_share: float = 0.5
    strength_deviation: float = 0.25
    copies: int = 8
    C: float = 1.0
