"""Tables 1 and 2 of the fusion paper for the report: published accuracies, and those measured here beside them.

As in the other tables, figures of rendered people stand in a table of their own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from models.emotion.report.tables import NOT_MEASURED, NOT_RUN, Cell, Kind, Row, Table
from models.rgbd.pipelines import PIPELINES
from models.rgbd.published import ALL_PEOPLE, DISAGREEMENTS, TABLE_1, TABLE_2, PublishedAccuracy
from models.rgbd.result import AS_TRAINED, PAPER_EPOCHS, PAPER_REPEATS


def fusion_tables(metrics: Mapping[str, Any] | None, not_run: str | None = None) -> tuple[Table, ...]:
    """Table 1, Table 2, what was measured on rendered people, and where the paper is not at one with itself.

    Parameters
    ----------
    metrics : of `RgbdResult.to_json`; None where nothing was measured
    not_run : why, where that is not the absence of the data
    """
    real = metrics if metrics and not metrics["synthetic"] else None
    absent = Cell(NOT_RUN if not_run is None or "put " in not_run else f"not run: {not_run}", Kind.ABSENT)
    if metrics is not None and real is None:
        absent = Cell(NOT_RUN, Kind.ABSENT)
    return (
        _published_table(
            "fusion_table_1", "Table 1 (fusion)", "Accuracy of each pipeline", TABLE_1, real, absent, _further(real)
        ),
        _published_table(
            "fusion_table_2", "Table 2 (fusion)", "Other methods on BU-3DFE", (*TABLE_2, ALL_PEOPLE), real, absent
        ),
        *([_rendered_table(metrics)] if metrics and metrics["synthetic"] else []),
        _disagreements(),
    )


def _further(metrics: Mapping[str, Any] | None) -> list[Row]:
    """Pipelines that the paper does not have, of our own beside its table."""
    named = {row.pipeline for row in TABLE_1}
    return [
        Row((Cell(f"beyond the paper: {one['title']}"), Cell(""), _accuracy(one, Kind.MEASURED), Cell(_weights(one))))
        for one in (metrics or {"results": ()})["results"]
        if one["pipeline"] not in named and one.get("condition", AS_TRAINED) == AS_TRAINED
    ]


def _published_table(
    name: str,
    number: str,
    title: str,
    published: Sequence[PublishedAccuracy],
    metrics: Mapping[str, Any] | None,
    absent: Cell,
    further: Sequence[Row] = (),
) -> Table:
    rows = []
    for row in published:
        measured, weights = Cell(""), ""
        if row.pipeline is not None:
            found = _result(metrics, row.pipeline)
            measured = absent if metrics is None else _accuracy(found, Kind.MEASURED)
            weights = _weights(found)
        approach = row.approach + (" *" if row.starred else "")
        cells = (Cell(approach), Cell(row.printed, Kind.NUMBER), measured, Cell(weights))
        rows.append(Row(cells, own=row.pipeline is not None and not row.starred))
    return Table(
        name=name,
        number=number,
        title=f"{title}: expressions on BU-3DFE, accuracy in %",
        columns=("approach", "published", "measured here", "pretrained weights here"),
        aligned_right=(False, True, True, False),
        rows=(*rows, *further),
        notes=tuple(_notes(metrics)),
    )


def _rendered_table(metrics: Mapping[str, Any]) -> Table:
    rows = [
        Row((Cell(one["title"]), _accuracy(one, Kind.SYNTHETIC), Cell(_weights(one)))) for one in metrics["results"]
    ]
    return Table(
        name="rendered_fusion",
        number="Synthetic",
        title="Depth, colour and fusion on rendered people in the layout of BU-3DFE, %",
        columns=("pipeline", "accuracy", "pretrained weights"),
        aligned_right=(False, True, False),
        rows=tuple(rows),
        notes=(
            "Rendered people take the place of BU-3DFE, so that every step is tried; nothing published can be "
            "compared with them. Chance is 16.7 %.",
            *_notes(metrics),
        ),
    )


def _disagreements() -> Table:
    return Table(
        name="fusion_disagreements",
        number="Notes (fusion)",
        title="Where the fusion paper is not at one with itself, and what it leaves open",
        columns=("what", "what is said where"),
        aligned_right=(False, False),
        rows=tuple(Row((Cell(item.where), Cell(item.what))) for item in DISAGREEMENTS),
    )


def _result(metrics: Mapping[str, Any] | None, pipeline: str) -> Mapping[str, Any] | None:
    """What was measured of a pipeline, on images as it was trained on."""
    return next((one for one in (metrics or {"results": ()})["results"] if one["pipeline"] == pipeline), None)


def _accuracy(result: Mapping[str, Any] | None, kind: Kind) -> Cell:
    if result is None:
        return Cell(NOT_MEASURED, Kind.ABSENT)
    deviation = "" if result["deviation"] is None else f" ± {100 * result['deviation']:.2f}"
    return Cell(f"{100 * result['accuracy']:.2f}{deviation}", kind)


def _weights(result: Mapping[str, Any] | None) -> str:
    return "; ".join(f"{name}: {label}" for name, label in (result or {"backbones": {}})["backbones"].items())


def _notes(metrics: Mapping[str, Any] | None) -> list[str]:
    """How the figures were measured, and how that differs from the paper."""
    if metrics is None:
        return ["The paper: 60 people, of whom 54 are learned from and 6 tested, 200 times, 1000 epochs at most."]
    epochs = metrics["settings"]["training"]["epochs"]
    return [
        f"Measured: {metrics['people']} people, {metrics['repeats']} repeats, {epochs} epochs at most (the paper: 60 "
        f"people, {PAPER_REPEATS} repeats, {PAPER_EPOCHS} epochs). {metrics['description'][0].upper()}"
        f"{metrics['description'][1:]}.",
        *_differences(metrics),
        *metrics["problems"],
    ]


def _differences(metrics: Mapping[str, Any]) -> list[str]:
    """How much a further modality brings, a sentence for each pair of pipelines."""
    return [
        f"{PIPELINES[one['first'][0]].title} less {PIPELINES[one['second'][0]].title}: "
        f"{100 * one['difference']:+.2f} points ({100 * one['confidence']:.0f} %: {100 * one['low']:+.2f} to "
        f"{100 * one['high']:+.2f})."
        for one in metrics["differences"]
        if one["first"][1] == one["second"][1] == AS_TRAINED
    ]
