"""Figures that `deepexp3d evaluate BENCHMARK --json FILE` wrote, for the same tables as the pipeline's own.

Of one thing that was measured several times, figures of the whole set go before those of a part; then what somebody
asked for by command before what the pipeline measured by itself; then the file whose name comes first.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.emotion import published
from models.emotion.benchmarks import BENCHMARKS
from models.emotion.report.measurements import MeasuredAccuracy, Measurements, accuracies_of
from models.emotion.report.tables import all_tables
from models.emotion.view_invariance import SETS, view_benchmark
from models.errors import DatasetError


@dataclass(frozen=True)
class Evaluation:
    """What one file says: the accuracies of a benchmark, or the angles of a set, or stress.

    Attributes
    ----------
    name : of the file
    benchmark, title : key and words of the tables, for accuracies
    accuracies : empty where the file has others
    views : data set -> of `ViewEvaluation.to_json`; one or none
    stress : of `StressResult.to_json`
    """

    name: str
    benchmark: str = ""
    title: str = ""
    accuracies: tuple[MeasuredAccuracy, ...] = ()
    views: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stress: Mapping[str, Any] | None = None


def read_evaluations(folder: Path) -> tuple[tuple[Evaluation, ...], tuple[str, ...]]:
    """Every result in a folder's JSON files, and for each file that is none, a sentence that says why."""
    found, left_out = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            evaluation = _read(path)
        except DatasetError as error:
            left_out.append(str(error))
        else:
            found += [evaluation] if evaluation is not None else []
    return tuple(found), tuple(left_out)


def with_evaluations(measured: Measurements, evaluations: Sequence[Evaluation]) -> Measurements:
    """Measurements with the figures of evaluations among them; what gives way to other figures is told."""
    accuracies, titles, views = dict(measured.accuracies), dict(measured.benchmark_titles), dict(measured.views)
    stress, left_out, taken = measured.stress, list(measured.left_out), {}
    for one in evaluations:
        used = False
        if one.accuracies:
            accuracies[one.benchmark], used = _merged(accuracies.get(one.benchmark, ()), one.accuracies)
            titles.setdefault(one.benchmark, one.title)
        for dataset, tree in one.views.items():
            if used := _goes_before(_rank(tree), views.get(dataset), taken.get(dataset)):
                views[dataset], taken[dataset] = tree, one.name
        if one.stress is not None and (used := _goes_before(_rank(one.stress), stress, taken.get("stress"))):
            stress, taken["stress"] = one.stress, one.name
        if not used:
            left_out.append(f"{one.name}: not shown, because other figures of the same are; remove it or the others.")
    return replace(
        measured,
        accuracies=accuracies,
        benchmark_titles=titles,
        views=views,
        stress=stress,
        left_out=tuple(left_out),
    )


def _read(path: Path) -> Evaluation | None:
    """The result in a file; None where it holds the folds of one.

    Raises
    ------
    DatasetError
        It holds something else.
    """
    cure = "Give files that deepexp3d evaluate BENCHMARK --json FILE has written."
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path.name}: left out, cannot be read as JSON ({error}). {cure}") from error
    if not isinstance(tree, dict):
        raise DatasetError(f"{path.name}: left out, is no result of an evaluation. {cure}")
    if isinstance(tree.get("folds"), dict) and "protocol" in tree:
        return None
    try:
        evaluation = _evaluation(path, tree)
        if evaluation is not None:
            # Whatever the tables need of a result is there if they can be made of it.
            all_tables(with_evaluations(Measurements(), [evaluation]))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise DatasetError(f"{path.name}: left out, its figures are damaged ({error!r}). {cure}") from error
    if evaluation is None:
        raise DatasetError(f"{path.name}: left out, is of no benchmark of emotions ({tree.get('benchmark')}). {cure}")
    return evaluation


def _evaluation(path: Path, tree: Mapping[str, Any]) -> Evaluation | None:
    benchmark = tree.get("benchmark")
    if "phases" in tree:
        return Evaluation(path.name, stress=tree)
    for dataset in SETS:
        if benchmark == view_benchmark(dataset):
            return Evaluation(path.name, views={dataset: tree})
    if benchmark not in BENCHMARKS:
        return None
    accuracies = tuple(replace(one, source=path.name) for one in accuracies_of(tree))
    if not accuracies or not all(0 <= one.accuracy <= 1 for one in accuracies):
        raise ValueError("an accuracy is missing, or no share")
    for one in accuracies:
        if one.confusion and np.shape(one.confusion) != (len(one.labels),) * 2:
            raise ValueError("a confusion matrix does not fit its emotions")
    title = BENCHMARKS[benchmark].title
    if benchmark == "custom":
        # Everybody's own photographs are others.
        return Evaluation(path.name, f"custom {path.stem}", f"{title}: {path.stem}", accuracies)
    return Evaluation(path.name, benchmark, title, accuracies)


def _merged(
    before: Sequence[MeasuredAccuracy], new: Sequence[MeasuredAccuracy]
) -> tuple[tuple[MeasuredAccuracy, ...], bool]:
    """Accuracies of a benchmark, of each protocol from one source, so that features are compared on the same folds;
    and whether any of the new ones are among them. Those of real photographs come first."""
    kept = {_kind(one): [other for other in before if _kind(other) == _kind(one)] for one in before}
    used = False
    for kind in dict.fromkeys(map(_kind, new)):
        ours = [one for one in new if _kind(one) == kind]
        theirs = kept.get(kind)
        if not theirs or (ours[0].complete, not theirs[0].source) > (theirs[0].complete, False):
            kept[kind], used = ours, True
    return tuple(_flat(kept[kind] for kind in sorted(kept))), used


def _kind(one: MeasuredAccuracy) -> tuple[bool, bool]:
    return one.synthetic, one.by_subject


def _flat(groups: Iterable[Sequence[MeasuredAccuracy]]) -> Iterable[MeasuredAccuracy]:
    return (one for group in groups for one in group)


def _rank(tree: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether figures stand beside published ones, and whether they are of the whole set; what is more goes first."""
    compared = not tree.get("synthetic") and tree.get("compared", published.STRESS_SET) == published.STRESS_SET
    return compared, bool(tree.get("complete", True))


def _goes_before(rank: tuple[bool, bool], other: Mapping[str, Any] | None, source: str | None) -> bool:
    """Whether figures of a rank take the place of others, which come from a file or, without a name, the pipeline."""
    return other is None or (rank, source is None) > (_rank(other), False)
