"""A training's record: written on disk as it goes, delivered to MLflow at the same time or, if need be, later.

What a training logs goes into a folder below `data/.spool/mlflow` first. A thread carries it on to the server every few
seconds. A server that is down, or that refuses the credentials, therefore costs nothing: the training finishes, and the
next training, the registry's sensor or `deepexp3d upload` delivers what is left. Delivering twice changes nothing.
"""

import json
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from assets import experiments, structured_logs, versioning
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.storage import written_whole

log = logging.getLogger(__name__)

SPOOL = (".spool", "mlflow")
STAGE_TAG = "deepexp3d.stage"
RECORD_TAG = "deepexp3d.record"
# Files of a record. What has been delivered is kept apart from what there is: each has one writer.
HEAD, METRICS, END, DELIVERED = "head.json", "metrics.jsonl", "end.json", "delivered.json"
FILES, MODELS, MODEL_SPEC = "files", "models", "registered.json"

LIVE_SECONDS = 5.0
SYSTEM_SECONDS = 10.0
# How long a server that did not answer is left alone while a training goes on.
PAUSE_SECONDS = 30.0
METRICS_AT_ONCE = 500


@dataclass(frozen=True)
class Delivery:
    """What became of a record. `run_id`, `experiment_id` and the `versions` of its models as far as they are known."""

    complete: bool
    run_id: str | None
    experiment_id: str | None
    versions: dict[str, int]


class ExperimentRecord:
    """What one run logs. Everything is on disk when a call returns; nothing waits for a server.

    Parameters
    ----------
    folder : of this record alone
    """

    def __init__(self, workspace: Workspace, folder: Path):
        self.workspace, self.folder = workspace, folder
        self._lock = threading.Lock()
        # What the server has of it; outlives the folder, which goes when all of it is delivered.
        self.delivery = _delivery(_state(folder), complete=False)

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        """Add values to curves; numbers that are not finite are logged as they are."""
        now = int(time.time() * 1000)
        lines = [json.dumps([name, float(value), now, int(step)]) + "\n" for name, value in metrics.items()]
        with self._lock, open(self.folder / METRICS, "a") as file:
            file.writelines(lines)

    def log_file(self, path: Path, folder: str = "") -> None:
        """Keep a copy of a file, as an artifact below `folder`."""
        target = self.folder / FILES / folder / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)

    def log_model(
        self,
        name: str,
        save: Callable[[Path], None],
        *,
        registered_name: str,
        tags: dict[str, str],
        aliases: list[str],
        description: str = "",
    ) -> None:
        """Keep a model, to become the next version of `registered_name`.

        Parameters
        ----------
        save : writes the model into a folder that does not exist yet, as `mlflow.onnx.save_model` does
        aliases : names that the new version takes over
        description : of the version, in Markdown, such as its card
        """
        folder = self.folder / MODELS / name
        folder.mkdir(parents=True)
        save(folder / "model")
        spec = {"registered_name": registered_name, "tags": tags, "aliases": aliases, "description": description}
        with written_whole(folder / MODEL_SPEC) as path:
            path.write_text(json.dumps(spec))

    def close(self, status: str) -> None:
        """Say how the run ended: FINISHED, FAILED or KILLED."""
        with written_whole(self.folder / END) as path:
            path.write_text(json.dumps({"status": status, "time": int(time.time() * 1000)}))

    def deliver(self) -> Delivery:
        """Bring to the server what it does not have yet; see `deliver`."""
        self.delivery = deliver(self.workspace, self.folder)
        return self.delivery

    def deliver_or_warn(self) -> None:
        """Deliver what can be; what cannot stays, and the log says so."""
        try:
            self.deliver()
        except DeepExp3DError as error:
            log.warning("%s Kept in %s; `deepexp3d upload` delivers it later.", error, self.folder)

    @property
    def link(self) -> str:
        """Where a person looks at the run, or what to do so that it gets there."""
        delivery = self.delivery
        if delivery.run_id is None:
            return f"waits for MLflow in {self.folder.relative_to(self.workspace.root)}; deliver it by deepexp3d upload"
        return experiments.run_link(self.workspace, delivery.experiment_id, delivery.run_id)


@contextmanager
def experiment_record(
    workspace: Workspace, stage: str, *, synthetic: bool, parameters: dict[str, Any]
) -> Iterator[ExperimentRecord]:
    """The record of a stage's run: parameters, versions of its inputs, commit, Dagster run, system and GPU metrics.

    Runs of the same stage that a killed process left open are closed as KILLED first.
    """
    _close_abandoned(workspace, stage)
    record = _begin(workspace, stage, synthetic, parameters)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_watch_system, args=(record, stop), daemon=True, name="system-metrics"),
        threading.Thread(target=_deliver_live, args=(record, stop), daemon=True, name="mlflow-delivery"),
    ]
    record.deliver_or_warn()
    for thread in threads:
        thread.start()
    status = "FAILED"
    try:
        yield record
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        record.close(status)
        record.deliver_or_warn()


