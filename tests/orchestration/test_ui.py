"""`make ui`: both pages answer, and nothing is left when it is stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest

from tests.workspace_fixture import make_project


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def read(url: str, data: bytes | None = None) -> str:
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.timeout(240)
def test_dagster_and_mlflow_come_up_on_loopback_and_stop_together(tmp_path):
    (tmp_path / "project").mkdir()
    ports = {"machine.dagster_port": free_port(), "machine.mlflow_port": free_port()}
    workspace = make_project(tmp_path / "project", **ports)
    environment = os.environ | {"DEEPEXP3D_ROOT": str(workspace.root), "DAGSTER_HOME": str(workspace.path(".dagster"))}
    log = tmp_path / "log.txt"
    with open(log, "w") as output:
        command = [sys.executable, "-m", "orchestration.ui"]
        ui = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        end = time.monotonic() + 150
        while "Ctrl-C" not in log.read_text():
            assert ui.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.5)
        query = json.dumps({"query": "{assetNodes {assetKey {path}}}"}).encode()
        answer = json.loads(read(f"http://127.0.0.1:{ports['machine.dagster_port']}/graphql", query))
        names = {node["assetKey"]["path"][0] for node in answer["data"]["assetNodes"]}
        assert {"raw_videos", "deepexp3d", "results_report"} <= names
        assert "OK" in read(f"http://127.0.0.1:{ports['machine.mlflow_port']}/health")
        started = psutil.Process(ui.pid).children(recursive=True)
    finally:
        ui.send_signal(signal.SIGINT)
        ui.wait(60)
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
