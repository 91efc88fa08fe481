"""What the results' files say of Tables I to IV and 1 to 2, and what these results were made from."""

import datetime
import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from assets import versioning
from assets.experiments import flattened
from assets.facevid_splits import read_splits
from assets.raw_videos import read_manifest
from assets.stage import dataset_folder, skip_reason
from assets.workspace import Workspace
from models.emotion import published
from models.emotion.report.evaluations import read_evaluations, with_evaluations
from models.emotion.report.measurements import FoundSet, Measurements, accuracies_of
from models.errors import DatasetError
from models.packages import sha256_of

INFERENCE = "inference.json"
# Folder of figures that `deepexp3d evaluate` has written; DVC cannot have it as a dependency, which must exist.
EVALUATIONS = "evaluations"
# Libraries that decide figures.
LIBRARIES = ("deepexp3d", "numpy", "scipy", "scikit-learn", "torch", "onnxruntime", "openvino")


def gather_measurements(workspace: Workspace) -> Measurements:
    """Everything that the tables show, from `data/`, `reports/inference.json` and `reports/evaluations/*.json`."""
    evaluations, left_out = read_evaluations(workspace.path("reports", EVALUATIONS))
    benchmarks = workspace.partitions["emotion_classifier"]
    reasons = {name: skip_reason(workspace, "emotion_classifier", name) for name in benchmarks}
    reasons |= {stage: skip_reason(workspace, stage) for stage in ("stress_detection", "view_invariance")}
    accuracies = {name: _json(workspace, "emotion_classifier", name, "metrics.json") for name in benchmarks}
    expression = _json(workspace, "expression_evaluation", "metrics.json")
    inference = workspace.path("reports", INFERENCE)
    own = Measurements(
        accuracies={name: accuracies_of(metrics) for name, metrics in accuracies.items() if metrics is not None},
        not_run={name: reason.removeprefix("skipped: ") for name, reason in reasons.items() if reason},
        benchmark_titles={name: _title(name) for name in benchmarks},
        found=_found(workspace),
        inference=json.loads(inference.read_text()) if inference.is_file() else None,
        stress=_json(workspace, "stress_detection", "metrics.json"),
        views=_json(workspace, "view_invariance", "metrics.json") or {},
        expression=None if expression is None else expression | {"test_videos": _test_videos(workspace)},
        left_out=left_out,
    )
    return with_evaluations(own, evaluations)


def fusion_measurements(workspace: Workspace) -> tuple[dict[str, Any] | None, str | None]:
    """What `rgbd_evaluation` measured, and where it did not, why."""
    reason = skip_reason(workspace, "rgbd_evaluation")
    return _json(workspace, "rgbd_evaluation", "metrics.json"), reason and reason.removeprefix("skipped: ")


def provenance(workspace: Workspace) -> list[tuple[str, str]]:
    """What the figures were made from and on, as (name, value): machine, versions, network, seeds, inputs' md5."""
    from models.emotion.benchmark_result import machine

    facts = machine(workspace.workers)
    versions = _dependency_versions(workspace) | versioning.path_versions(workspace.root)
    inputs = {path: versions[path] for path in workspace.inputs("results_report") if path in versions}
    seeds = {
        name: value
        for name, value in flattened(workspace.params.model_dump(mode="json")).items()
        if name.endswith("seed") and not name.startswith("shipped_models")
    }
    return [
        ("date", datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")),
        (
            "machine",
            f"{facts['processor']}, {facts['processors']} processors, {facts['memory_gib']} GiB, {facts['system']}",
        ),
        ("processes", str(facts["workers"])),
        ("versions", ", ".join(_versions())),
        ("network", _network(workspace)),
        ("seeds", ", ".join(f"{name} {value}" for name, value in seeds.items())),
        *[(f"md5 of {path}", md5) for path, md5 in inputs.items()],
        *[
            (f"sha256 of reports/{EVALUATIONS}/{path.name}", sha256_of(path))
            for path in sorted(workspace.path("reports", EVALUATIONS).glob("*.json"))
        ],
    ]


def _title(benchmark: str) -> str:
    from models.emotion.benchmarks import BENCHMARKS

    if benchmark in BENCHMARKS:
        return BENCHMARKS[benchmark].title
    return f"{benchmark} (rendered people)" if benchmark.startswith("synthetic") else benchmark


def _found(workspace: Workspace) -> dict[str, FoundSet]:
    """The sets of Table I that lie in `data/datasets`."""
    from models.emotion.datasets import read_dataset

    found = {}
    for row in published.DATABASES:
        root = dataset_folder(workspace, row.dataset)
        if root is None:
            continue
        try:
            contents = read_dataset(row.dataset, root)
        except DatasetError as error:
            found[row.dataset] = FoundSet(0, None, (str(error),))
        else:
            found[row.dataset] = FoundSet(len(contents.photographs), len(contents.subjects) or None, contents.problems)
    return found


def _test_videos(workspace: Workspace) -> dict[str, int]:
    """How many videos `expression_evaluation` tests on, and how many of them are rendered."""
    splits = read_splits(workspace)
    sources = read_manifest(workspace).set_index("video_id").source
    tested = splits.source_video[splits.split == "test"].map(sources)
    return {"all": len(tested), "rendered": int((tested == "synthetic").sum())}


def _dependency_versions(workspace: Workspace) -> dict[str, str]:
    """The md5 that DVC has recorded of the data sets that users have put into `data/datasets`."""
    lock = workspace.path("dvc.lock")
    stages = yaml.safe_load(lock.read_text())["stages"] if lock.exists() else {}
    recorded = {
        dependency["path"]: dependency["md5"]
        for stage in stages.values()
        for dependency in stage.get("deps", [])
        if "md5" in dependency and dependency["path"].startswith("data/datasets/")
    }
    return {path: md5 for path, md5 in recorded.items() if dataset_folder(workspace, Path(path).name) is not None}


def _network(workspace: Workspace) -> str:
    from models.expression.runtime import NETWORK

    path = workspace.data("deepexp3d_export", NETWORK)
    if not path.is_file():
        return "none"
    facts = _json(workspace, "deepexp3d_export", "export.json") or {}
    words = ", ".join(str(facts[name]) for name in ("exported", "backbone", "trained_on") if name in facts)
    return f"{words}; sha256 of {NETWORK} {sha256_of(path)}"


def _versions() -> Iterator[str]:
    import platform

    yield f"Python {platform.python_version()}"
    for name in LIBRARIES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue


def _json(workspace: Workspace, *parts: str) -> Any:
    path = workspace.data(*parts)
    return json.loads(path.read_text()) if path.is_file() else None