def waiting_records(workspace: Workspace) -> list[Path]:
    """Folders of records that ended, or whose process did, and that the server does not have yet."""
    folders = sorted(workspace.data(*SPOOL).glob("*/"))
    return [folder for folder in folders if (folder / HEAD).exists() and not _alive(folder)]


def deliver_waiting(workspace: Workspace) -> list[Path]:
    """Deliver every record that waits; returns those that were delivered.

    Raises
    ------
    StorageUnreachableError, CredentialsMissingError
        The server does not answer, or refuses. What was not delivered stays.
    """
    delivered = []
    for folder in waiting_records(workspace):
        if not (folder / END).exists():
            ExperimentRecord(workspace, folder).close("KILLED")
        if deliver(workspace, folder).complete:
            delivered.append(folder)
    return delivered


def deliver(workspace: Workspace, folder: Path) -> Delivery:
    """Bring to the server what it does not have yet of a record; remove the record once it is complete.

    Raises
    ------
    StorageUnreachableError, CredentialsMissingError
        The server does not answer, or refuses.
    """
    try:
        with FileLock(folder.with_suffix(".lock"), timeout=60), experiments.reaching(workspace):
            if not (folder / HEAD).exists():
                return Delivery(True, None, None, {})
            delivery = _deliver(workspace, folder)
            if delivery.complete:
                shutil.rmtree(folder)
    except Timeout:
        raise DeepExp3DError(f"{folder}: another process has been delivering it for a minute; try again.") from None
    if delivery.complete:
        folder.with_suffix(".lock").unlink(missing_ok=True)
    return delivery


def _begin(workspace: Workspace, stage: str, synthetic: bool, parameters: dict[str, Any]) -> ExperimentRecord:
    name = f"{stage.replace('@', '-')}-{uuid.uuid4().hex[:12]}"
    versions = versioning.path_versions(workspace.root)
    tags = {
        STAGE_TAG: stage,
        RECORD_TAG: name,
        "data": "synthetic" if synthetic else "real",
        "git_commit": experiments.git_commit(workspace.root),
        "dagster_run_id": structured_logs.run_id(),
        "overrides": str(dict(workspace.overrides)) if workspace.overrides else "",
        **{f"dvc_md5.{path}": versions[path] for path in workspace.inputs(stage) if path in versions},
    }
    head = {
        "experiment": stage.split("@")[0],
        "name": stage,
        "tags": {key: value for key, value in tags.items() if value},
        "params": {key: str(value) for key, value in experiments.flattened(parameters).items()},
        "process": experiments.process_identity(os.getpid()),
        "time": int(time.time() * 1000),
    }
    folder = workspace.data(*SPOOL, name)
    with written_whole(folder / HEAD) as path:
        path.write_text(json.dumps(head))
    return ExperimentRecord(workspace, folder)


def _alive(folder: Path) -> bool:
    """Whether the process that writes a record still does."""
    if (folder / END).exists():
        return False
    identity = json.loads((folder / HEAD).read_text())["process"]
    return identity is not None and identity == experiments.process_identity(int(identity.split(":")[1]))


def _close_abandoned(workspace: Workspace, stage: str) -> None:
    for folder in waiting_records(workspace):
        if json.loads((folder / HEAD).read_text())["tags"][STAGE_TAG] != stage:
            continue
        record = ExperimentRecord(workspace, folder)
        if not (folder / END).exists():
            record.close("KILLED")
        record.deliver_or_warn()


def _deliver_live(record: ExperimentRecord, stop: threading.Event) -> None:
    """Carry on what is new every few seconds; after a failure wait longer."""
    pause = LIVE_SECONDS
    while not stop.wait(pause):
        try:
            record.deliver()
            pause = LIVE_SECONDS
        except DeepExp3DError as error:
            if pause == LIVE_SECONDS:
                log.warning("%s The run goes on, and its figures are kept until they can be delivered.", error)
            pause = PAUSE_SECONDS


