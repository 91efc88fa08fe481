"""A failed run is told to a web hook or a command, or to nobody, which is said."""

import http.server
import json
import logging
import sys
import threading
import urllib.error

import dagster as dg
import pytest

from orchestration.alerts import COMMAND, WEBHOOK, _say_that_nobody_is_told, alert_on_failure, send_alert

ALERT = {"text": "deepexp3d: run 1234 of retraining failed"}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    monkeypatch.delenv(WEBHOOK, raising=False)
    monkeypatch.delenv(COMMAND, raising=False)
    _say_that_nobody_is_told.cache_clear()


@pytest.fixture
def hook():
    """A local server that keeps what is posted to it, and answers with `status`."""

    class Hook(http.server.BaseHTTPRequestHandler):
        received, status = [], 200

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            type(self).received.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(type(self).status)
            self.end_headers()

        def log_message(self, *arguments):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Hook.address = f"http://127.0.0.1:{server.server_port}/alerts"
        yield Hook
        server.shutdown()


def test_a_run_that_fails_is_posted_with_its_job_and_reason(hook, monkeypatch):
    monkeypatch.setenv(WEBHOOK, hook.address)

    @dg.op
    def breaks():
        raise ValueError("no space left")

    @dg.job(tags={"deepexp3d/reason": "12 new videos"})
    def retraining():
        breaks()

    with dg.DagsterInstance.ephemeral() as instance:
        result = retraining.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="alert_on_failure",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
        ).for_run_failure()
        alert_on_failure(context)
    ((kind, alert),) = hook.received
    assert kind == "application/json"
    assert alert["job"] == "retraining"
    assert alert["run_id"] == result.run_id
    assert "started because of: 12 new videos" in alert["text"]


def test_a_command_gets_the_alert_on_its_input(tmp_path, monkeypatch):
    target = tmp_path / "alert.json"
    script = tmp_path / "alert.py"
    script.write_text(f"import sys; open({str(target)!r}, 'w').write(sys.stdin.read())")
    monkeypatch.setenv(COMMAND, f"{sys.executable} {script}")
    assert send_alert(ALERT)
    assert json.loads(target.read_text()) == ALERT


def test_nothing_set_sends_nothing_and_says_so_once(caplog):
    with caplog.at_level(logging.WARNING):
        assert not send_alert(ALERT)
        assert not send_alert(ALERT)
    assert len(caplog.records) == 1
    assert WEBHOOK in caplog.text
    assert COMMAND in caplog.text


def test_a_hook_that_refuses_is_an_error_of_the_sensor(hook, monkeypatch):
    monkeypatch.setenv(WEBHOOK, hook.address)
    hook.status = 500
    with pytest.raises(urllib.error.HTTPError, match="500"):
        send_alert(ALERT)
