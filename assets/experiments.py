"""MLflow: where its server is, and what its errors mean."""

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets.workspace import Workspace
from models.errors import CredentialsMissingError, StorageUnreachableError

TRACKING_URI = "MLFLOW_TRACKING_URI"
# MLflow's own patience with a server that does not answer is several minutes for each call.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def tracking_uri(workspace: Workspace) -> str:
    """`MLFLOW_TRACKING_URI`, else the database of the storage profile, else a SQLite one in the project folder."""
    if asked_for := os.environ.get(TRACKING_URI):
        return asked_for
    postgres = workspace.storage.postgres
    return postgres.address(postgres.mlflow) if postgres else f"sqlite:///{workspace.path('mlflow.db')}"


def artifacts_address(workspace: Workspace) -> str:
    """Below which artifacts are kept where MLflow's database is spoken to without its server."""
    store = workspace.storage.object_store
    return store.mlflow if store else workspace.path("mlartifacts").as_uri()


def client_environment(workspace: Workspace) -> dict[str, str]:
    """What MLflow reads from the environment to find the object store."""
    store = workspace.storage.object_store
    if store is None:
        return {}
    endpoint = {"MLFLOW_S3_ENDPOINT_URL": store.endpoint} if store.endpoint else {}
    return {"AWS_DEFAULT_REGION": store.region} | endpoint


def connect(workspace: Workspace, experiment: str):
    """Point MLflow at the project's store and at an experiment, making it on first use; returns the module."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.update(client_environment(workspace))
    import mlflow

    asked_for = os.environ.get(TRACKING_URI)
    mlflow.set_tracking_uri(tracking_uri(workspace))
    if asked_for is None:
        # MLflow leaves the address in the environment, where this process's next project would take it for a wish.
        os.environ.pop(TRACKING_URI, None)
    if mlflow.get_experiment_by_name(experiment) is None:
        # A server decides for itself.
        direct = not tracking_uri(workspace).startswith("http")
        mlflow.create_experiment(
            experiment, artifact_location=f"{artifacts_address(workspace)}/{experiment}" if direct else None
        )
    mlflow.set_experiment(experiment)
    return mlflow


@contextlib.contextmanager
def reaching(workspace: Workspace) -> Iterator[None]:
    """Turn what MLflow's clients raise when a server is out of reach into an error that says what to do.

    Raises
    ------
    CredentialsMissingError
        The server wants a name and a password, or a token, and there is none, or another one's.
    StorageUnreachableError
        It does not answer, or cannot do what is asked.
    """
    import requests
    import sqlalchemy
    from mlflow.exceptions import MlflowException

    address = tracking_uri(workspace)
    try:
        yield
    except (MlflowException, requests.RequestException, sqlalchemy.exc.SQLAlchemyError, ConnectionError) as error:
        reason = " ".join(str(error).split())[:300]
        code = getattr(error, "error_code", "")
        if code in ("UNAUTHENTICATED", "PERMISSION_DENIED") or re.search(r"error code 40[13]|\b40[13]\b", reason):
            raise CredentialsMissingError(
                f"{address}: MLflow refuses the credentials; set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
            ) from error
        raise StorageUnreachableError(
            f"{address}: MLflow cannot be reached, or cannot do this ({reason}); start it, or correct {TRACKING_URI}."
        ) from error


@contextlib.contextmanager
def already_there() -> Iterator[None]:
    """Let the creation of what exists already pass."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise


def run_link(workspace: Workspace, experiment_id: str, run_id: str) -> str:
    """Where a person looks at a run: the page of the MLflow server that `make ui` starts."""
    server = os.environ.get(TRACKING_URI, "")
    base = server if server.startswith("http") else f"http://127.0.0.1:{workspace.params.machine.mlflow_port}"
    return f"{base}/#/experiments/{experiment_id}/runs/{run_id}"


def flattened(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters with dotted names."""
    flat = {}
    for key, value in tree.items():
        flat |= flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def process_identity(pid: int) -> str | None:
    """A process by machine, number and start, so that a reused number is not taken for the same process.

    The start is counted from the machine's own, where the system tells it: no change of the clock moves that.
    """
    import psutil

    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        try:
            started = f"{psutil.Process(pid).create_time():.0f}"
        except psutil.NoSuchProcess:
            return None
    return f"{socket.gethostname()}:{pid}:{started}"


def git_commit(root: Path) -> str:
    """The commit that the project folder is at; empty where it is no repository."""
    result = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else ""
