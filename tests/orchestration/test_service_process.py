"""`deepexp3d serve` as a program: it starts, takes whatever is thrown at it, and ends in good order."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import skimage.data
from PIL import Image
from typer.testing import CliRunner

from models.expression.predictor import Predictor
from orchestration.command_line import app

PATIENCE = 90.0
TOKEN = "a-token-for-this-test-alone"
JPEG = {"content-type": "image/jpeg"}


@dataclass(frozen=True)
class Service:
    """A running service."""

    process: psutil.Process
    client: httpx.Client
    log: Path

    def lines(self) -> list[dict]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@contextmanager
def served(folder: Path, *options: str, **environment: str) -> Iterator[Service]:
    """Context: `deepexp3d serve` on a free port, started where there is no project."""
    log = folder / "log.jsonl"
    command = [str(Path(sys.executable).with_name("deepexp3d")), "serve", "--port", "0", *options]
    known = {name: value for name, value in os.environ.items() if not name.startswith("DEEPEXP3D")}
    with open(log, "w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=known | environment, stdout=output, stderr=subprocess.DEVNULL
        )
    service = None
    try:
        end = time.monotonic() + PATIENCE
        while '"serving"' not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        address = next(json.loads(line)["url"] for line in log.read_text().splitlines() if '"serving"' in line)
        with httpx.Client(base_url=address, timeout=PATIENCE) as client:
            service = Service(psutil.Process(process.pid), client, log)
            yield service
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with served(tmp_path_factory.mktemp("service"), "--model", "deepexp3d-small") as service:
        yield service


@pytest.fixture(scope="module")
def portrait() -> bytes:
    """A photograph of one person, as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_a_photograph_is_read_as_predict_reads_it(service, portrait):
    answer = service.client.post("/predict", content=portrait, headers=JPEG).json()
    (face,) = answer["faces"]
    (expected,) = Predictor.load("deepexp3d-small")(np.asarray(Image.open(io.BytesIO(portrait))))
    assert answer["model"]["name"] == "deepexp3d-small"
    assert face["emotion"] == expected.emotion
    assert np.abs(np.array(face["box"]) - expected.box).max() < 3
    found = np.array([face[f"e_{number:02d}"] for number in range(28)])
    # The service looks for the face with fewer views: the points that it settles on differ by parts of a pixel.
    assert np.corrcoef(found, expected.expression)[0, 1] > 0.98
    assert abs(face["yaw"] - expected.yaw) < 3


