"""Results of benchmarks and what benchmarks there are, as text for a terminal."""

import math
from collections.abc import Sequence
from textwrap import fill

from models.emotion.benchmark_result import BenchmarkResult
from models.emotion.benchmarks import BENCHMARKS
from models.emotion.datasets import DATASETS
from models.emotion.published import VIEW_MSE, Accuracy
from models.emotion.view_invariance import PUBLISHED_SET, SETS, view_benchmark

WIDTH = 100
# What is compared of sets that photograph a moment from several angles.
VIEWS = "mean squared error of e between turned photographs and the frontal one of the same moment, by angle"


def results_text(results: Sequence[BenchmarkResult]) -> str:
    """Results of one benchmark: accuracies beside the published one, by class and by subgroup, and what to know."""
    first = results[0]
    people = "" if first.people is None else f" of {first.people} people"
    kind = "rendered " if first.synthetic else ""
    head = f"{first.title}: {first.photographs} {kind}photographs{people}, no face found in {first.without_face_count}"
    if first.without_face_count:
        head += " (left out)" if first.without_face == "leave_out" else " (counted as wrong)"
    parts = [head, _accuracies(results), _classes(results), _subgroups(results)]
    parts += [fill(f"Note: {problem}", WIDTH, subsequent_indent="      ") for problem in _problems(results)]
    return "\n\n".join(part for part in parts if part)


def benchmarks_text() -> str:
    """Every benchmark, below the data set that it needs, whom to ask for that, and how its folder looks."""
    parts = []
    for dataset in dict.fromkeys(benchmark.dataset for benchmark in BENCHMARKS.values()):
        facts = DATASETS[dataset]
        parts.append(f"{facts.title}\n{_entry('from', facts.source)}\n{_entry('root', facts.layout)}")
        for benchmark in BENCHMARKS.values():
            if benchmark.dataset == dataset:
                published = f", published: {_published(benchmark.published)} %" if benchmark.published else ""
                parts[-1] += f"\n  {benchmark.name}{published}\n{_entry('', benchmark.description, 6)}"
                parts[-1] += f"\n{_entry('', benchmark.paper.description, 6)}"
        if dataset in SETS:
            stated = f", published: {VIEW_MSE}, of unknown unit" if dataset == PUBLISHED_SET else ""
            parts[-1] += f"\n  {view_benchmark(dataset)}{stated}\n{_entry('', VIEWS, 6)}"
    return "\n\n".join(parts)


def set_entry(title: str, source: str, layout: str, benchmark: str, published: str, descriptions: Sequence[str]) -> str:
    """A benchmark with a protocol of its own, in the form of `benchmarks_text`; `published` is in per cent."""
    lines = [title, _entry("from", source), _entry("root", layout), f"  {benchmark}, published: {published} %"]
    return "\n".join([*lines, *(_entry("", text, 6) for text in descriptions)])


def _entry(name: str, text: str, indent: int = 2) -> str:
    start = f"{'':{indent}}{name}  " if name else " " * indent
    return fill(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start))


def _accuracies(results: Sequence[BenchmarkResult]) -> str:
    rows = [["features", "protocol", "accuracy", "over repeats", "over folds", "chance", "published", "seconds"]]
    for result in results:
        published = "" if result.published is None else _published(result.published)
        if published and (result.synthetic or not result.complete):
            published += " *"
        rows.append(
            [
                *(result.features, result.protocol, _percent(result.accuracy)),
                *(_deviation(result.deviation), _deviation(result.fold_deviation), _percent(result.chance), published),
                f"{sum(result.seconds.values()):.0f}",
            ]
        )
    measures = ", the ".join(sorted({result.measure for result in results}))
    text = f"{_aligned(rows, left=2)}\nin per cent; measured is the {measures}"
    # A publisher's split has one fold, and is the same however often it is asked for.
    single = sorted({one.protocol for one in results if one.deviation is None and one.fold_deviation is not None})
    if single:
        text += f"\n{' and '.join(single)}: one repeat, whose deviation is that of its folds; --repeats 10 splits anew"
    return text


def _classes(results: Sequence[BenchmarkResult]) -> str:
    rows = [["features", "protocol", *results[0].labels]]
    rows += [[r.features, r.protocol, *(_percent(r.class_accuracy[label]) for label in r.labels)] for r in results]
    return _aligned(rows, left=2)


def _subgroups(results: Sequence[BenchmarkResult]) -> str:
    rows = [["features", "protocol", "subgroup", "photographs", "accuracy"]]
    for result in results:
        for attribute, groups in result.subgroups.items():
            for value, group in groups.items():
                name = f"{attribute}: {value}"
                rows.append(
                    [result.features, result.protocol, name, str(group["photographs"]), _percent(group["accuracy"])]
                )
    return _aligned(rows, left=3) if len(rows) > 1 else ""


def _problems(results: Sequence[BenchmarkResult]) -> list[str]:
    """What is said of any of the results, once."""
    return list(dict.fromkeys(problem for result in results for problem in result.problems))


def _published(row: Accuracy) -> str:
    return f"{row.accuracy:.2f}" + ("" if row.deviation is None else f" ± {row.deviation:.2f}")


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}"


def _deviation(share: float | None) -> str:
    return "-" if share is None else f"± {100 * share:.1f}"


def _aligned(rows: Sequence[Sequence[str]], left: int) -> str:
    """Rows in columns, the first `left` of which begin at the left, the others end at the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