def _watch_system(record: ExperimentRecord, stop: threading.Event) -> None:
    """Log processor, memory, disk, network and, where there is one, GPU figures, as MLflow names them."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitors = SystemMetricsMonitor(run_id="", tracking_uri=experiments.tracking_uri(record.workspace)).monitors
    step = 0
    while True:
        metrics = {}
        for monitor in monitors:
            monitor.collect_metrics()
            metrics |= {f"system/{name}": value for name, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        record.log_metrics(metrics, step)
        step += 1
        if stop.wait(SYSTEM_SECONDS):
            return


def _state(folder: Path) -> dict[str, Any]:
    path = folder / DELIVERED
    empty = {"experiment_id": None, "run_id": None, "metric_bytes": 0, "params": False, "files": {}, "versions": {}}
    return empty | (json.loads(path.read_text()) if path.exists() else {})


def _delivery(state: dict[str, Any], complete: bool) -> Delivery:
    return Delivery(complete, state["run_id"], state["experiment_id"], dict(state["versions"]))


def _deliver(workspace: Workspace, folder: Path) -> Delivery:
    head, state = json.loads((folder / HEAD).read_text()), _state(folder)
    # Read before anything is delivered: what is logged later has its turn later.
    end = json.loads((folder / END).read_text()) if (folder / END).exists() else None
    mlflow = experiments.connect(workspace, head["experiment"])
    client = mlflow.MlflowClient()

    def keep() -> None:
        with written_whole(folder / DELIVERED) as path:
            path.write_text(json.dumps(state))

    if state["run_id"] is None:
        run = _run_of(client, mlflow.get_experiment_by_name(head["experiment"]).experiment_id, head)
        state |= {"run_id": run.info.run_id, "experiment_id": run.info.experiment_id}
        keep()
    if not state["params"]:
        params = [mlflow.entities.Param(name, value) for name, value in head["params"].items()]
        client.log_batch(state["run_id"], params=params)
        state["params"] = True
        keep()
    _deliver_metrics(mlflow, client, folder, state, keep)
    _deliver_files(client, folder, state, keep)
    for model in sorted((folder / MODELS).glob(f"*/{MODEL_SPEC}")):
        if model.parent.name not in state["versions"]:
            state["versions"][model.parent.name] = _deliver_model(mlflow, client, model.parent, head, state)
            keep()
    if end is not None:
        client.set_terminated(state["run_id"], status=end["status"], end_time=end["time"])
    return _delivery(state, complete=end is not None)


def _run_of(client, experiment_id: str, head: dict[str, Any]):
    """The run of a record: one that an interrupted delivery made, else a new one."""
    found = client.search_runs([experiment_id], f"tags.`{RECORD_TAG}` = '{head['tags'][RECORD_TAG]}'")
    if found:
        return found[0]
    return client.create_run(experiment_id, start_time=head["time"], tags=head["tags"], run_name=head["name"])


def _deliver_metrics(mlflow, client, folder: Path, state: dict[str, Any], keep: Callable[[], None]) -> None:
    if not (folder / METRICS).exists():
        return
    with open(folder / METRICS, "rb") as file:
        file.seek(state["metric_bytes"])
        lines = file.readlines()
    # A line that is being written has no end yet.
    lines = [line for line in lines if line.endswith(b"\n")]
    for start in range(0, len(lines), METRICS_AT_ONCE):
        part = lines[start : start + METRICS_AT_ONCE]
        client.log_batch(state["run_id"], metrics=[mlflow.entities.Metric(*json.loads(line)) for line in part])
        state["metric_bytes"] += sum(map(len, part))
        keep()


def _deliver_files(client, folder: Path, state: dict[str, Any], keep: Callable[[], None]) -> None:
    root = folder / FILES
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root)
        size = path.stat().st_size
        if state["files"].get(str(name)) != size:
            inside = str(name.parent) if name.parent != Path() else None
            client.log_artifact(state["run_id"], str(path), inside)
            state["files"][str(name)] = size
            keep()


def _deliver_model(mlflow, client, folder: Path, head: dict[str, Any], state: dict[str, Any]) -> int:
    """Upload a model and register it; returns the version, which is an earlier delivery's where that got so far."""
    spec = json.loads((folder / MODEL_SPEC).read_text())
    registered, mark = spec["registered_name"], f"{head['tags'][RECORD_TAG]}/{folder.name}"
    with experiments.already_there():
        client.create_registered_model(registered)
    versions = client.search_model_versions(f"name = '{registered}' and tags.`{RECORD_TAG}` = '{mark}'")
    if not versions:
        model = client.create_logged_model(state["experiment_id"], name=folder.name, source_run_id=state["run_id"])
        client.log_model_artifacts(model.model_id, str(folder / "model"))
        client.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(state["run_id"], [mlflow.entities.LoggedModelOutput(model.model_id, step=0)])
        tags = spec["tags"] | {RECORD_TAG: mark}
        source = f"models:/{model.model_id}"
        about = {"tags": tags, "description": spec["description"], "model_id": model.model_id}
        versions = [client.create_model_version(registered, source, state["run_id"], **about)]
    for alias in spec["aliases"]:
        client.set_registered_model_alias(registered, alias, versions[0].version)
    return int(versions[0].version)
