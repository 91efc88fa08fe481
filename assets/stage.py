"""What every stage shares: its result, its clock, its shell entry point and its Dagster side."""

import base64
import contextlib
import importlib
import json
import logging
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import Field

from assets import versioning
from assets.structured_logs import log_lines, within_run
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.storage import written_whole

# Single-run backfills and asset kinds are marked as beta; nothing else takes their place.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

SKIPPED = "skipped.json"

# Made again by itself, as Dagster's page of the asset explains, once something that it is made from was.
FOLLOWS_ITS_INPUTS = (
    dg.AutomationCondition.any_deps_updated().since_last_handled().with_label("an input was made anew")
    & ~dg.AutomationCondition.any_deps_missing().with_label("an input is missing")
    & ~dg.AutomationCondition.any_deps_in_progress().with_label("an input is being made")
    & ~dg.AutomationCondition.in_progress().with_label("it is being made")
).with_label("follows its inputs")

# The cluster that a stage's work by video finds connected while the asset is made; None for processes.
ClusterResource = dg.ResourceParam[Any]


@dataclass(frozen=True)
class StageResult:
    """What a stage says about what it wrote.

    Attributes
    ----------
    metadata : name -> number, text, list, table (DataFrame) or picture (Path of a PNG or JPEG)
    pending : partitions whose results are not current; DVC records the stage once there are none
    skipped : why nothing was computed and what to do about it; None for a stage that ran
    frames_done : what it went through, finished videos left out; None for a stage that does not go by frames
    """

    metadata: dict[str, Any] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    skipped: str | None = None
    frames_done: int | None = None


class WorkspaceResource(dg.ConfigurableResource):
    """The project folder. `overrides` sets parameters for one run only, for example `deepexp3d.max_epochs: 2`."""

    root: str = ""
    overrides: dict[str, Any] = Field(default_factory=dict)

    def open(self) -> Workspace:
        return Workspace.open(self.root or None, self.overrides)


def skip(workspace: Workspace, stage: str, dataset: str, folder: str, *partition: str) -> StageResult:
    """Write, in place of results, that a data set is absent and where it belongs: `data/datasets/<folder>`."""
    reason = f"skipped: put {dataset} at data/datasets/{folder} (see docs/datasets.md)"
    if dataset_folder(workspace, folder) is not None:
        reason = (
            f"skipped: this release has no reader for {dataset}, found at data/datasets/{folder} (see docs/datasets.md)"
        )
    return skipped(workspace, stage, reason, *partition)


def dataset_folder(workspace: Workspace, name: str) -> Path | None:
    """`data/datasets/<name>` where a user has put something beside the README, else None."""
    folder = workspace.data("datasets", name)
    if folder.is_dir() and any(path.name != "README.md" for path in folder.iterdir()):
        return folder
    return None


def skipped(workspace: Workspace, stage: str, reason: str, *partition: str) -> StageResult:
    """Write, in place of results, why there are none."""
    output = workspace.data(stage, *partition)
    shutil.rmtree(output, ignore_errors=True)
    with written_whole(output / SKIPPED) as path:
        path.write_text(json.dumps({"skipped": reason}) + "\n")
    return StageResult({"status": "skipped"}, skipped=reason)


def skip_reason(workspace: Workspace, stage: str, *partition: str) -> str | None:
    """Why a stage (or one partition of it) has no results; None where it has."""
    path = workspace.data(stage, *partition, SKIPPED)
    return json.loads(path.read_text())["skipped"] if path.exists() else None


def run(workspace: Workspace, stage: str, work: Callable[[], StageResult]) -> StageResult:
    """Run a stage and keep its wall time for the report."""
    begin = time.monotonic()
    with log_lines(stage):
        result = work()
    with written_whole(workspace.data(".timings", f"{stage}.json")) as path:
        path.write_text(json.dumps({"stage": stage, "wall_seconds": round(time.monotonic() - begin, 3)}) + "\n")
    return result


