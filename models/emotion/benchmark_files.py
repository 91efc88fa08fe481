"""The files of an evaluation: figures, folds, answers and confusion matrices."""

from collections.abc import Sequence
from pathlib import Path

from models.emotion.benchmark_result import BenchmarkResult, comparison_json, write_answers, write_json
from models.emotion.confusion_figure import confusion_figure
from models.emotion.protocols import Folds
from models.storage import written_whole

FIGURES = "metrics.json"
PICTURE_DOTS_PER_INCH = 110


def landmark_cache(folder: Path, backend: str) -> Path:
    """Where the landmarks of a backend are kept beside results."""
    return folder / f"landmarks-{backend}.npz"


def confusion_picture(result: BenchmarkResult) -> str:
    """Name of the picture of a result's confusion matrix in the folder that `write_folder` writes."""
    return f"confusion-{result.features}-{result.protocol}.png"


def write_figures(results: Sequence[BenchmarkResult], path: Path) -> None:
    """Write the figures of results as one JSON object and, beside it, the folds of each protocol."""
    write_json(comparison_json(results), path)
    for result in {result.protocol: result for result in results}.values():
        result.folds.save(folds_beside(path, result.folds))


def folds_beside(path: Path, folds: Folds) -> Path:
    """Where the folds lie whose figures are at `path`."""
    return path.with_name(f"{path.stem}-folds-{folds.protocol}.json")


def write_folder(results: Sequence[BenchmarkResult], folder: Path) -> None:
    """Write figures, folds, and for each result its answers (.csv) and confusion matrix (.png)."""
    write_figures(results, folder / FIGURES)
    for result in results:
        stem = f"{result.features}-{result.protocol}"
        write_answers(result, folder / f"answers-{stem}.csv")
        rendered = " (rendered)" if result.synthetic else ""
        title = f"{result.title}{rendered}\n{result.features}, protocol {result.protocol}"
        with written_whole(folder / confusion_picture(result)) as path:
            confusion_figure(result.confusion, result.labels, title).savefig(path, dpi=PICTURE_DOTS_PER_INCH)
