"""A training finishes whatever becomes of MLflow's server, and nothing that it logged is lost or there twice."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from assets import experiments
from assets.experiment_record import (
    END,
    HEAD,
    RECORD_TAG,
    deliver_waiting,
    experiment_record,
    waiting_records,
)
from models.errors import CredentialsMissingError, StorageUnreachableError

pytestmark = pytest.mark.timeout(300)
STAGE = "challenger_review"


class Server:
    """A real MLflow server, which can be killed and started again with what it had."""

    def __init__(self, folder: Path):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            *(str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}", "--workers", "1"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        environment.pop("MLFLOW_TRACKING_URI", None)
        with open(self.folder / "server.log", "a") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 200
        while True:
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=5):
                    return
            except OSError:
                assert self.process.poll() is None, (self.folder / "server.log").read_text()
                assert time.monotonic() < end, (self.folder / "server.log").read_text()
                time.sleep(0.5)

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("mlflow"))
    yield server
    server.stop()


@pytest.fixture
def project(new_project, tmp_path, monkeypatch):
    """A project whose server is out of reach until told otherwise."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return new_project(tmp_path / "project")


def write_model(folder: Path) -> None:
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")


def test_a_server_that_dies_in_mid_training_gets_everything_later_and_once(project, server, monkeypatch):
    import mlflow

    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    curve = project.path("curve.txt")
    curve.write_text("falling")
    with experiment_record(project, STAGE, synthetic=True, parameters={"a": {"b": 3}}) as record:
        run_id = record.delivery.run_id
        assert run_id is not None
        record.log_metrics({"loss": 1.0}, step=0)
        record.deliver()
        server.stop()
        for step in range(1, 40):
            record.log_metrics({"loss": 1 / (step + 1)}, step=step)
        record.log_file(curve, "figures")
        record.log_model("network", write_model, registered_name="net", tags={"kind": "test"}, aliases=["challenger"])
    assert waiting_records(project) == [record.folder]
    with pytest.raises(StorageUnreachableError, match=f"{server.port}.*MLflow cannot be reached"):
        deliver_waiting(project)

    server.start()
    assert deliver_waiting(project) == [record.folder]
    assert deliver_waiting(project) == []
    assert not record.folder.exists()
    client = mlflow.MlflowClient(server.address)
    (run,) = client.search_runs([client.get_experiment_by_name(STAGE).experiment_id])
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert run.data.params == {"a.b": "3"}
    assert run.data.tags["data"] == "synthetic"
    assert sorted(point.step for point in client.get_metric_history(run_id, "loss")) == list(range(40))
    assert [file.path for file in client.list_artifacts(run_id, "figures")] == ["figures/curve.txt"]
    (version,) = client.search_model_versions("name = 'net'")
    assert version.tags["kind"] == "test"
    assert client.get_model_version_by_alias("net", "challenger").version == version.version

    # A delivery that was cut off before it could remember what it had done is done again without a second run or model.
    with experiment_record(project, STAGE, synthetic=True, parameters={}) as again:
        server.stop()
        again.log_model("network", write_model, registered_name="net", tags={}, aliases=[])
    server.start()
    state = again.folder / "delivered.json"
    forgotten = state.read_text()
    end = again.folder / END
    ended = end.read_text()
    end.unlink()
    again.deliver()
    state.write_text(forgotten)
    end.write_text(ended)
    deliver_waiting(project)
    assert len(client.search_model_versions("name = 'net'")) == 2
    assert len(client.search_runs([run.info.experiment_id])) == 2


def test_a_server_that_was_never_there_stops_no_training(project):
    with experiment_record(project, STAGE, synthetic=False, parameters={}) as record:
        record.log_metrics({"loss": 0.5})
    assert "deepexp3d upload" in record.link
    head = json.loads((record.folder / HEAD).read_text())
    assert head["tags"]["data"] == "real"
    assert json.loads((record.folder / END).read_text())["status"] == "FINISHED"


def test_a_training_that_fails_is_recorded_as_failed(project):
    with pytest.raises(ZeroDivisionError), experiment_record(project, STAGE, synthetic=True, parameters={}) as record:
        1 / 0  # noqa: B018
    assert json.loads((record.folder / END).read_text())["status"] == "FAILED"


def test_a_run_that_a_killed_process_left_open_is_closed_as_killed(project, monkeypatch):
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    program = (
        "import os; from assets.experiment_record import experiment_record; from assets.workspace import Workspace\n"
        f"with experiment_record(Workspace.open(), '{STAGE}', synthetic=True, parameters={{}}) as record:\n"
        "    record.log_metrics({'loss': 0.25}); record.deliver(); os._exit(9)"
    )
    environment = os.environ | {"DEEPEXP3D_ROOT": str(project.root)}
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, env=environment).returncode == 9
    (abandoned,) = waiting_records(project)
    with experiment_record(project, STAGE, synthetic=True, parameters={}):
        pass
    assert not abandoned.exists()
    client = mlflow.MlflowClient(experiments.tracking_uri(project))
    runs = client.search_runs([client.get_experiment_by_name(STAGE).experiment_id])
    assert sorted(run.info.status for run in runs) == ["FINISHED", "KILLED"]
    killed = next(run for run in runs if run.info.status == "KILLED")
    assert killed.data.metrics["loss"] == 0.25
    assert killed.data.tags[RECORD_TAG] == abandoned.name


def test_a_live_training_is_not_taken_for_a_killed_one(project):
    with experiment_record(project, STAGE, synthetic=True, parameters={}) as record:
        assert waiting_records(project) == []
        with experiment_record(project, STAGE, synthetic=True, parameters={}):
            pass
        assert not (record.folder / END).exists()


def test_a_clock_that_jumps_makes_no_process_another(monkeypatch):
    import psutil

    before = experiments.process_identity(os.getpid())
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 0.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert experiments.process_identity(os.getpid()) == before
    assert experiments.process_identity(2**22 - 3) is None


def test_missing_credentials_are_named_and_the_training_finishes(project, monkeypatch):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.end_headers()
            self.wfile.write(b"who are you?")

        do_POST = do_GET

        def log_message(self, *arguments):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{refusing.server_port}")
        with experiment_record(project, STAGE, synthetic=True, parameters={}) as record:
            record.log_metrics({"loss": 0.5})
        assert waiting_records(project) == [record.folder]
        with pytest.raises(CredentialsMissingError, match="MLFLOW_TRACKING_USERNAME"):
            deliver_waiting(project)
        refusing.shutdown()