def malformed(rng: np.random.Generator, portrait: bytes) -> dict:
    """A request that nobody means: its path, and either content with headers or a form."""
    kinds = ("noise", "truncated", "damaged", "head", "type", "form", "torn form", "empty", "nested", "long name")
    types = ("image/jpeg", "image/png", "application/octet-stream")
    damaged = bytearray(portrait)
    for place in rng.integers(0, len(damaged), 200):
        damaged[place] = rng.integers(256)
    content, headers, path = b"", {"content-type": str(rng.choice(types))}, "/predict"
    match rng.choice(kinds):
        case "noise":
            content = rng.bytes(int(rng.integers(1, 5000)))
        case "truncated":
            content = portrait[: int(rng.integers(1, len(portrait) // 2))]
        case "damaged":
            content = bytes(damaged)
        case "head":
            sizes = rng.integers(0, 2**32, 2, dtype=np.uint64).astype(">u4").tobytes()
            content = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + sizes + rng.bytes(int(rng.integers(5, 300)))
        case "type":
            headers = {"content-type": rng.bytes(12).hex() + "/;=" + "x" * int(rng.integers(0, 3000))}
            content = portrait
        case "form":
            return {"path": "/predict/batch", "files": [("images", (f"{n}", rng.bytes(300))) for n in range(3)]}
        case "torn form":
            headers = {"content-type": "multipart/form-data; boundary=b"}
            content = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + rng.bytes(500)
            path = str(rng.choice(["/predict", "/predict/batch"]))
        case "nested":
            headers = {"content-type": 'multipart/form-data; boundary="' + "b" * int(rng.integers(1, 400)) + '"'}
            content = rng.bytes(400)
        case "long name":
            return {"path": "/predict", "files": {"image": ("n" * 5000, rng.bytes(50))}}
    return {"path": path, "content": content, "headers": headers}


def test_two_hundred_malformed_requests_leave_it_well(service, portrait):
    rng = np.random.default_rng(12)
    before = service.client.post("/predict", content=portrait, headers=JPEG).json()
    handles, memory = service.process.num_fds(), service.process.memory_info().rss
    statuses = []
    for _ in range(200):
        request = malformed(rng, portrait)
        answer = service.client.post(request.pop("path"), **request)
        statuses.append(answer.status_code)
    assert set(statuses) <= {200, 400, 413, 415, 422}
    assert {400, 415, 422} <= set(statuses)
    assert service.client.post("/predict", content=portrait, headers=JPEG).json() == before
    assert service.client.get("/health").json()["status"] == "ok"
    assert service.process.num_fds() <= handles + 2
    assert service.process.memory_info().rss < memory + 80e6
    assert not [line for line in service.lines() if line["level"] == "error"]


def test_bytes_that_are_not_even_http_leave_it_well(service):
    rng = np.random.default_rng(5)
    for _ in range(50):
        with socket.create_connection((service.client.base_url.host, service.client.base_url.port)) as connection:
            connection.sendall(rng.bytes(int(rng.integers(1, 2000))))
    assert service.client.get("/health").json()["status"] == "ok"


def test_every_line_of_the_log_is_json_and_says_whose_request_it_is(service):
    service.client.get("/health", headers={"x-request-id": "mine"})
    end = time.monotonic() + PATIENCE
    # The line is written after the answer.
    while not (mine := [line for line in service.lines() if line.get("request_id") == "mine"]):
        assert time.monotonic() < end
    (mine,) = mine
    assert all(line.startswith("{") for line in service.log.read_text().splitlines())
    assert (mine["endpoint"], mine["status"], mine["level"], mine["event"]) == ("/health", 200, "info", "request")
    assert mine["seconds"] >= 0
    assert mine["time"].endswith("Z")


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_service_answers_what_is_under_way_first(tmp_path, portrait, sign):
    answers = []
    options = ("--model", "deepexp3d-small", "--log-level", "info")
    with served(tmp_path, *options, DEEPEXP3D_TOKEN=TOKEN) as service:
        allowed = {"authorization": f"Bearer {TOKEN}"}
        assert service.client.get("/metrics").status_code == 401
        assert service.client.get("/metrics", headers=allowed).status_code == 200
        files = [("images", portrait)] * 12

        def ask():
            answers.append(service.client.post("/predict/batch", files=files, headers=allowed))

        asking = threading.Thread(target=ask)
        asking.start()
        end = time.monotonic() + PATIENCE
        while service.client.get("/health").json()["waiting"] == 0:
            assert time.monotonic() < end
            assert asking.is_alive()
        service.process.send_signal(sign)
        asking.join(PATIENCE)
        assert service.process.wait(PATIENCE) == 0
        assert service.lines()[-1]["event"] == "stopped"
        assert TOKEN not in service.log.read_text()
    assert [answer.status_code for answer in answers] == [200]
    assert len(answers[0].json()["pictures"]) == 12


def refused(*options: str, **environment: str) -> str:
    """What the command says instead of starting."""
    result = CliRunner().invoke(app, ["serve", "--model", "deepexp3d-small", *options], env=environment)
    assert result.exit_code == 1
    return result.stderr


def test_other_addresses_than_loopback_need_a_token():
    assert "set DEEPEXP3D_TOKEN or --token-file, or say --open-to-all" in refused("--host", "0.0.0.0")
    assert "set DEEPEXP3D_TOKEN" in refused("--host", "localhost.example")


def test_a_token_that_is_no_token_is_refused(tmp_path):
    (tmp_path / "token").write_text("short\n")
    assert "has 5 characters; take at least 16" in refused("--token-file", str(tmp_path / "token"))
    assert "cannot be read" in refused("--token-file", str(tmp_path / "none"))
    assert "DEEPEXP3D_TOKEN: the token has 0 characters" in refused(DEEPEXP3D_TOKEN="")


def test_an_address_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port}: cannot be listened on" in refused("--port", port)


def test_a_model_that_is_not_there_is_named(tmp_path):
    result = CliRunner().invoke(app, ["serve", "--model", str(tmp_path / "nowhere"), "--port", "0"])
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
