"""The review page in a real browser: keys, films, two reviewers at once, photos, the camera, and networks."""

import csv
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from assets.landmarks import detect_landmarks
from assets.manual_review import COLUMNS, review_path
from assets.morphable_model import load_model, model_path
from assets.pruned_videos import judged_videos
from assets.raw_videos import describe_raw_videos
from assets.reconstructions import fit_reconstructions
from assets.tracked_landmarks import track_landmarks
from models.emotion.labels import EMOTIONS
from models.expression.runtime import NETWORK, read_contract
from models.expression.shipped import SHIPPED_FOLDER
from models.storage import written_whole
from tests.odd_videos import encode

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NETWORK_NAME = "deepexp3d-small"
CLIPS = 3
# Milliseconds that the browser waits for what should come: many, for machines that do much else.
PATIENCE = 90_000

pytestmark = pytest.mark.timeout(600)
pytest.importorskip("nicegui", reason="NiceGUI is not installed: pip install 'deepexp3d[review]'")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
if BROWSER is None:
    pytest.skip("there is no Chromium on this machine", allow_module_level=True)


@pytest.fixture(scope="module")
def project(new_project, filmed, tmp_path_factory):
    """A project with three short clips, fitted, whose face model has the expressions of the shipped network."""
    workspace = new_project(tmp_path_factory.mktemp("review") / "project")
    for number in range(CLIPS):
        encode(workspace.data("incoming") / f"clip{number}.mp4", filmed(number)[:12])
    for stage in (describe_raw_videos, detect_landmarks, track_landmarks, fit_reconstructions):
        stage(workspace)
    network = SHIPPED_FOLDER / NETWORK_NAME / NETWORK
    model = replace(load_model(workspace), expression_std=read_contract(network).expression_std)
    model.save(model_path(workspace))
    return workspace


@pytest.fixture(scope="module")
def photo(filmed, tmp_path_factory):
    """A photograph of a face."""
    path = tmp_path_factory.mktemp("photo") / "face.png"
    Image.fromarray(filmed(0)[0]).save(path)
    return path


@pytest.fixture(scope="module")
def address(project, tmp_path_factory):
    """Where the page of the project is served."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "log.txt"
    command = [sys.executable, "-m", "orchestration.command_line", "review", "--project", str(project.root)]
    command += ["--port", str(port), "--reviewer", "Ada", "--model", NETWORK_NAME]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MLFLOW"))}
    with open(log, "w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        end = time.monotonic() + 180
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/films/none", timeout=5):
                    break
            except urllib.error.HTTPError:
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def browser(filmed, tmp_path_factory):
    """Chromium, with a camera that always sees the same face."""
    camera = tmp_path_factory.mktemp("camera") / "camera.y4m"
    height, width = filmed(0)[0].shape[:2]
    content = [f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode()]
    content += [b"FRAME\n" + cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).tobytes() for image in filmed(0)[:2]]
    camera.write_bytes(b"".join(content))
    options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    options += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    options += [f"--use-file-for-fake-video-capture={camera}"]
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER, args=options)
        yield opened
        opened.close()


@pytest.fixture
def visit(project, address, browser):
    """Function that opens the page, with no verdict yet, in a browser's window of its own."""
    review_path(project).write_text(",".join(COLUMNS) + "\n")
    contexts = []

    def open_page(reviewer=None):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.get_by_test_id("progress").wait_for()
        if reviewer is not None:
            page.get_by_test_id("reviewer").fill(reviewer)
            page.get_by_test_id("reviewer").blur()
        return page

    yield open_page
    for context in contexts:
        context.close()


def shows(page, test_id, text):
    """Wait until an element shows a text."""
    playwright.expect(page.get_by_test_id(test_id).first).to_contain_text(text, timeout=PATIENCE)


def lines(project):
    """The verdicts in the file: video, verdict, reason, reviewer."""
    with open(review_path(project), newline="") as file:
        return [tuple(row[name] for name in COLUMNS[:4]) for row in csv.DictReader(file)]


def title(page):
    """The video that is looked at."""
    return page.get_by_test_id("title").inner_text()


def test_keys_keep_prune_and_undo_and_each_is_a_line_of_the_file(project, visit):
    page = visit()
    shows(page, "progress", "0 of 3 judged, 3 left")
    first = title(page)
    page.keyboard.press("k")
    shows(page, "progress", "1 of 3 judged, 2 left")
    second = title(page)
    page.keyboard.press("2")
    playwright.expect(page.get_by_test_id("reason")).to_have_value("expression does not follow", timeout=PATIENCE)
    page.keyboard.press("p")
    shows(page, "progress", "2 of 3 judged")
    page.keyboard.press("u")
    shows(page, "progress", "1 of 3 judged")
    assert title(page) == second != first
    page.keyboard.press("ArrowLeft")
    shows(page, "verdict", "Kept by Ada")
    assert lines(project) == [
        (first, "keep", "", "Ada"),
        (second, "prune", "expression does not follow", "Ada"),
        (second, "undo", "took back prune", "Ada"),
    ]


