"""What an evaluation of the pipelines says: accuracies, confusion, differences between pipelines, and both tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np

from models.rgbd.pipelines import CLASSES, PIPELINES, WEIGHT_SOURCES
from models.rgbd.published import ALL_PEOPLE, TABLE_1, TABLE_2, PublishedAccuracy
from models.storage import written_whole

# Digits of numbers in files: more would differ from machine to machine for no reason.
DIGITS = 6
# The paper's training, for projections.
PAPER_EPOCHS, PAPER_REPEATS = 1000, 200
# How the images that were learned from are called, beside images of the same faces under other conditions.
AS_TRAINED = "as trained"
# Why figures of rendered people stand alone.
ONLY_RENDERED = (
    "Rendered people take the place of BU-3DFE: nothing published can be compared with them, and is left out here."
)


@dataclass(frozen=True)
class PipelineResult:
    """One pipeline, asked for images of one condition.

    Attributes
    ----------
    pipeline, title : what it is
    condition : `AS_TRAINED`, or the name of the other images of the same faces that it was asked for
    accuracies : share of right answers in each repeat
    confusion : (6, 6) counts over all repeats, rows the truth, in the order of `CLASSES`
    backbones : pretrained network -> what its weights were trained on
    epochs, seconds : of each training
    loss : of the training images in the last epoch, of each training
    precision : of the training
    """

    pipeline: str
    title: str
    condition: str
    accuracies: tuple[float, ...]
    confusion: np.ndarray
    backbones: Mapping[str, str]
    epochs: tuple[int, ...]
    seconds: tuple[float, ...]
    loss: tuple[float, ...]
    precision: str

    @property
    def accuracy(self) -> float:
        """Mean over the repeats."""
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the repeats; None for a single one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else None

    @property
    def class_accuracy(self) -> dict[str, float]:
        """Share of right answers for each of `CLASSES`."""
        asked = self.confusion.sum(axis=1)
        return dict(zip(CLASSES, (np.diag(self.confusion) / np.maximum(asked, 1)).tolist(), strict=True))

    @property
    def projected_hours(self) -> float:
        """Hours, one repeat after the other, of the paper's 200 trainings of 1000 epochs on this machine."""
        return PAPER_REPEATS * PAPER_EPOCHS * sum(self.seconds) / sum(self.epochs) / 3600

    def to_json(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return asdict(self) | {
            "accuracy": self.accuracy,
            "deviation": self.deviation,
            "class_accuracy": self.class_accuracy,
            "confusion": self.confusion.tolist(),
            "projected_hours": self.projected_hours,
        }


@dataclass(frozen=True)
class PairedDifference:
    """How much more often one pipeline is right than another, on the same repeats.

    Attributes
    ----------
    first, second : pipelines, with the condition that each was asked in
    difference : of the shares of right answers; positive where the first is better
    low, high : interval that holds it with `confidence`, repeats and people drawn anew
    better, worse : share of repeats in which the first answers more, or less, rightly
    """

    first: tuple[str, str]
    second: tuple[str, str]
    difference: float
    low: float
    high: float
    confidence: float
    better: float
    worse: float


@dataclass(frozen=True)
class TableRow:
    """A row of Table 1 or 2 with what was measured beside it, both in per cent; `note` is what a reader must know.

    `published` is None beside figures of rendered people.
    """

    approach: str
    starred: bool
    published: float | None
    measured: float | None
    deviation: float | None
    note: str


@dataclass(frozen=True)
class RgbdResult:
    """All pipelines under one protocol.

    Attributes
    ----------
    protocol, description : how people were divided
    repeats : how often
    people : who took part, how many
    images : of theirs
    synthetic : whether they are rendered
    results : every pipeline in every condition
    differences : of fusions against what they are made of, of reconstructed depth against that of scans, and of
        conditions against `AS_TRAINED`
    problems : what a reader must know
    settings : what was set
    versions, machine : what ran, on what
    """

    protocol: str
    description: str
    repeats: int
    people: int
    images: int
    synthetic: bool
    results: tuple[PipelineResult, ...]
    differences: tuple[PairedDifference, ...]
    problems: tuple[str, ...]
    settings: Mapping[str, Any]
    machine: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    def of(self, pipeline: str, condition: str = AS_TRAINED) -> PipelineResult | None:
        """The result of a pipeline; None where it was not evaluated."""
        found = (one for one in self.results if (one.pipeline, one.condition) == (pipeline, condition))
        return next(found, None)

    def table_1(self) -> list[TableRow]:
        """Table 1, and below it the pipelines beyond the paper; of rendered people what was measured alone."""
        named = {published.pipeline for published in TABLE_1}
        further = [one for one in self.results if one.condition == AS_TRAINED and one.pipeline not in named]
        return self._rows([*TABLE_1, *(PublishedAccuracy(one.title, "nan", one.pipeline) for one in further)])

    def table_2(self) -> list[TableRow]:
        """Table 2, and below it the work that the paper does not compare itself with for its other protocol."""
        return self._rows([*TABLE_2, ALL_PEOPLE])

    @property
    def extent(self) -> dict[str, int]:
        """How much was trained, beside what the paper trains: repeats, and the epochs of each training."""
        epochs = [count for one in self.results for count in one.epochs]
        return {
            "repeats": self.repeats,
            "repeats_of_paper": PAPER_REPEATS,
            "epochs_at_most": self.settings["training"]["epochs"],
            "epochs_least": min(epochs, default=0),
            "epochs_most": max(epochs, default=0),
            "epochs_of_paper": PAPER_EPOCHS,
        }

    def _rows(self, published: Sequence[PublishedAccuracy]) -> list[TableRow]:
        rows = [self._row(one) for one in published]
        return [row for row in rows if not self.synthetic or row.measured is not None]

    def _row(self, published: PublishedAccuracy) -> TableRow:
        measured = None if published.pipeline is None else self.of(published.pipeline)
        stated = published.accuracy
        deviation = None if measured is None or measured.deviation is None else 100 * measured.deviation
        return TableRow(
            approach=published.approach,
            starred=published.starred,
            published=None if np.isnan(stated) or self.synthetic else stated,
            measured=None if measured is None else 100 * measured.accuracy,
            deviation=deviation,
            note="; ".join(self._notes(measured)),
        )

    def _notes(self, measured: PipelineResult | None) -> list[str]:
        if measured is None:
            return []
        notes = ["rendered people"] if self.synthetic else []
        of_paper = WEIGHT_SOURCES["imagenet"]
        return notes + [f"{network}: {label}" for network, label in measured.backbones.items() if label != of_paper]

    def to_json(self) -> dict[str, Any]:
        """The result as JSON has it, both tables included."""
        tree = {name: getattr(self, name) for name in _PLAIN}
        tree |= {
            "results": [one.to_json() for one in self.results],
            "differences": [asdict(one) for one in self.differences],
            "extent": self.extent,
            "table_1": [self._told(row) for row in self.table_1()],
            "table_2": [self._told(row) for row in self.table_2()],
        }
        if self.synthetic:
            tree["published_left_out"] = ONLY_RENDERED
        return rounded(tree)

    def _told(self, row: TableRow) -> dict[str, Any]:
        """A row as JSON has it: of rendered people without a place for published figures."""
        return {name: value for name, value in asdict(row).items() if not (self.synthetic and name == "published")}

    def write(self, path: Path | str) -> None:
        """Write the JSON file."""
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n")

    def text(self) -> str:
        """The result for a terminal: both tables beside what was measured, differences, and what to know.

        Published figures stand beside those of real people alone.
        """
        kind = "rendered " if self.synthetic else ""
        head = f"{self.images} {kind}images of {self.people} people: {self.description}"
        parts = [f"{head}\n{self._extent_in_words()}"]
        if self.synthetic:
            parts += [ONLY_RENDERED, self._table_in_words(self.table_1())]
        else:
            parts += ["Table 1, accuracy in %", self._table_in_words(self.table_1())]
            parts += ["Table 2 and section 5.3, accuracy in %", self._table_in_words(self.table_2())]
        others = [one for one in self.results if one.condition != AS_TRAINED]
        if others:
            rows = [[one.title, one.condition, _percent(100 * one.accuracy)] for one in others]
            parts.append(aligned([["", "condition", "measured"], *rows]))
        if self.differences:
            rows = [["differences in points", "", "interval"]]
            rows += [
                [
                    f"{_named(one.first)} - {_named(one.second)}",
                    f"{100 * one.difference:+.2f}",
                    f"{100 * one.low:+.2f} to {100 * one.high:+.2f}",
                ]
                for one in self.differences
            ]
            parts.append(aligned(rows))
        return "\n\n".join(parts + [f"Note: {problem}" for problem in self.problems])

    def _extent_in_words(self) -> str:
        extent = self.extent
        epochs = f"{extent['epochs_least']} to {extent['epochs_most']} epochs, {extent['epochs_at_most']} at most"
        return (
            f"{extent['repeats']} repeats (the paper: {PAPER_REPEATS}) of trainings that took {epochs} (the paper: "
            f"{PAPER_EPOCHS})"
        )

    def _table_in_words(self, rows: Sequence[TableRow]) -> str:
        lines = [["", "published", "measured", "", "note"]]
        for row in rows:
            deviation = "" if row.deviation is None else f"± {row.deviation:.2f}"
            star = " *" if row.starred else ""
            lines.append([row.approach + star, _percent(row.published), _percent(row.measured), deviation, row.note])
        # Without the column of what is published, nobody takes one figure for the other.
        return aligned([line[:1] + line[2:] for line in lines] if self.synthetic else lines)


_PLAIN = (
    *("protocol", "description", "repeats", "people", "images", "synthetic", "problems", "settings", "machine"),
    "versions",
)


def versions() -> dict[str, str]:
    """What decides figures."""
    return {"python": python_version()} | {package: version(package) for package in ("torch", "torchvision", "numpy")}


def _named(one: tuple[str, str]) -> str:
    pipeline, condition = one
    title = PIPELINES[pipeline].title
    return title if condition == AS_TRAINED else f"{title} ({condition})"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns, the first of which begins at the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    notes = rows[0].index("note") if "note" in rows[0] else None
    lines = (
        "  ".join(
            cell.ljust(width) if column == 0 or column == notes else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def rounded(value: Any) -> Any:
    """A value as JSON has it, with as many digits as mean something."""
    if isinstance(value, Mapping):
        return {str(name): rounded(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part) for part in value]
    return round(value, DIGITS) if isinstance(value, float) else value
