"""The HTTP service answers what `predict` would say, and refuses the rest with a cause and a cure."""

import contextlib
import re
import socket
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.emotion.labels import EMOTIONS
from models.serving.settings import ServingSettings
from tests.models.serving.serving_predictors import painted_file, painted_predictor
from tests.orchestration.running_service import PATIENCE, running

PNG = {"content-type": "image/png"}
SETTINGS = ServingSettings(
    batch=2,
    queue_pictures=4,
    max_batch_pictures=4,
    timeout_s=20.0,
    receive_s=1.0,
    max_megabytes=0.1,
    max_batch_megabytes=0.3,
    max_waiting_megabytes=0.5,
    max_megapixels=0.1,
)


@pytest.fixture(scope="module")
def predictor(small_model):
    return painted_predictor(small_model)


@pytest.fixture(scope="module")
def client(predictor):
    with running(predictor, SETTINGS) as client:
        yield client


@pytest.fixture
def held(predictor):
    """While this is held, no picture gets further than to the detector."""
    predictor.backend.reached.clear()
    predictor.backend.let.clear()
    yield predictor.backend
    predictor.backend.let.set()


def figures(client) -> dict:
    """Metrics by name and labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_well(client) -> bool:
    answer = client.post("/predict", content=painted_file((60, 60)), headers=PNG)
    return answer.status_code == 200 and len(answer.json()["faces"]) == 1


def test_a_picture_as_a_body_or_in_a_form_gives_its_faces(client):
    data = painted_file((20, 20), (120, 60))
    body = client.post("/predict", content=data, headers=PNG).json()
    form = client.post("/predict", files={"image": ("two.png", data)}).json()
    assert form.pop("name") == "two.png"
    assert body.pop("name") == "picture"
    assert body == form
    assert body["model"] == {"name": "painted", "version": "0123", "classifier": "4567"}
    assert (body["status"], body["width"], body["height"]) == ("ok", 240, 240)
    assert list(body["faces"][0]) == [
        *("face", "box", "emotion"),
        *(f"p_{emotion}" for emotion in EMOTIONS),
        *(f"e_{number:02d}" for number in range(28)),
        *("yaw", "pitch", "roll", "status"),
    ]
    assert [face["face"] for face in body["faces"]] == [0, 1]


def test_a_picture_without_a_face_says_so(client):
    answer = client.post("/predict", content=painted_file(), headers=PNG)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["faces"]) == ("no face", [])


def test_several_pictures_are_answered_in_order_and_a_bad_one_alone_is_refused(client):
    noise = np.random.default_rng(0).bytes(101_000)
    files = [
        ("images", ("one.png", painted_file((60, 60)))),
        ("images", ("bad.png", b"no image")),
        ("images", ("large.png", noise)),
        ("images", ("nobody.jpg", painted_file(kind="JPEG"))),
    ]
    answer = client.post("/predict/batch", files=files)
    assert answer.status_code == 200
    pictures = answer.json()["pictures"]
    assert [picture["name"] for picture in pictures] == ["one.png", "bad.png", "large.png", "nobody.jpg"]
    assert [picture["status"] for picture in pictures] == ["ok", "error", "error", "no face"]
    assert [picture["error"] and picture["error"]["status"] for picture in pictures] == [None, 422, 413, None]
    assert "export it as JPEG or PNG" in pictures[1]["error"]["detail"]


def bomb() -> bytes:
    """A PNG file that says to be 60,000 pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