def test_keys_that_come_faster_than_the_disk_judge_one_video_each(project, visit):
    page = visit()
    for _ in range(CLIPS):
        page.keyboard.press("k")
    shows(page, "progress", "3 of 3 judged, 0 left")
    said = lines(project)
    assert len({video for video, *_ in said}) == len(said) == CLIPS


def test_letters_in_the_reason_are_no_verdicts_until_it_is_finished(project, visit):
    page = visit()
    video = title(page)
    page.get_by_test_id("reason").click()
    page.keyboard.type("kept up poorly, u")
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_test_id("reason")).not_to_be_focused(timeout=PATIENCE)
    page.keyboard.press("p")
    shows(page, "progress", "1 of 3 judged")
    assert lines(project) == [(video, "prune", "kept up poorly, u", "Ada")]


def test_two_reviewers_at_once_lose_nothing_and_see_each_other(project, visit):
    ada, grace = visit(), visit("Grace")
    video = title(ada)
    assert title(grace) == video
    ada.keyboard.press("k")
    grace.keyboard.press("p")
    for page in (ada, grace):
        shows(page, "progress", "1 of 3 judged")
    grace.keyboard.press("k")
    shows(ada, "progress", "2 of 3 judged")
    said = lines(project)
    assert sorted(said[:2]) == [(video, "keep", "", "Ada"), (video, "prune", "", "Grace")]
    assert said[2][0] != video


def test_a_verdict_without_a_name_is_refused_in_words(project, visit):
    page = visit("")
    page.keyboard.press("k")
    page.get_by_text("a verdict needs its reviewer's name").wait_for()
    assert lines(project) == []


def test_the_pipeline_follows_the_page(project, visit):
    page = visit()
    video = title(page)
    page.keyboard.press("1")
    page.get_by_role("button", name="Prune").click()
    shows(page, "progress", "1 of 3 judged")
    judged = judged_videos(project).set_index("video_id")
    assert judged.stage[video] == "manual"
    assert judged.reason[video] == "mesh beside the face"
    assert judged.kept.sum() == CLIPS - 1


def test_the_film_of_a_fit_plays(visit):
    page = visit()
    film = page.locator("video[src*='/films/']")
    film.wait_for()
    playing = "film => film.videoWidth > film.videoHeight && film.currentTime > 0 && film.error === null"
    page.wait_for_function(f"() => [...document.querySelectorAll('video[src]')].some({playing})", timeout=PATIENCE)


