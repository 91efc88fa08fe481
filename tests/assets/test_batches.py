"""Which video is in which batch, which batches are pending, and when DVC hears of it."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from assets import versioning
from assets.batches import is_current, pending_batches, process_batches, read_index, save_stamped
from assets.landmark_weights import fetch_landmark_weights
from assets.landmarks import detect_landmarks, landmarks
from assets.raw_videos import assign_batches, describe_raw_videos, raw_videos, read_manifest, take_in, video_batches
from assets.sample_clips import fetch_sample_clips
from assets.stage import WorkspaceResource
from assets.synthetic_facevid import render_synthetic_facevid
from assets.tracked_landmarks import track_landmarks
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.storage import save_arrays
from models.video.manifest import manifest_of
from tests.odd_videos import encode


@pytest.fixture
def project(new_project, tmp_path):
    return new_project(tmp_path / "project", **{"raw_videos.videos_per_partition": 3, "synthetic_facevid.people": 2})


def add(project, *names):
    for name in names:
        path = project.data("incoming", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def remove(project, *names):
    for name in names:
        project.data("incoming", name).unlink()


def batches(project):
    """Batch -> names of its videos."""
    return {batch: [path.rsplit("/", 1)[1] for path in paths] for batch, paths in assign_batches(project).items()}


def test_batches_hold_so_many_videos_in_order_of_their_paths(project):
    add(project, "e.mp4", "a.mp4", "d.mp4", "b.mp4", "c.mp4")
    expected = {"batch-00000": ["a.mp4", "b.mp4", "c.mp4"], "batch-00001": ["d.mp4", "e.mp4"]}
    assert batches(project) == expected
    assert batches(project) == expected


def test_a_video_keeps_its_batch_whatever_comes_and_goes(project):
    add(project, "b.mp4", "c.mp4", "d.mp4", "e.mp4")
    batches(project)
    add(project, "a.mp4", "z.mp4")
    remove(project, "c.mp4")
    assert batches(project) == {"batch-00000": ["b.mp4", "d.mp4"], "batch-00001": ["e.mp4", "a.mp4", "z.mp4"]}
    add(project, "f.mp4")
    assert batches(project)["batch-00002"] == ["f.mp4"]


def test_a_batch_that_has_lost_all_its_videos_is_gone_and_its_name_is_not_used_for_others(project):
    add(project, *(f"{name}.mp4" for name in "abcdefg"))
    batches(project)
    remove(project, "a.mp4", "b.mp4", "c.mp4")
    add(project, "h.mp4")
    assert batches(project) == {"batch-00001": ["d.mp4", "e.mp4", "f.mp4"], "batch-00002": ["g.mp4", "h.mp4"]}


def test_hidden_and_other_files_are_in_no_batch(project):
    add(project, "a.mp4", ".b.mp4", "notes.txt", "subjects.csv", ".trash/c.mp4")
    assert batches(project) == {"batch-00000": ["a.mp4"]}


def test_taking_in_a_folder_again_mirrors_it(project, tmp_path):
    folder = tmp_path / "clips"
    (folder / "deep").mkdir(parents=True)
    encode(folder / "a.mp4", [])
    encode(folder / "deep" / "b.mov", [], codec="mpeg4")
    assert take_in(project, folder) == 2
    (folder / "a.mp4").unlink()
    (folder / "c.mp4").touch()
    assert take_in(project, folder) == 2
    inbox = project.data("incoming", "clips")
    assert sorted(str(path.relative_to(inbox)) for path in inbox.rglob("*.m*")) == ["c.mp4", "deep/b.mov"]


def test_batches_that_have_not_been_described_are_pending(project):
    add(project, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    assert describe_raw_videos(project, ["batch-00001"]).pending == ("batch-00000",)
    assert read_manifest(project).partition.unique().tolist() == ["batch-00001"]
    assert describe_raw_videos(project, ["batch-00000"]).pending == ()
    assert len(read_manifest(project)) == 4


def test_runs_of_two_batches_at_once_lose_neither(project, monkeypatch):
    add(project, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    first_may_go_on, first_has_read = threading.Event(), threading.Event()

    def slow_at_first(rows):
        if not first_has_read.is_set():
            first_has_read.set()
            first_may_go_on.wait(1)
        return manifest_of(rows)

    monkeypatch.setattr("models.video.manifest.manifest_of", slow_at_first)
    first = threading.Thread(target=describe_raw_videos, args=(project, ["batch-00000"]))
    first.start()
    first_has_read.wait(30)
    describe_raw_videos(project, ["batch-00001"])
    first_may_go_on.set()
    first.join()
    assert read_manifest(project).partition.unique().tolist() == ["batch-00000", "batch-00001"]


def test_a_batch_whose_videos_changed_is_pending_for_the_stages_that_follow(project, filmed):
    inbox = project.data("incoming")
    for number in range(4):
        encode(inbox / f"{number}.mp4", filmed(0)[number : number + 3])
    describe_raw_videos(project)
    assert detect_landmarks(project, ["batch-00000"]).pending == ("batch-00001",)
    assert detect_landmarks(project, ["batch-00001"]).pending == ()
    encode(inbox / "0.mp4", filmed(0)[10:12])
    describe_raw_videos(project)
    assert detect_landmarks(project, ["batch-00001"]).pending == ("batch-00000",)


@dataclass(frozen=True)
class Video:
    """A job of a stage whose results cost nothing."""

    video_id: str
    output: Path

    @property
    def fingerprint(self):
        return f"made from {self.video_id}"


def videos(project, batch, names):
    return [Video(name, project.data("landmarks", batch, f"{name}.npz")) for name in names]


def finish(video):
    if not is_current(video.output, video.fingerprint):
        save_stamped(lambda path: save_arrays(path, points=np.zeros(3)), video.output, video.fingerprint)
    return [{"track_id": video.video_id, "status": "ok", "frames": 1}]


def finished_files(project, batch):
    return {path.name for path in project.data("landmarks", batch).iterdir()}


@pytest.fixture
def in_one_process(project):
    """The project, whose work by video is done in the thread that asks for it."""
    add(project, "a.mp4", "b.mp4")
    assign_batches(project)
    return Workspace.open(project.root, {"machine.workers": 1})


def test_two_runs_of_one_batch_lose_no_finished_video(in_one_process):
    """The second knows a video more; the first begins before it and ends after it, unless the second waits."""
    project, batch = in_one_process, "batch-00000"
    first_is_at_work, second_is_done = threading.Event(), threading.Event()

    def slowly(video):
        first_is_at_work.set()
        second_is_done.wait(1)
        return finish(video)

    def run(names, work):
        process_batches(project, "landmarks", [batch], lambda batch: videos(project, batch, names), work)

    first = threading.Thread(target=run, args=(["a"], slowly))
    first.start()
    first_is_at_work.wait(30)
    run(["a", "b"], finish)
    second_is_done.set()
    first.join()
    assert set(read_index(project, "landmarks", [batch]).track_id) == {"a", "b"}
    assert finished_files(project, batch) == {"a.npz", "b.npz", "index.parquet"}


def test_a_run_that_waited_does_what_there_is_to_do_by_then(in_one_process):
    project, batch, names = in_one_process, "batch-00000", ["a"]
    first_is_at_work, second_has_asked = threading.Event(), threading.Event()

    def slowly(video):
        first_is_at_work.set()
        second_has_asked.wait(1)
        names.append("b")
        return finish(video)

    def jobs_of(batch):
        if first_is_at_work.is_set():
            second_has_asked.set()
        return videos(project, batch, names)

    first = threading.Thread(target=process_batches, args=(project, "landmarks", [batch], jobs_of, slowly))
    first.start()
    first_is_at_work.wait(30)
    index = process_batches(project, "landmarks", [batch], jobs_of, finish)
    first.join()
    assert set(index.track_id) == {"a", "b"}


def test_runs_of_different_batches_do_not_wait_for_each_other(in_one_process):
    project = in_one_process
    first_is_at_work, second_is_done, waited = threading.Event(), threading.Event(), []

    def slowly(video):
        first_is_at_work.set()
        waited.append(second_is_done.wait(30))
        return finish(video)

    def jobs_of(batch):
        return videos(project, batch, ["a"])

    first = threading.Thread(target=process_batches, args=(project, "landmarks", ["batch-00000"], jobs_of, slowly))
    first.start()
    first_is_at_work.wait(30)
    process_batches(project, "landmarks", ["batch-00001"], jobs_of, finish)
    second_is_done.set()
    first.join()
    assert waited == [True]


def test_a_stage_does_not_read_a_batch_while_the_stage_before_writes_it(in_one_process):
    project, batch, order = in_one_process, "batch-00000", []
    landmarks_at_work, tracks_asked = threading.Event(), threading.Event()

    def slowly(video):
        landmarks_at_work.set()
        tracks_asked.wait(0.5)
        order.append("landmarks")
        return finish(video)

    def tracks_of(batch):
        tracks_asked.set()
        order.append("tracks")
        return []

    first = threading.Thread(
        target=process_batches,
        args=(project, "landmarks", [batch], lambda batch: videos(project, batch, ["a"]), slowly),
    )
    first.start()
    landmarks_at_work.wait(30)
    process_batches(project, "tracked_landmarks", [batch], tracks_of, finish)
    first.join()
    assert order == ["landmarks", "tracks"]


def test_runs_that_name_batches_in_other_orders_do_not_wait_for_ever(in_one_process):
    project, done = in_one_process, []

    def run(batches):
        process_batches(project, "landmarks", batches, lambda batch: videos(project, batch, ["a", "b"]), finish)
        done.append(batches)

    names = ["batch-00000", "batch-00001", "batch-00002"]
    runs = [threading.Thread(target=run, args=(order,), daemon=True) for order in (names, names[::-1]) * 4]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join(60)
    assert len(done) == len(runs)


def test_a_project_of_more_batches_than_files_may_be_open_is_done_in_parts(in_one_process, monkeypatch):
    monkeypatch.setattr("assets.batches.TURNS_AT_ONCE", 2)
    project, names, at_once, most = in_one_process, [f"batch-{number:05}" for number in range(5)], set(), []

    def jobs_of(batch):
        at_once.add(batch)
        most.append(len(at_once))
        return videos(project, batch, ["a"])

    def work(video):
        at_once.discard(video.output.parent.name)
        return finish(video)

    index = process_batches(project, "landmarks", names, jobs_of, work)
    assert index.partition.tolist() == names
    assert max(most) == 2


HOLDS_A_BATCH = """
import sys, time
from assets.batches import process_batches
from assets.workspace import Workspace
from tests.assets.test_batches import videos

