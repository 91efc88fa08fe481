"""Results of benchmarks and what benchmarks there are, as text for a terminal."""

import math
from collections.abc import Sequence
from textwrap import fill

from models.emotion.benchmark_result import BenchmarkResult
from models.emotion.benchmarks import BENCHMARKS
from models.emotion.datasets import DATASETS

WIDTH = 100


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
    """Every benchmark with what it needs and whom to ask for it."""
    parts = []
    for benchmark in BENCHMARKS.values():
        facts = DATASETS[benchmark.dataset]
        published = benchmark.published
        deviation = "" if published is None or published.deviation is None else f" ± {published.deviation:.2f}"
        lines = {
            "": benchmark.description,
            "paper": benchmark.paper.description
            + ("" if published is None else f"; published {published.accuracy:.2f}{deviation} %"),
            "needs": f"{facts.title}, from {facts.source}",
            "root": f"{facts.layout} For example {facts.example}",
        }
        body = [
            fill(text, WIDTH, initial_indent=f"  {name:7}", subsequent_indent=" " * 9) for name, text in lines.items()
        ]
        parts.append("\n".join([f"{benchmark.name} - {benchmark.title}", *body]))
    return "\n\n".join(parts)


def _accuracies(results: Sequence[BenchmarkResult]) -> str:
    rows = [["features", "protocol", "accuracy", "over repeats", "over folds", "chance", "published", "seconds"]]
    for result in results:
        published = "" if result.published is None else f"{result.published.accuracy:.2f}"
        if result.published is not None and result.published.deviation is not None:
            published += f" ± {result.published.deviation:.2f}"
        rows.append(
            [
                *(result.features, result.protocol, _percent(result.accuracy)),
                *(_deviation(result.deviation), _deviation(result.fold_deviation), _percent(result.chance), published),
                f"{sum(result.seconds.values()):.0f}",
            ]
        )
    return _aligned(rows, left=2) + f"\naccuracy in per cent: {', '.join(sorted({r.measure for r in results}))}"


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
