"""A stage that is killed goes on where it was; what has changed, and only that, is done anew."""

import os
import shutil
import subprocess
import sys
import time

import pytest
import yaml

from assets.batches import read_index
from assets.landmarks import detect_landmarks
from assets.raw_videos import all_batches, describe_raw_videos, take_in
from assets.reconstructions import fit_reconstructions
from assets.tracked_landmarks import track_landmarks
from assets.workspace import Workspace
from models.storage import load_arrays
from tests.odd_videos import cut_off, encode

CLIPS = 5
PER_BATCH = 3
STAGES = (describe_raw_videos, detect_landmarks, track_landmarks, fit_reconstructions)


@pytest.fixture(scope="module")
def described(new_project, filmed, tmp_path_factory):
    """A project with clips in two batches, their manifest, and nothing more."""
    folder = tmp_path_factory.mktemp("resume")
    (folder / "clips").mkdir()
    for number in range(CLIPS):
        encode(folder / "clips" / f"clip{number}.mp4", filmed(number % 2)[number : number + 16])
    workspace = new_project(folder / "project", **{"raw_videos.videos_per_partition": PER_BATCH})
    take_in(workspace, folder / "clips")
    describe_raw_videos(workspace)
    return workspace


@pytest.fixture(scope="module")
def finished(described, tmp_path_factory):
    """The same with all stages up to the fits."""
    root = tmp_path_factory.mktemp("finished") / "project"
    shutil.copytree(described.root, root)
    workspace = Workspace.open(root)
    for stage in STAGES:
        stage(workspace)
    return workspace


@pytest.fixture
def project(described, tmp_path):
    shutil.copytree(described.root, tmp_path / "project")
    return Workspace.open(tmp_path / "project")


@pytest.fixture
def finished_project(finished, tmp_path):
    shutil.copytree(finished.root, tmp_path / "project")
    return Workspace.open(tmp_path / "project")


def results(workspace, stage="landmarks"):
    """Finished files by name, with the time of their last change."""
    files = [file for file in workspace.data(stage).rglob("*.npz") if not file.name.startswith(".")]
    return {file.name: file.stat().st_mtime_ns for file in files}


def start(workspace):
    """The stage as DVC and a user at the shell run it."""
    environment = {name: value for name, value in os.environ.items() if name != "DEEPEXP3D_ROOT"}
    return subprocess.Popen(
        [sys.executable, "-m", "assets.landmarks"],
        cwd=workspace.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def changed_parameters(workspace, **changes):
    """The same project after an edit of `params.yaml`; a parameter `section__name=value`."""
    path = workspace.path("params.yaml")
    tree = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        section, key = name.split("__")
        tree[section][key] = value
    path.write_text(yaml.safe_dump(tree))
    return Workspace.open(workspace.root)


def test_a_killed_stage_goes_on_and_leaves_finished_files_alone(project):
    process = start(project)
    while not results(project) and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    output = process.communicate()[0]
    found = results(project)
    assert 1 <= len(found) < CLIPS, output
    assert read_index(project, "landmarks", all_batches(project)).empty

    process = start(project)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    after = results(project)
    assert len(after) == CLIPS
    assert {name: after[name] for name in found} == found
    index = read_index(project, "landmarks", all_batches(project))
    assert (index.status == "ok").all()
    assert len(index) == CLIPS


def test_what_a_killed_run_left_half_written_is_not_counted(finished_project):
    folder = finished_project.data("landmarks", "batch-00000")
    first, second = sorted(folder.glob("*.npz"))[:2]
    whole = first.read_bytes()
    shutil.copy(first, folder / f".{first.stem}-x7k2.npz")
    (folder / ".index-q1w2.parquet").write_bytes(b"PAR1")
    cut_off(first, 0.5)
    second.write_bytes(b"")
    before = results(finished_project)
    detect_landmarks(finished_project)
    assert [file.name for file in folder.iterdir() if file.name.startswith(".")] == []
    assert first.read_bytes() == whole
    assert load_arrays(second)["landmarks"].shape[1:] == (68, 2)
    changed = {name for name, when in results(finished_project).items() if before.get(name) != when}
    assert changed == {first.name, second.name}


def test_a_file_without_its_mark_is_made_anew(finished_project):
    from models.landmarks.video import Detections

    path = next(finished_project.data("landmarks").rglob("*.npz"))
    Detections.load(path).save(path)
    unmarked = path.stat().st_mtime_ns
    detect_landmarks(finished_project)
    assert path.stat().st_mtime_ns != unmarked
    assert "fingerprint" in load_arrays(path)


def test_nothing_is_done_twice(finished_project):
    before = {stage: results(finished_project, stage) for stage in ("landmarks", "reconstructions")}
    for stage in STAGES:
        assert stage(finished_project).pending == ()
    assert {stage: results(finished_project, stage) for stage in before} == before


def test_a_changed_parameter_makes_everything_that_follows_from_it_anew(finished_project):
    landmarks, fits = (results(finished_project, stage) for stage in ("landmarks", "reconstructions"))
    workspace = changed_parameters(finished_project, reconstruction__noise=0.02)
    for stage in STAGES:
        stage(workspace)
    assert results(workspace) == landmarks
    assert all(when != fits[name] for name, when in results(workspace, "reconstructions").items())

    workspace = changed_parameters(workspace, landmarks__redetect_every=7)
    detect_landmarks(workspace)
    assert set(results(workspace)) == set(landmarks)
    assert all(when != landmarks[name] for name, when in results(workspace).items())


def test_a_parameter_of_the_machine_alone_changes_nothing(finished_project):
    before = results(finished_project, "reconstructions")
    workspace = changed_parameters(finished_project, machine__dagster_port=3001, deepexp3d__seed=5)
    for stage in STAGES:
        stage(workspace)
    assert results(workspace, "reconstructions") == before


def test_one_more_video_is_all_that_is_done(finished_project, filmed):
    before = {stage: results(finished_project, stage) for stage in ("landmarks", "reconstructions")}
    encode(finished_project.data("incoming") / "new.mp4", filmed(1)[:9])
    for stage in STAGES:
        assert stage(finished_project).pending == ()
    for stage, known in before.items():
        now = results(finished_project, stage)
        (new,) = set(now) - set(known)
        assert new.startswith("user-new-")
        assert {name: now[name] for name in known} == known


def test_a_changed_video_is_done_anew_and_its_old_results_go(finished_project, filmed):
    before = results(finished_project)
    path = finished_project.data("incoming", "clips", "clip2.mp4")
    path.unlink()
    encode(path, filmed(0)[:8])
    for stage in STAGES:
        stage(finished_project)
    for stage in ("landmarks", "reconstructions"):
        now = results(finished_project, stage)
        assert len(now) == CLIPS
        assert len(set(now) - set(before)) == 1


def test_a_removed_videos_results_go(finished_project):
    finished_project.data("incoming", "clips", "clip1.mp4").unlink()
    for stage in STAGES:
        assert stage(finished_project).pending == ()
    for stage in ("landmarks", "tracked_landmarks", "reconstructions"):
        assert len(results(finished_project, stage)) == CLIPS - 1
        assert not any("clip1" in name for name in results(finished_project, stage))


def test_a_removed_batchs_results_go(finished_project):
    for number in range(PER_BATCH, CLIPS):
        finished_project.data("incoming", "clips", f"clip{number}.mp4").unlink()
    for stage in STAGES:
        assert stage(finished_project).pending == ()
    for stage in ("landmarks", "tracked_landmarks", "reconstructions"):
        assert [folder.name for folder in finished_project.data(stage).iterdir()] == ["batch-00000"]
