"""What an evaluation on a benchmark says, and its files."""

import csv
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from models.emotion.features import FITS, FeatureSources
from models.emotion.protocols import Folds
from models.emotion.published import Accuracy
from models.storage import written_whole

# Digits of shares in files: more would differ from machine to machine for no reason.
DIGITS = 6


@dataclass(frozen=True)
class BenchmarkResult:
    """The figures of one benchmark, with one kind of features, under one protocol.

    Attributes
    ----------
    benchmark, dataset, title : what was evaluated
    features : a key of `models.emotion.features.FEATURES`
    protocol, description, measure : how; `accuracy` is by this measure
    by_subject : whether nobody was in training and test at once
    synthetic : whether the photographs are rendered
    without_face : how photographs without a face count: "leave_out" or "wrong"
    labels : (K,) emotions that occur
    accuracy : share, mean over the repeats
    deviation : its standard deviation over the repeats; None for a single one
    fold_deviation : standard deviation of the folds' accuracies; None for a single fold
    chance : what always giving the most frequent answer scores
    class_accuracy : by emotion
    confusion : (K, K) counts over all repeats, rows the truth
    subgroups : attribute -> value -> `accuracy` (share of right answers) and `photographs`
    photographs : that take part
    asked : of them, those that are tested
    without_face_count : of `photographs`, those in which no face was found; `asked_without_face` the same of `asked`
    people : None where the set does not tell
    counts : photographs of each emotion
    left_out : reason -> images of the set that show none of the emotions
    parameters : hyper-parameters chosen in each repeat and fold
    problems : what a reader must know of the set
    published : what the paper states, per cent; None where it states nothing of this protocol
    complete : whether all photographs and emotions of the benchmark are there, as far as that is known
    seed : of folds and searches
    folds : in which each photograph was tested
    truth : photograph -> its emotion
    answers : photograph -> the answer in each repeat; empty where it was not asked or shows no face
    versions, machine, seconds : what ran, on what, and how long
    """

    benchmark: str
    dataset: str
    title: str
    features: str
    protocol: str
    description: str
    measure: str
    by_subject: bool
    synthetic: bool
    without_face: str
    labels: tuple[str, ...]
    accuracy: float
    deviation: float | None
    fold_deviation: float | None
    chance: float
    class_accuracy: Mapping[str, float]
    confusion: np.ndarray
    subgroups: Mapping[str, Mapping[str, Mapping[str, float]]]
    photographs: int
    asked: int
    without_face_count: int
    asked_without_face: int
    people: int | None
    counts: Mapping[str, int]
    left_out: Mapping[str, int]
    parameters: tuple[Mapping[str, Any], ...]
    problems: tuple[str, ...]
    published: Accuracy | None
    complete: bool
    seed: int
    folds: Folds
    truth: Mapping[str, str]
    answers: Mapping[str, tuple[str, ...]]
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON has it; folds and answers have files of their own."""
        published = self.published
        tree = {name: getattr(self, name) for name in _PLAIN}
        tree |= {
            "confusion": self.confusion.tolist(),
            "images": self.asked - (self.asked_without_face if self.without_face == "leave_out" else 0),
            "repeats": self.folds.repeats,
            "published": published and {"accuracy": published.accuracy, "deviation": published.deviation},
        }
        return _rounded(tree)


_PLAIN = (
    *("benchmark", "dataset", "title", "features", "protocol", "description", "measure", "by_subject", "synthetic"),
    *("without_face", "labels", "accuracy", "deviation", "fold_deviation", "chance", "class_accuracy", "subgroups"),
    *("photographs", "asked", "without_face_count", "asked_without_face", "people", "counts", "left_out"),
    *("parameters", "problems", "complete", "seed", "versions", "machine", "seconds"),
)


def comparison_json(results: Sequence[BenchmarkResult]) -> dict[str, Any]:
    """Several results of one benchmark as one object: the first one's figures at the top, all of them in `results`."""
    trees = [result.to_json() for result in results]
    return {**trees[0], "results": trees}


def write_json(tree: Mapping[str, Any], path: Path) -> None:
    """Write an object as JSON, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(tree, indent=1) + "\n")


def write_answers(result: BenchmarkResult, path: Path) -> None:
    """Write a CSV table: photograph, truth, and the fold and answer of each repeat."""
    heads = [f"{part}_{repeat}" for repeat in range(result.folds.repeats) for part in ("fold", "answer")]
    with written_whole(path) as temporary, open(temporary, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", *heads])
        for name, answers in result.answers.items():
            pairs = zip(result.folds.numbers[name], answers, strict=True)
            table.writerow([name, result.truth[name], *(cell for pair in pairs for cell in pair)])


def versions(backend: str, features: str, sources: FeatureSources, model: Path | str | None) -> dict[str, str]:
    """What ran: this project, the libraries that decide figures, and what the features were computed with."""
    found = {"landmarks": backend} | library_versions()
    if features == "deepexp3d":
        found["network"] = network_in_words(model)
    if features in FITS:
        found["face model"] = sources.face_model.name
    return found


def library_versions() -> dict[str, str]:
    """This project, Python, and the libraries that decide figures."""
    found = {"python": platform.python_version()}
    for package in ("deepexp3d", "numpy", "scipy", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def network_in_words(model: Path | str | None) -> str:
    """A network's name, architecture and hash; `model` as in `Predictor.load`."""
    from models.expression.runtime import NETWORK, read_contract
    from models.expression.shipped import model_folder
    from models.packages import sha256_of

    path = model_folder(model) / NETWORK
    return f"{path.parent.name}, {read_contract(path).backbone}, sha256 {sha256_of(path)[:16]}"


def machine(workers: int) -> dict[str, Any]:
    """The machine, as far as it tells."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "workers": workers,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(terse=True),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _rounded(value: Any) -> Any:
    """A value as JSON has it: numbers of `DIGITS` digits, None for NaN."""
    if isinstance(value, Mapping):
        return {str(name): _rounded(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(part) for part in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, DIGITS)
    return value