def work(video):
    video.output.parent.mkdir(parents=True, exist_ok=True)
    video.output.with_name(".a-half.npz").touch()
    print("at work", flush=True)
    time.sleep(600)

project = Workspace.open(sys.argv[1], {"machine.workers": 1})
process_batches(project, "landmarks", ["batch-00000"], lambda batch: videos(project, batch, ["a"]), work)
"""


@contextlib.contextmanager
def another_run(project):
    """A process that has the first batch, and is at its first video."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS_A_BATCH, project.root], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "at work\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_run_that_is_killed_leaves_its_batches_to_the_one_that_waits(in_one_process, caplog):
    project, batch = in_one_process, "batch-00000"
    caplog.set_level("INFO", "assets.batches")
    with another_run(project) as other:
        waiting = threading.Thread(
            target=process_batches,
            args=(project, "landmarks", [batch], lambda batch: videos(project, batch, ["a", "b"]), finish),
        )
        waiting.start()
        while "landmarks: batch-00000 waits for another run that works on it" not in caplog.messages:
            assert waiting.is_alive()
            time.sleep(0.01)
        assert finished_files(project, batch) == {".a-half.npz"}
        other.send_signal(signal.SIGKILL)
        waiting.join(60)
    assert finished_files(project, batch) == {"a.npz", "b.npz", "index.parquet"}


