"""View invariance from a publisher's folder to figures and files (section IV-A): RaFD and KDEF.

evaluation = evaluate_views("rafd", "RaFD", predictor=Predictor.load(features_only=True))
evaluation.result.semi_profile.mse, evaluation.problems
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from models.emotion import published
from models.emotion.benchmark_files import FIGURES, PICTURE_DOTS_PER_INCH
from models.emotion.benchmark_result import library_versions, machine, write_json
from models.emotion.datasets import DATASETS, read_dataset
from models.emotion.detections import detect_photographs
from models.emotion.features import FeatureSources, compute_features
from models.emotion.view_invariance import (
    PUBLISHED_SET,
    SETS,
    ViewDifference,
    ViewInvariance,
    compare_views,
    view_benchmark,
    view_figure,
)
from models.errors import DatasetError
from models.storage import written_whole

if TYPE_CHECKING:
    from models.expression.predictor import Predictor

WIDTH = 100
PICTURE = "views.png"

Progress = Callable[[Iterable, str, int | None], Iterable]


@dataclass(frozen=True)
class ViewEvaluation:
    """View invariance of the network's expressions in one set.

    Attributes
    ----------
    dataset : a key of `SETS`
    result : what came out
    synthetic : whether the photographs are rendered
    complete : whether as many photographs of the seven emotions are there as the publisher has
    problems : what a reader must know of the set
    versions, machine, seconds : what ran, on what, and how long
    """

    dataset: str
    result: ViewInvariance
    synthetic: bool
    complete: bool
    problems: tuple[str, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def published(self) -> float | None:
        """What the paper states of semi-profiles, unit unknown; None where it states nothing of this set."""
        return published.VIEW_MSE if self.dataset == PUBLISHED_SET else None

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        return {
            "benchmark": view_benchmark(self.dataset),
            "dataset": self.dataset,
            **self.result.to_json(),
            "published": self.published,
            "synthetic": self.synthetic,
            "complete": self.complete,
            "problems": list(self.problems),
            "versions": dict(self.versions),
            "machine": dict(self.machine),
            "seconds": round(self.seconds, 1),
        }


def evaluate_views(
    dataset: str,
    root: Path | str,
    *,
    predictor: "Predictor",
    backend: str = "mediapipe",
    cache: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> ViewEvaluation:
    """Compare e of every turned photograph of a set with that of the frontal one of the same moment.

    Parameters
    ----------
    dataset : a key of `SETS`
    root : the set's folder, in its publisher's layout
    predictor : the network
    backend : of the landmarks
    cache : file (.npz) that keeps landmarks
    workers : threads; the result is the same with any number
    progress : wraps what is gone through, given it, its name and its length; may show a bar

    Raises
    ------
    DatasetError
        The folder does not hold the set.
    WeightsMissingError
        The backend's weights are neither cached nor obtainable.
    """
    begin = time.monotonic()
    contents = read_dataset(dataset, root)
    paths = [photograph.path for photograph in contents.photographs]
    detections = detect_photographs(paths, backend, cache=cache, threads=workers, progress=progress)
    sources = FeatureSources(predictor=predictor, workers=workers)
    table = compute_features("deepexp3d", contents.photographs, detections, sources, progress=progress)
    result = compare_views(contents.photographs, table.values)
    return ViewEvaluation(
        dataset=dataset,
        result=result,
        synthetic=contents.synthetic,
        complete=len(paths) == sum(DATASETS[dataset].labels.values()),
        problems=tuple(contents.problems),
        versions={"landmarks": backend} | library_versions(),
        machine=machine(workers),
        seconds=time.monotonic() - begin,
    )


def require_pairs(evaluation: ViewEvaluation, root: Path | str) -> None:
    """Refuse a set of which nothing could be compared.

    Raises
    ------
    DatasetError
        No moment shows a face both from the front and from the side.
    """
    result = evaluation.result
    if not result.views:
        raise DatasetError(
            f"{root}: expected moments that are photographed both from the front and from the side; of "
            f"{result.photographs} photographs {result.without_face} show no face and {result.unpaired} have no "
            "frontal one of their moment. Add the other angles, or check that faces can be seen."
        )


def views_text(evaluation: ViewEvaluation) -> str:
    """The figures by angle for a terminal, and what to know."""
    result = evaluation.result
    kind = "rendered " if evaluation.synthetic else ""
    rows = [("angle", "pairs", "people", "MSE of e", "of e's variance", "published")]
    rows += [_row(f"{view.view:+.0f}", view, "") for view in result.views]
    if result.semi_profile is not None:
        stated = "" if evaluation.published is None else f"{evaluation.published:.3f}"
        if stated and (evaluation.synthetic or not evaluation.complete):
            stated += " *"
        rows.append(_row("+-45", result.semi_profile, stated))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = "\n".join("  ".join(map(str.rjust, row, widths)).rstrip() for row in rows)
    notes = list(evaluation.problems)
    if evaluation.published is not None:
        notes.append("The paper states no unit; figures here are in squared standard deviations of e.")
        if evaluation.synthetic or not evaluation.complete:
            notes.append("* The published figure is of the whole set and does not compare with this one.")
    return "\n\n".join(
        [
            f"{SETS[evaluation.dataset]}, turned against frontal: {result.photographs} {kind}photographs, no face "
            f"found in {result.without_face}, {result.unpaired} without a frontal one of their moment",
            table,
            *(fill(f"Note: {note}", WIDTH, subsequent_indent="      ") for note in notes),
        ]
    )


def write_views(evaluation: ViewEvaluation, folder: Path) -> None:
    """Write the figures, the coefficients by angle (.csv) and a picture."""
    write_json(evaluation.to_json(), folder / FIGURES)
    write_coefficients(evaluation.result, folder / "coefficients.csv")
    draw_views([evaluation], folder / PICTURE)


def write_coefficients(result: ViewInvariance, path: Path) -> None:
    """Write a CSV table of the mean squared difference, std^2: a row a coefficient, a column an angle."""
    lines = [",".join(["coefficient", *(f"{view.view:+.0f}" for view in result.views)])]
    rows = zip(*(view.coefficients.tolist() for view in result.views), strict=True)
    lines += [",".join([str(number), *map(repr, row)]) for number, row in enumerate(rows)]
    with written_whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def draw_views(evaluations: Sequence[ViewEvaluation], path: Path) -> None:
    """Draw the figures of several sets by angle, rendered ones called so (.png)."""
    titles = {
        one.dataset: f"{SETS[one.dataset]} (synthetic)" if one.synthetic else SETS[one.dataset] for one in evaluations
    }
    with written_whole(path) as temporary:
        view_figure({titles[one.dataset]: one.result for one in evaluations}).savefig(
            temporary, dpi=PICTURE_DOTS_PER_INCH
        )


def _row(angle: str, view: ViewDifference, stated: str) -> tuple[str, ...]:
    share = f"{100 * view.share:.0f} %" if np.isfinite(view.share) else "-"
    return (angle, str(view.pairs), str(view.people or "-"), f"{view.mse:.3f}", share, stated)