def test_films_of_other_files_are_not_handed_out(address):
    for name in ("none", "..%2f..%2fparams.yaml"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/films/{name}", timeout=30)


def read_face(page):
    """Wait until a photo is read: its emotion, and the picture of the 3D face."""
    page.get_by_test_id("emotion").wait_for()
    scene = page.get_by_test_id("face")
    scene.wait_for()
    for _ in range(120):
        pixels = np.asarray(Image.open(io.BytesIO(scene.screenshot())).convert("RGB")).astype(int)
        # The face is lighter than what is behind it, and shaded.
        face = np.abs(pixels - pixels[8, 8]).sum(-1) > 60
        if face.mean() > 0.05:
            return page.get_by_test_id("emotion").inner_text().lower(), pixels[face]
        page.wait_for_timeout(500)
    raise AssertionError("the 3D face never appeared")


def test_a_photo_gives_emotion_bars_and_a_face_to_turn(visit, photo):
    page = visit()
    page.get_by_role("tab", name="Try a photo").click()
    page.locator("input[type=file]").set_input_files(photo)
    emotion, face = read_face(page)
    assert emotion in EMOTIONS
    assert face.std(0).max() > 5
    for chart in ("probabilities", "expression"):
        page.get_by_test_id(chart).locator("canvas").wait_for()
    scene = page.get_by_test_id("face")
    before = scene.screenshot()
    box = scene.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 120, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    page.wait_for_timeout(1500)
    assert scene.screenshot() != before


def test_a_camera_frame_is_read_like_a_photo(visit):
    page = visit()
    page.get_by_role("tab", name="Try a photo").click()
    page.get_by_role("button", name="Use the camera").click()
    seen = "() => [...document.querySelectorAll('video')].some(video => video.srcObject && video.videoWidth > 0)"
    page.wait_for_function(seen, timeout=PATIENCE)
    page.get_by_role("button", name="Take the picture").click()
    emotion, _ = read_face(page)
    assert emotion in EMOTIONS
    page.get_by_role("button", name="Use the camera").wait_for()


@pytest.mark.parametrize("kind", ["no face", "no picture"])
def test_what_cannot_be_read_is_said_by_its_name(visit, tmp_path, kind):
    path = tmp_path / "holiday.png"
    if kind == "no face":
        Image.fromarray(np.full((200, 200, 3), 120, np.uint8)).save(path)
    else:
        path.write_text("no picture at all")
    page = visit()
    page.get_by_role("tab", name="Try a photo").click()
    page.locator("input[type=file]").set_input_files(path)
    shows(page, "photo-problem", "holiday.png")
    assert "/tmp" not in page.get_by_test_id("photo-problem").inner_text()


def register(project):
    """Put a champion, and a challenger that is worse for one subgroup, into the project's registry."""
    from assets.experiments import connect
    from assets.model_registry import CHECK_TAG, FIRST, NETWORK_TAG, PASSED, append_to_trail, client, registered_name
    from models.packages import sha256_of

    folder = project.path("review_of_challenger")
    folder.mkdir()
    shares = {"challenger": 0.1, "champion": 0.11, "low": -0.1, "high": 0.02, "change": -0.05, "verdict": "undecided"}
    worse = shares | {"low": 0.1, "high": 0.3, "change": 0.2, "verdict": "worse"}
    facts = {"overall": shares, "subgroups": {"view: side": worse}, "regressions": ["view: side"]}
    (folder / "comparison.json").write_text(json.dumps(facts))
    (folder / "card.md").write_text("A network.")
    mlflow = connect(project, "challenger_review")
    api, name = client(project), registered_name(project)
    api.create_registered_model(name)
    sha256 = sha256_of(SHIPPED_FOLDER / NETWORK_NAME / NETWORK)
    tags = {NETWORK_TAG: sha256, CHECK_TAG: PASSED, "outcome": "undecided", "regressions": "view: side"}
    for _ in range(2):
        with mlflow.start_run() as run:
            mlflow.log_artifacts(str(folder), "review")
        made = api.create_model_version(name, "none", run.info.run_id, tags=tags | {"compared_with": "version 1"})
        if int(made.version) == 1:
            api.set_registered_model_alias(name, "champion", made.version)
            append_to_trail(project, FIRST, version="1", sha256=sha256, reviewer="pipeline", reason="first")


def test_a_challenger_stands_beside_the_champion_until_somebody_decides(project, visit):
    page = visit("Grace")
    page.get_by_role("tab", name="Networks").click()
    page.get_by_text("No challenger waits for a decision").wait_for()
    register(project)
    page.get_by_role("button", name="Ask the registry again").click()
    shows(page, "challenger", "Challenger: version 2")
    shows(page, "champion", "Champion: version 1")
    shows(page, "regressions", "view: side")
    page.get_by_text("worse than tolerated", exact=True).wait_for()
    page.get_by_role("button", name="Refuse").click()
    page.get_by_text("a decision needs the reviewer's name and a reason").wait_for()
    page.get_by_test_id("decision-reason").fill("worse from the side")
    page.get_by_role("button", name="Refuse").click()
    page.get_by_text("refused by Grace: worse from the side").wait_for()
    page.get_by_text("No challenger waits for a decision").wait_for()
    last = project.path("reviews", "registry.csv").read_text().splitlines()[-1]
    assert "refused,2," in last
    assert "Grace" in last


def fit_another(project, track, name):
    """Put a second fit beside one of a video, as if there were another face in it."""
    for stage in ("tracked_landmarks", "reconstructions"):
        (index,) = project.data(stage).glob("*/index.parquet")
        shutil.copy(index.with_name(f"{track}.npz"), index.with_name(f"{name}.npz"))
        rows = pd.read_parquet(index)
        rows = pd.concat([rows, rows[rows.track_id == track].assign(track_id=name)])
        with written_whole(index) as path:
            rows.to_parquet(path)


def test_a_fit_that_is_new_appears_while_the_reviewer_stays_where_they_are(project, visit):
    page = visit()
    page.keyboard.press("ArrowRight")
    playwright.expect(page.get_by_test_id("progress")).to_have_text("0 of 3 judged, 3 left", timeout=PATIENCE)
    looked_at = title(page)
    page.get_by_test_id("reason").fill("half a reas")
    fit_another(project, looked_at, "newly fitted")
    shows(page, "progress", "0 of 4 judged, 4 left")
    assert title(page) == looked_at
    assert page.get_by_test_id("reason").input_value() == "half a reas"
    page.get_by_text("newly fitted", exact=True).click()
    shows(page, "title", "newly fitted")
    page.keyboard.press("k")
    shows(page, "progress", "1 of 4 judged")
    assert lines(project) == [("newly fitted", "keep", "", "Ada")]