def test_an_index_is_replaced_and_never_missing(in_one_process, monkeypatch):
    project, batch = in_one_process, "batch-00000"

    def run(names):
        return process_batches(project, "landmarks", [batch], lambda batch: videos(project, batch, names), finish)

    run(["a"])

    def full(*_, **__):
        raise OSError("as when the process ends here")

    monkeypatch.setattr("pandas.DataFrame.to_parquet", full)
    with pytest.raises(OSError, match="ends here"):
        run(["b"])
    assert read_index(project, "landmarks", [batch]).track_id.tolist() == ["a"]


def test_a_batch_that_lacks_a_file_of_its_index_is_pending(in_one_process):
    project, batch = in_one_process, "batch-00000"

    def run():
        process_batches(project, "landmarks", [batch], lambda batch: videos(project, batch, ["a", "b"]), finish)
        return pending_batches(project, "landmarks", expected)

    def expected(batch):
        return {video.video_id: video.fingerprint for video in videos(project, batch, ["a", "b"])}

    assert run() == ()
    project.data("landmarks", batch, "a.npz").unlink()
    assert pending_batches(project, "landmarks", expected) == (batch,)
    assert run() == ()


def test_a_file_of_the_stage_before_that_is_gone_is_named_and_the_tracks_stay(project, filmed):
    encode(project.data("incoming") / "0.mp4", filmed(0)[:12])
    for stage in (describe_raw_videos, detect_landmarks, track_landmarks):
        stage(project)
    tracks = sorted(project.data("tracked_landmarks").rglob("*"))
    (gone,) = project.data("landmarks").rglob("*.npz")
    gone.unlink()
    with pytest.raises(DeepExp3DError, match=rf"{gone.name}: the batch's index names it.*make landmarks again"):
        track_landmarks(project)
    assert sorted(project.data("tracked_landmarks").rglob("*")) == tracks
    detect_landmarks(project)
    assert track_landmarks(project).pending == ()


