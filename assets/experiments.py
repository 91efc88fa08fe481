"""MLflow: one run per training, with its inputs' versions, and the model registry."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets import versioning
from assets.workspace import Workspace

if TYPE_CHECKING:
    from mlflow.entities import Run

TRACKING_URI = "MLFLOW_TRACKING_URI"
PROCESS_TAG = "deepexp3d.process"
STAGE_TAG = "deepexp3d.stage"


def tracking_uri(workspace: Workspace) -> str:
    """`MLFLOW_TRACKING_URI`, else a SQLite database in the project folder."""
    return os.environ.get(TRACKING_URI) or f"sqlite:///{workspace.path('mlflow.db')}"


def connect(workspace: Workspace, experiment: str):
    """Point MLflow at the project's store and at an experiment, making it on first use; returns the module."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    asked_for = os.environ.get(TRACKING_URI)
    mlflow.set_tracking_uri(tracking_uri(workspace))
    if asked_for is None:
        # MLflow leaves the address in the environment, where this process's next project would take it for a wish.
        os.environ.pop(TRACKING_URI, None)
    if mlflow.get_experiment_by_name(experiment) is None:
        local = tracking_uri(workspace).startswith("sqlite")
        mlflow.create_experiment(
            experiment, artifact_location=workspace.path("mlartifacts", experiment).as_uri() if local else None
        )
    mlflow.set_experiment(experiment)
    return mlflow


@contextlib.contextmanager
def training_run(
    workspace: Workspace, stage: str, *, synthetic: bool, parameters: dict[str, Any], dagster_run_id: str | None = None
) -> Iterator["Run"]:
    """An MLflow run for a stage: parameters, versions of its inputs, commit, Dagster run, system metrics.

    Runs of the same stage that a killed process left open are closed as KILLED first.
    """
    mlflow = connect(workspace, stage.split("@")[0])
    _close_abandoned_runs(mlflow, stage)
    mlflow.enable_system_metrics_logging()
    tags = {
        STAGE_TAG: stage,
        PROCESS_TAG: _process_identity(os.getpid()) or "",
        "data": "synthetic" if synthetic else "real",
        "git_commit": _git_commit(workspace.root),
        "dagster_run_id": dagster_run_id or os.environ.get("DAGSTER_RUN_ID", ""),
        "overrides": str(dict(workspace.overrides)) if workspace.overrides else "",
    }
    versions = versioning.path_versions(workspace.root)
    tags |= {f"dvc_md5.{path}": versions[path] for path in workspace.inputs(stage) if path in versions}
    with mlflow.start_run(run_name=stage, tags={key: value for key, value in tags.items() if value}) as run:
        mlflow.log_params(flattened(parameters))
        yield run


def run_link(workspace: Workspace, run: "Run") -> str:
    """Where a person looks at a run: the page of the MLflow server that `make ui` starts."""
    server = os.environ.get(TRACKING_URI, "")
    base = server if server.startswith("http") else f"http://127.0.0.1:{workspace.params.machine.mlflow_port}"
    return f"{base}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def register(mlflow, name: str, model_uri: str, tags: dict[str, str]) -> int:
    """Register a model version as `challenger`; the first one of a name is the `champion` too. Returns the version."""
    version = mlflow.register_model(model_uri, name, tags=tags)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(name, "challenger", version.version)
    if "champion" not in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, "champion", version.version)
    return int(version.version)


def flattened(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters with dotted names."""
    flat = {}
    for key, value in tree.items():
        flat |= flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _close_abandoned_runs(mlflow, stage: str) -> None:
    client = mlflow.MlflowClient()
    for run in mlflow.search_runs(
        experiment_names=[stage.split("@")[0]],
        filter_string=f"attributes.status = 'RUNNING' and tags.`{STAGE_TAG}` = '{stage}'",
        output_format="list",
    ):
        identity = run.data.tags.get(PROCESS_TAG, "")
        if identity != _process_identity(int(identity.split(":")[0] or 0)):
            client.set_terminated(run.info.run_id, status="KILLED")


def _process_identity(pid: int) -> str | None:
    """A process by number and start time, so that a reused number is not taken for the same process."""
    import psutil

    try:
        return f"{pid}:{psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess:
        return None


def _git_commit(root: Path) -> str:
    result = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else ""
