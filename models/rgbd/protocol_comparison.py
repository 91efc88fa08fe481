"""The same pipelines under several protocols, so that what people are drawn for can be told from what is learned.

Sections 5.2 and 5.3 object to [39] that it learns from 90 of all 100 people and tests the other ten, without
cross-validation as far as is told. How much more people bring, and how far single divisions lie apart, is told here.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models.rgbd.evaluation import evaluate_rgbd
from models.rgbd.network_settings import RgbdEvaluationSettings
from models.rgbd.result import AS_TRAINED, ONLY_RENDERED, RgbdResult, aligned, rounded
from models.rgbd.samples import RgbdSamples
from models.storage import written_whole


@dataclass(frozen=True)
class ProtocolRow:
    """A pipeline under a protocol: accuracies of its repeats as shares, and the people behind them.

    `deviation` is None for a single repeat; `least` and `greatest` are what a single division of people may come to.
    """

    pipeline: str
    title: str
    protocol: str
    people: int
    repeats: int
    accuracy: float
    deviation: float | None
    least: float
    greatest: float


@dataclass(frozen=True)
class ProtocolComparison:
    """Results of several protocols, of the same samples, pipelines and settings."""

    results: tuple[RgbdResult, ...]

    @property
    def rows(self) -> list[ProtocolRow]:
        """Pipeline by pipeline, each under every protocol."""
        names = [one.pipeline for one in self.results[0].results if one.condition == AS_TRAINED]
        return [_row(result, name) for name in names for result in self.results]

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON has it, and each result in full."""
        tree = {"comparison": [asdict(row) for row in self.rows]}
        return rounded(tree) | {"protocols": [result.to_json() for result in self.results]}

    def write(self, path: Path | str) -> None:
        """Write the JSON file."""
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n")

    def text(self) -> str:
        """The comparison for a terminal: one table, what the protocols are, and what must be known of them."""
        lines = [["accuracy in %", "protocol", "people", "repeats", "mean", "", "least", "greatest"]]
        for row in self.rows:
            deviation = "" if row.deviation is None else f"± {100 * row.deviation:.2f}"
            shares = [f"{100 * share:.2f}" for share in (row.accuracy, row.least, row.greatest)]
            lines.append(
                [row.title, row.protocol, str(row.people), str(row.repeats), shares[0], deviation, shares[1], shares[2]]
            )
        described = [f"{result.protocol}: {result.description}" for result in self.results]
        problems = dict.fromkeys(problem for result in self.results for problem in result.problems)
        rendered = [ONLY_RENDERED] if self.results[0].synthetic else []
        notes = [f"Note: {problem}" for problem in problems]
        return "\n\n".join([*rendered, aligned(lines), "\n".join(described), *notes])


def compare_protocols(
    samples: RgbdSamples,
    protocols: Sequence[str],
    *,
    settings: RgbdEvaluationSettings,
    folder: Path,
    **others: Any,
) -> ProtocolComparison:
    """Train and test pipelines under each protocol, with the same seed.

    Parameters
    ----------
    protocols : keys of `models.rgbd.protocol.PROTOCOLS`
    settings : of which the protocol is replaced
    folder : keeps divisions and repeats in a folder for each protocol; features of images are shared in `features`
    others : as `evaluate_rgbd`

    Raises
    ------
    DatasetError, WeightsMissingError, ModelMismatchError
        As `evaluate_rgbd`.
    """
    return ProtocolComparison(
        tuple(
            evaluate_rgbd(
                samples,
                settings=replace(settings, protocol=protocol),
                folder=folder / protocol,
                features=folder / "features",
                **others,
            )
            for protocol in protocols
        )
    )


def _row(result: RgbdResult, pipeline: str) -> ProtocolRow:
    one = result.of(pipeline)
    return ProtocolRow(
        pipeline=pipeline,
        title=one.title,
        protocol=result.protocol,
        people=result.people,
        repeats=result.repeats,
        accuracy=one.accuracy,
        deviation=one.deviation,
        least=min(one.accuracies),
        greatest=max(one.accuracies),
    )