JPEG = painted_file((60, 60), kind="JPEG")
FORM = {"content-type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("path", "request_", "status", "cure"),
    [
        ("/predict", {"content": b"", "headers": PNG}, 400, "is empty; send a picture"),
        ("/predict", {"content": b"no image", "headers": PNG}, 422, "export it as JPEG or PNG"),
        ("/predict", {"content": JPEG[: len(JPEG) // 2], "headers": PNG}, 422, "is damaged .* export it again"),
        ("/predict", {"content": bomb(), "headers": PNG}, 422, "too large .*; scale it down"),
        ("/predict", {"content": b"{}", "headers": {"content-type": "application/json"}}, 415, "send multipart"),
        ("/predict", {"content": JPEG}, 415, "Content-Type is missing; send multipart/form-data, image/jpeg"),
        ("/predict", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "Missing boundary"),
        ("/predict", {"content": b"--a", "headers": FORM}, 400, "cannot be read"),
        ("/predict", {"content": b"--b\r\n\r\nx", "headers": FORM}, 400, "name.* must be provided"),
        ("/predict", {"files": {"one": JPEG, "two": JPEG}}, 400, "Too many files"),
        ("/predict", {"data": {"image": "x"}, "files": {}}, 415, "send multipart"),
        ("/predict/batch", {"content": b"--b--\r\n", "headers": FORM}, 400, "no file in the form; send one"),
        ("/predict/batch", {"content": JPEG, "headers": PNG}, 415, "send multipart/form-data"),
        ("/predict/batch", {"files": [("images", JPEG)] * 5}, 400, "Maximum number of files is 4"),
        ("/predict", {"content": bytes(200_000), "headers": PNG}, 413, "more than 0.1 MB; scale the picture down"),
        ("/predict", {"content": iter([bytes(1000)] * 200), "headers": PNG}, 413, "more than 0.1 MB"),
        ("/predict/batch", {"files": [("images", bytes(99_000))] * 4}, 413, "more than 0.3 MB"),
        ("/elsewhere", {}, 404, "see /docs"),
        ("/health", {}, 405, "see /docs"),
    ],
)
def test_what_is_refused_has_a_cause_and_a_cure(client, path, request_, status, cure):
    answer = client.post(path, **request_)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert re.search(cure, problem["detail"]), problem
    assert is_well(client)


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(client, held):
    picture = painted_file((60, 60))
    before = figures(client).get(("deepexp3d_rejected_total", ("reason", "queue_full")), 0)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(client.post, "/predict", content=picture, headers=PNG)
        assert held.reached.wait(PATIENCE)
        waiting = [pool.submit(client.post, "/predict", content=picture, headers=PNG) for _ in range(4)]
        wait_until(lambda: client.get("/health").json()["waiting"] == 4)
        refused = client.post("/predict", content=picture, headers=PNG)
        batch = client.post("/predict/batch", files=[("images", picture)])
        held.let.set()
        answers = [future.result(PATIENCE).status_code for future in [first, *waiting]]
    assert (refused.status_code, batch.status_code) == (429, 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert "ask again" in refused.json()["detail"]
    assert answers == [200] * 5
    assert figures(client)["deepexp3d_rejected_total", ("reason", "queue_full")] == before + 2


def test_requests_that_together_hold_too_much_are_refused_and_forgotten(client, held):
    large = painted_file((60, 60)) + bytes(90_000)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(client.post, "/predict/batch", files=[("images", large)] * 3)
        assert held.reached.wait(PATIENCE)
        second = client.post("/predict/batch", files=[("images", large)] * 3)
        held.let.set()
        assert first.result(PATIENCE).status_code == 200
    assert second.status_code == 429
    assert "too many large requests" in second.json()["detail"]
    assert client.post("/predict/batch", files=[("images", large)] * 3).status_code == 200


def test_an_answer_that_comes_too_late_is_a_timeout(small_model):
    predictor = painted_predictor(small_model)
    with running(predictor, ServingSettings(timeout_s=0.3, shutdown_s=5.0)) as client:
        predictor.backend.let.clear()
        picture = painted_file((60, 60))
        late = client.post("/predict", content=picture, headers=PNG)
        batch = client.post("/predict/batch", files=[("images", picture)])
        predictor.backend.let.set()
        assert (late.status_code, batch.status_code) == (504, 504)
        assert "send fewer or smaller pictures" in late.json()["detail"]
        wait_until(lambda: is_well(client))
        assert figures(client)["deepexp3d_rejected_total", ("reason", "timed_out")] == 2


def test_a_fault_inside_says_nothing_of_the_inside(client, predictor, monkeypatch):
    monkeypatch.setattr(predictor.backend, "detect", lambda image: [][0])
    answer = client.post("/predict", content=painted_file((60, 60)), headers=PNG)
    assert answer.status_code == 500
    assert "its log says why, under this request's id" in answer.json()["detail"]
    assert "index" not in answer.text


def test_a_request_keeps_its_id_unless_it_could_forge_a_log(client):
    assert client.get("/health", headers={"x-request-id": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
    forged = client.get("/health", headers={"x-request-id": 'a"b c'}).headers["x-request-id"]
    assert len(forged) == 32


def test_health_says_which_model_answers(client):
    for path in ("/health", "/health/live", "/health/ready"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.json()["model"] == {"name": "painted", "version": "0123", "classifier": "4567"}
        assert (answer.json()["status"], answer.json()["live"], answer.json()["ready"]) == ("ok", True, True)


def test_figures_count_requests_pictures_faces_and_refusals(client):
    before = figures(client)
    client.post("/predict", content=painted_file((20, 20), (120, 60)), headers=PNG)
    client.post("/predict", content=b"x", headers=PNG)
    client.get("/made/up/by/somebody")
    after = figures(client)

    def growth(*key):
        return after[key] - before.get(key, 0)

    predict = ("endpoint", "/predict"), ("method", "POST")
    assert growth("deepexp3d_requests_total", *predict, ("status", "200")) == 1
    assert growth("deepexp3d_requests_total", *predict, ("status", "422")) == 1
    assert growth("deepexp3d_pictures_total") == 1
    assert growth("deepexp3d_faces_total") == 2
    assert growth("deepexp3d_rejected_total", ("reason", "unreadable")) == 1
    assert growth("deepexp3d_request_seconds_count", ("endpoint", "/predict")) == 2
    assert growth("deepexp3d_stage_seconds_count", ("stage", "network")) == 1
    assert after["deepexp3d_model_info", ("classifier", "4567"), ("name", "painted"), ("version", "0123")] == 1
    assert after["deepexp3d_queue_pictures",] == 0
    assert after["deepexp3d_queue_limit_pictures",] == 4
    assert not any("somebody" in str(key) for key in after), "paths that anybody makes up are no labels"


def test_the_description_has_examples_and_the_answers_own_fields(client):
    description = client.get("/openapi.json").json()
    schemas = description["components"]["schemas"]
    answer = client.post("/predict", content=painted_file((60, 60)), headers=PNG).json()
    assert set(schemas["Face"]["properties"]) == set(answer["faces"][0])
    assert set(schemas["Reading"]["properties"]) == set(answer)
    assert schemas["Face"]["properties"]["emotion"]["examples"] == ["happy"]
    content = description["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/jpeg"} <= set(content)
    assert {"413", "422", "429", "504"} <= set(description["paths"]["/predict"]["post"]["responses"])
    assert client.get("/docs").status_code == 200


def test_without_the_token_nothing_but_health_is_answered(small_model):
    token = "0123456789abcdef-secret"
    with running(painted_predictor(small_model), ServingSettings(), token) as client:
        picture = {"content": painted_file((60, 60)), "headers": PNG}
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {token}"}):
            refused = client.post("/predict", content=picture["content"], headers=PNG | headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert token not in refused.text
        assert client.get("/metrics").status_code == 401
        assert client.get("/health").status_code == 200
        allowed = {"authorization": f"Bearer {token}"}
        assert client.post("/predict", content=picture["content"], headers=PNG | allowed).status_code == 200
        assert client.get("/metrics", headers=allowed).status_code == 200


def connected(client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=PATIENCE)


def test_a_client_that_sends_too_slowly_is_told_so(client):
    with connected(client) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 500\r\n\r\nab"
        )
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 408")
    assert is_well(client)


@pytest.mark.parametrize("beginning", [b"", b"POST /pre", b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: b"])
def test_a_client_that_never_ends_its_head_is_let_go(client, beginning):
    with connected(client) as connection:
        connection.sendall(beginning)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(10) == b""
    assert is_well(client)


def test_a_head_that_never_ends_is_not_kept(client):
    endless = b"GET /health HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(10_000))
    with connected(client) as connection, pytest.raises(OSError, match=r"reset|pipe"):
        connection.sendall(endless)
    assert is_well(client)


def test_clients_that_go_in_the_middle_leave_nothing_behind(client):
    for _ in range(20):
        with connected(client) as connection:
            connection.sendall(
                b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 90000\r\n\r\n"
            )
            connection.sendall(bytes(60_000))
    assert is_well(client)
    large = painted_file((60, 60)) + bytes(90_000)
    assert client.post("/predict/batch", files=[("images", large)] * 3).status_code == 200


def test_many_clients_at_once_are_all_answered(client):
    answers = []

    def visit():
        for _ in range(5):
            answer = client.post("/predict", content=painted_file((60, 60)), headers=PNG)
            answers.append((answer.status_code, len(answer.json().get("faces", []))))

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == [(200, 1)] * 20
