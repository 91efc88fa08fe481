"""What has been measured, as the results' files tell it. What a file lacks counts as not measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class MeasuredAccuracy:
    """One cross-validated accuracy.

    Attributes
    ----------
    accuracy, deviation : share of right answers, and its standard deviation over repeats (None for a single one)
    images : how many were classified
    features : a key of `models.emotion.features.FEATURES`
    protocol : in words
    by_subject : whether nobody was in training and test at once
    synthetic : whether the images are rendered
    class_accuracy : by emotion
    labels, confusion : emotions, and (K, K) counts, rows the truth; empty where they are not known
    complete : whether all photographs and emotions of the benchmark are there, as far as that is known
    source : file of an evaluation by command; empty for the pipeline's own figures
    """

    accuracy: float
    deviation: float | None
    images: int
    features: str
    protocol: str
    by_subject: bool
    synthetic: bool
    class_accuracy: Mapping[str, float] = field(default_factory=dict)
    labels: Sequence[str] = ()
    confusion: Sequence[Sequence[int]] = ()
    complete: bool = True
    source: str = ""


@dataclass(frozen=True)
class FoundSet:
    """A data set as it lies here: images of the seven emotions, people (None where the set does not tell), problems."""

    images: int
    people: int | None
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class Measurements:
    """All results that the tables can show; what is empty or None was not measured.

    Attributes
    ----------
    accuracies : benchmark -> what was measured by each protocol
    not_run : benchmark or asset -> why there is no result
    benchmark_titles : in words, of the benchmarks in the order of the tables
    found : data set -> what lies here of it
    inference : figures of `benchmarks.inference`, None where it was not run
    stress : of `StressResult.to_json`
    views : data set -> of `ViewInvariance.to_json`
    expression : of `data/expression_evaluation/metrics.json`, with `test_videos`: how many are "rendered" of "all"
    left_out : files of evaluations that are not shown, a sentence each that says why
    """

    accuracies: Mapping[str, Sequence[MeasuredAccuracy]] = field(default_factory=dict)
    not_run: Mapping[str, str] = field(default_factory=dict)
    benchmark_titles: Mapping[str, str] = field(default_factory=dict)
    found: Mapping[str, FoundSet] = field(default_factory=dict)
    inference: Mapping[str, float] | None = None
    stress: Mapping[str, Any] | None = None
    views: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    expression: Mapping[str, Any] | None = None
    left_out: Sequence[str] = ()


def accuracies_of(metrics: Mapping[str, Any]) -> tuple[MeasuredAccuracy, ...]:
    """The accuracies that a benchmark's `metrics.json` holds: its `results`, or the one at its top.

    A result has the keys accuracy, deviation, images, protocol and synthetic, and where there are several features and
    protocols, features and by_subject; see `models.emotion.benchmark_result`.
    """
    rows = metrics.get("results") or [metrics]
    return tuple(_accuracy(row) for row in rows if row.get("accuracy") is not None)


def _accuracy(row: Mapping[str, Any]) -> MeasuredAccuracy:
    protocol = str(row.get("description") or row.get("protocol") or "")
    return MeasuredAccuracy(
        accuracy=float(row["accuracy"]),
        # None, and 0 in older files, where nothing was repeated.
        deviation=float(row["deviation"]) if row.get("deviation") else None,
        images=int(row.get("images") or 0),
        features=str(row.get("features") or "deepexp3d"),
        protocol=protocol,
        by_subject=bool(row.get("by_subject", "by person" in protocol)),
        synthetic=bool(row.get("synthetic", False)),
        class_accuracy=dict(row.get("class_accuracy") or {}),
        labels=tuple(row.get("labels") or ()),
        confusion=tuple(tuple(counts) for counts in row.get("confusion") or ()),
        complete=bool(row.get("complete", True)),
    )