def main(stage: str, function: Callable[..., StageResult], *arguments: Any) -> None:
    """Entry point of `python -m assets.STAGE`: run on the project folder, print what came out."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    name = "@".join([stage, *map(str, arguments)])
    function = _importable(function)
    try:
        workspace = Workspace.open()
        result = run(workspace, name, lambda: function(workspace, *arguments))
    except DeepExp3DError as error:
        sys.exit(f"{name}: {error}")
    for key, value in ({"skipped": result.skipped} if result.skipped else result.metadata).items():
        print(
            f"{name}: {key}: {value if not isinstance(value, pd.DataFrame) else chr(10) + value.to_string(index=False)}"
        )


def _importable(function: Callable[..., StageResult]) -> Callable[..., StageResult]:
    """The function as other processes find it, which have another `__main__`: by its module's name."""
    program = sys.modules["__main__"].__spec__
    if function.__module__ != "__main__" or program is None:
        return function
    return getattr(importlib.import_module(program.name), function.__name__)


def materialise(
    context: dg.AssetExecutionContext,
    resource: WorkspaceResource,
    function: Callable[..., StageResult],
    *arguments: Any,
    stage: str | None = None,
) -> dg.MaterializeResult:
    """Run a stage as a Dagster asset: compute, record with DVC, report data version and metadata.

    `stage` is its name in `dvc.yaml` where that differs from the asset's. A run with overridden parameters is not
    recorded: `dvc.lock` speaks of `params.yaml` alone.
    """
    workspace = resource.open()
    stage = stage or context.asset_key.to_user_string()
    begin = time.monotonic()
    with within_run(context.run_id), _told_to(context.log):
        result = run(workspace, stage, lambda: function(workspace, *arguments))
    metadata = {key: _metadata_value(value) for key, value in result.metadata.items()}
    # Dagster plots every number over time.
    seconds = time.monotonic() - begin
    metadata["wall seconds"] = dg.MetadataValue.float(round(seconds, 3))
    if result.frames_done:
        metadata["frames a second"] = dg.MetadataValue.float(round(result.frames_done / seconds, 3))
    if result.skipped:
        context.log.warning(result.skipped)
        metadata["skipped"] = dg.MetadataValue.md(f"**{result.skipped}**")
    if workspace.overrides:
        context.log.warning("parameters were overridden for this run: DVC does not record it")
        metadata["overrides"] = dg.MetadataValue.json(dict(workspace.overrides))
        return dg.MaterializeResult(metadata=metadata)
    if result.pending:
        context.log.info(f"not recorded with DVC yet: {len(result.pending)} batches are not current")
        metadata["pending batches"] = dg.MetadataValue.int(len(result.pending))
        return dg.MaterializeResult(metadata=metadata)
    versioning.record(workspace.root, [stage])
    version = versioning.output_versions(workspace.root)[stage]
    metadata["dvc_md5"] = dg.MetadataValue.text(version)
    return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(version))


@contextlib.contextmanager
def _told_to(log: dg.DagsterLogManager) -> Iterator[None]:
    """Let what stages say of their progress appear in the run's page, too."""
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: log.log(record.levelno, record.getMessage())
    logger = logging.getLogger("assets")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(logging.INFO, before or logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def table(frame: pd.DataFrame, rows: int = 40) -> str:
    """A DataFrame as a Markdown table, the first rows of it."""
    shown = frame.head(rows)
    lines = ["| " + " | ".join(map(str, shown.columns)) + " |", "|" + "---|" * len(shown.columns)]
    for row in shown.itertuples(index=False):
        lines.append("| " + " | ".join(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row) + " |")
    if len(frame) > rows:
        lines.append(f"\n... and {len(frame) - rows} more rows")
    return "\n".join(lines)


def embedded_picture(path: Path) -> str:
    """A picture file as a data URL, for pages and metadata that must stand alone."""
    kind = "jpeg" if path.suffix.lower() in (".jpg", ".jpeg") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _metadata_value(value: Any) -> dg.MetadataValue:
    if isinstance(value, pd.DataFrame):
        return dg.MetadataValue.md(table(value))
    if isinstance(value, Path):
        if value.suffix.lower() in (".png", ".jpg", ".jpeg"):
            return dg.MetadataValue.md(f"![{value.name}]({embedded_picture(value)})")
        return dg.MetadataValue.path(str(value))
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return dg.MetadataValue.url(value)
    if isinstance(value, (dict, list, tuple)):
        return dg.MetadataValue.json(value if isinstance(value, dict) else list(value))
    return dg.MetadataValue.float(float(value)) if isinstance(value, float) else _plain(value)


def _plain(value: Any) -> dg.MetadataValue:
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    return dg.MetadataValue.text(str(value))


def partitions_of(context: dg.AssetExecutionContext) -> Sequence[str]:
    """The partitions a run is to make, sorted."""
    return sorted(context.partition_keys)
