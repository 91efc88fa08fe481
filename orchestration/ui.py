"""`make ui`: Dagster's and MLflow's web pages on loopback, stopped together."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from assets.experiments import artifacts_address, client_environment, tracking_uri
from assets.workspace import Workspace
from orchestration.run import dagster_instance

HOST = "127.0.0.1"


def main() -> int:
    """Start both, print where they are, and wait until one ends or the user interrupts."""
    workspace = Workspace.open()
    machine = workspace.params.machine
    with dagster_instance(workspace):
        pass
    mlflow_url = f"http://{HOST}:{machine.mlflow_port}"
    dagster_url = f"http://{HOST}:{machine.dagster_port}"
    processes = [
        _start(
            ["mlflow", "server", "--backend-store-uri", tracking_uri(workspace), "--host", HOST]
            + ["--port", str(machine.mlflow_port), "--workers", "1"]
            + ["--artifacts-destination", artifacts_address(workspace)],
            # Its job workers would take 2 GB and do nothing here.
            client_environment(workspace) | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        ),
        _start(
            ["dagster", "dev", "-m", "orchestration.definitions", "--host", HOST, "--port", str(machine.dagster_port)],
            {},
        ),
    ]
    # Set for interrupts too: a shell that starts this in the background has them ignored.
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, _interrupted)
    try:
        for name, url in (("MLflow", f"{mlflow_url}/health"), ("Dagster", f"{dagster_url}/server_info")):
            _wait_for(url, name, processes)
        print(f"\nDagster  {dagster_url}\nMLflow   {mlflow_url}\nCtrl-C stops both.", flush=True)
        while all(process.poll() is None for process in processes):
            time.sleep(1)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(processes)


def _interrupted(*_) -> None:
    raise KeyboardInterrupt


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen:
    # A process group of its own: `dagster dev` leaves children behind when only it is interrupted.
    program = str(Path(sys.executable).with_name(command[0]))
    return subprocess.Popen([program, *command[1:]], env=os.environ | environment, start_new_session=True)


def _wait_for(url: str, name: str, processes: list[subprocess.Popen], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(process.poll() is not None for process in processes):
            raise SystemExit(f"{name} did not start; its output is above. Is the port of {url} taken?")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise SystemExit(f"{name} does not answer at {url} after {seconds:.0f} s.")


def _stop(processes: list[subprocess.Popen]) -> None:
    for sign, patience in ((signal.SIGINT, 10), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        for process in processes:
            try:
                os.killpg(process.pid, sign)
            except ProcessLookupError:
                continue
        for process in processes:
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                continue


if __name__ == "__main__":
    sys.exit(main())
