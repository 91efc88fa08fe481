"""Somebody is told when a run fails: by a web hook, or by a command of their own."""

import functools
import json
import logging
import os
import shlex
import subprocess
import urllib.request
from typing import Any

import dagster as dg

WEBHOOK, COMMAND = "DEEPEXP3D_ALERT_WEBHOOK", "DEEPEXP3D_ALERT_COMMAND"
PATIENCE_SECONDS = 20

log = logging.getLogger(__name__)


@dg.run_failure_sensor(name="alert_on_failure", monitor_all_code_locations=False)
def alert_on_failure(context: dg.RunFailureSensorContext) -> None:
    """Posts every failed run to `DEEPEXP3D_ALERT_WEBHOOK`, or hands it to `DEEPEXP3D_ALERT_COMMAND`, as JSON."""
    send_alert(alert_of(context.dagster_run, context.failure_event.message or ""))


def alert_of(run: dg.DagsterRun, message: str) -> dict[str, Any]:
    """What is said of a failed run. `text` is the key that chat services show."""
    reason = run.tags.get("deepexp3d/reason", "")
    started = f", started because of: {reason}" if reason else ""
    return {
        "text": f"deepexp3d: run {run.run_id[:8]} of {run.job_name} failed{started}. {message}",
        "job": run.job_name,
        "run_id": run.run_id,
        "partition": run.tags.get("dagster/partition", ""),
        "message": message,
    }


def send_alert(alert: dict[str, Any]) -> bool:
    """Send an alert wherever the environment says; returns whether it was sent anywhere.

    Raises
    ------
    OSError
        The web hook does not answer, or answers with an error.
    subprocess.SubprocessError
        The command fails, or takes longer than it may.
    """
    webhook, command = os.environ.get(WEBHOOK, ""), os.environ.get(COMMAND, "")
    body = json.dumps(alert).encode()
    if webhook:
        request = urllib.request.Request(webhook, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS):
            pass
    if command:
        subprocess.run(shlex.split(command), input=body, check=True, timeout=PATIENCE_SECONDS)
    if not webhook and not command:
        _say_that_nobody_is_told()
    return bool(webhook or command)


@functools.cache
def _say_that_nobody_is_told() -> None:
    log.warning("failed runs alert nobody: set %s or %s to be told", WEBHOOK, COMMAND)
