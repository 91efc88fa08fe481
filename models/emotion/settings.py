"""What can be set about the emotion classifier, without the libraries that it takes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchSettings:
    """What is searched, and how hard.

    Attributes
    ----------
    coding : of `EcocSvm`
    class_weight : of `EcocSvm`
    kernels : those to choose from
    smallest, largest : bounds of box constraint and kernel scale, both searched on a logarithmic scale
    evaluations : how many settings are tried; 0 takes C = 1 and the kernel scale sqrt(D)
    initial_evaluations : how many of them are drawn at random before the model of the error guides the choice
    folds : of the cross-validation that judges a setting
    """

    coding: str
    class_weight: str | None
    kernels: tuple[str, ...]
    smallest: float
    largest: float
    evaluations: int
    initial_evaluations: int
    folds: int


@dataclass(frozen=True)
class EvaluationSettings:
    """A protocol.

    Attributes
    ----------
    folds : of the outer cross-validation
    repeats : how often the whole of it is done, each time with other folds
    search : of the hyper-parameters, inside each training part
    """

    folds: int
    repeats: int
    search: SearchSettings
