"""Which video is in which batch, which batches are pending, and when DVC hears of it."""

import threading

import dagster as dg
import pytest

from assets import versioning
from assets.landmark_weights import fetch_landmark_weights
from assets.landmarks import detect_landmarks, landmarks
from assets.raw_videos import assign_batches, describe_raw_videos, raw_videos, read_manifest, take_in, video_batches
from assets.sample_clips import fetch_sample_clips
from assets.stage import WorkspaceResource
from assets.synthetic_facevid import render_synthetic_facevid
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