def test_dvc_records_a_stage_only_when_all_its_batches_are_current(project, filmed):
    for prepare in (render_synthetic_facevid, fetch_sample_clips, fetch_landmark_weights):
        prepare(project)
    for number in range(2):
        encode(project.data("incoming") / f"{number}.mp4", filmed(0)[number : number + 3])
    assert list(assign_batches(project)) == ["batch-00000", "batch-00001"]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(video_batches.name, list(assign_batches(project)))

        def materialised(batch):
            result = dg.materialize(
                [raw_videos, landmarks],
                partition_key=batch,
                instance=instance,
                resources={"workspace": WorkspaceResource(root=str(project.root)), "ray_cluster": None},
            )
            return {
                event.asset_key.to_user_string(): event.materialization.tags.get("dagster/data_version")
                for event in result.get_asset_materialization_events()
            }

        first = materialised("batch-00000")
        assert versioning.output_versions(project.root) == {}
        second = materialised("batch-00001")
    versions = versioning.output_versions(project.root)
    assert set(versions) == {"raw_videos", "landmarks"}
    assert second == versions
    assert not set(first.values()) & set(versions.values())


def test_a_run_with_overridden_parameters_is_not_recorded(project, filmed):
    for prepare in (render_synthetic_facevid, fetch_sample_clips):
        prepare(project)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(video_batches.name, list(assign_batches(project)))
        resource = WorkspaceResource(root=str(project.root), overrides={"raw_videos.videos_per_partition": 2})
        result = dg.materialize(
            [raw_videos], partition_key="batch-00000", instance=instance, resources={"workspace": resource}
        )
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["overrides"].value == {"raw_videos.videos_per_partition": 2}
    assert versioning.output_versions(project.root) == {}


def test_temporary_files_are_no_part_of_a_recorded_result(project):
    for prepare in (render_synthetic_facevid, fetch_sample_clips):
        prepare(project)
    describe_raw_videos(project)
    versioning.record(project.root, ["raw_videos"])
    before = versioning.output_versions(project.root)
    project.data("raw_videos", ".manifest-x7k2.parquet").write_bytes(b"PAR1")
    assert versioning.outdated(project.root, ["raw_videos"]) == {}
    versioning.record(project.root, ["raw_videos"])
    assert versioning.output_versions(project.root) == before


def test_two_folders_of_one_name_do_not_take_each_others_place(new_project, tmp_path):
    project = new_project(tmp_path / "project")
    for parent in ("first", "second"):
        folder = tmp_path / parent / "clips"
        folder.mkdir(parents=True)
        (folder / f"{parent}.mp4").write_bytes(parent.encode())
        take_in(project, folder)
    take_in(project, tmp_path / "first" / "clips")
    incoming = project.data("incoming")
    assert (incoming / "clips" / "first.mp4").exists()
    assert (incoming / "clips-2" / "second.mp4").exists()
