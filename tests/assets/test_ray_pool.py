"""A Ray cluster in place of the process pool: the same results, and a machine that is lost loses no finished video."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("ray", reason="the extra of work on several machines is not installed")

from assets.batches import read_index
from assets.landmarks import detect_landmarks
from assets.params import RayExecution
from assets.pool import each
from assets.raw_videos import all_batches, describe_raw_videos, take_in
from assets.ray_pool import RayPool
from assets.reconstructions import fit_reconstructions
from assets.tracked_landmarks import track_landmarks
from assets.workspace import Workspace
from models.errors import ClusterError, DeepExp3DError, VideoError, WeightsMissingError
from tests.odd_videos import encode

CLIPS, FRAMES = 6, 40
STAGES = (detect_landmarks, track_landmarks, fit_reconstructions)
DRIVER_DEATHS = 3


@pytest.fixture(scope="module")
def cluster():
    """A head that does no work and two machines with one processor each, all of them processes of their own."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        yield cluster
        cluster.shutdown()


@pytest.fixture(scope="module")
def described(new_project, filmed, tmp_path_factory):
    """A project with clips in two batches and their manifest."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "clips").mkdir()
    for number in range(CLIPS):
        there_and_back = [*filmed(number % 2), *filmed(number % 2)[::-1]]
        encode(folder / "clips" / f"clip{number}.mp4", there_and_back[number : number + FRAMES])
    encode(folder / "clips" / "nobody.mp4", [np.full((192, 192, 3), 110, np.uint8)] * 3)
    workspace = new_project(folder / "project", **{"raw_videos.videos_per_partition": 4})
    take_in(workspace, folder / "clips")
    describe_raw_videos(workspace)
    return workspace


@pytest.fixture(scope="module")
def undisturbed(described, tmp_path_factory):
    """What the stages write in processes of this machine: content by path."""
    root = tmp_path_factory.mktemp("undisturbed") / "project"
    shutil.copytree(described.root, root)
    workspace = Workspace.open(root)
    for stage in STAGES:
        stage(workspace)
    return contents(workspace, "landmarks", "tracked_landmarks", "reconstructions")


@pytest.fixture
def project(described, cluster, tmp_path):
    """A copy whose parameters name the cluster."""
    shutil.copytree(described.root, tmp_path / "project")
    path = tmp_path / "project" / "params.yaml"
    tree = yaml.safe_load(path.read_text())
    tree["execution"]["backend"] = "ray"
    tree["execution"]["ray"]["address"] = cluster.address
    path.write_text(yaml.safe_dump(tree))
    return Workspace.open(tmp_path / "project")


def contents(workspace, *stages):
    """Every file of the stages, temporary ones too, by its path."""
    files = [file for stage in stages for file in workspace.data(stage).rglob("*") if file.is_file()]
    return {str(file.relative_to(workspace.root)): file.read_bytes() for file in files}


def of_stage(content, stage):
    return {path: text for path, text in content.items() if path.startswith(f"data/{stage}/")}


def finished(workspace):
    """Videos whose landmarks are there, with the time at which they were written."""
    files = [file for file in workspace.data("landmarks").rglob("*.npz") if not file.name.startswith(".")]
    return {file.name: file.stat().st_mtime_ns for file in files}


def start(workspace):
    """The stage as DVC and a user at the shell run it."""
    return subprocess.Popen(
        [sys.executable, "-m", "assets.landmarks"],
        cwd=workspace.root,
        env={name: value for name, value in os.environ.items() if name != "DEEPEXP3D_ROOT"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_videos(number, workspace, process):
    while len(finished(workspace)) < number and process.poll() is None:
        time.sleep(0.005)


def test_a_cluster_gives_the_same_bytes_as_processes_do(project, undisturbed):
    for stage in STAGES:
        assert stage(project).pending == ()
    assert contents(project, "landmarks", "tracked_landmarks", "reconstructions") == undisturbed
    index = read_index(project, "landmarks", all_batches(project))
    assert (index.status == "ok").sum() == CLIPS
    assert index.reason[index.status != "ok"].str.contains("nobody.mp4: no face in any of 3 frames").all()


def test_a_driver_that_is_killed_again_and_again_does_every_video_once(project, undisturbed):
    rng = np.random.default_rng(5)
    written = {}
    for number in range(1, DRIVER_DEATHS + 1):
        process = start(project)
        wait_for_videos(number, project, process)
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.communicate()
        now = finished(project)
        assert {name: now[name] for name in written} == written
        written = now
    process = start(project)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    now = finished(project)
    assert {name: now[name] for name in written} == written
    assert contents(project, "landmarks") == of_stage(undisturbed, "landmarks")


def pool(cluster, root, **changes):
    settings = {
        "address": cluster.address,
        "workers": 0,
        "cpus_per_worker": 1.0,
        "gpus_per_worker": {},
        "retries": 0,
        "patience_seconds": 600.0,
    }
    gpus = changes.pop("gpus", 0.0)
    return RayPool(root, RayExecution(**(settings | changes)), gpus_per_worker=gpus, local_cpus=1)


def halve(number: int) -> float:
    if number == 13:
        raise VideoError("13: brings bad luck.")
    if number == 99:
        os.kill(os.getpid(), signal.SIGKILL)
    return number / 2


def who_does_it(_: int) -> int:
    time.sleep(0.3)
    return os.getpid()


def die_at_first(folder: Path) -> int:
    """End the process, unless it has been done once."""
    first = folder / "first"
    if not first.exists():
        first.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1


def meet_a_common_fault(job: tuple[Path, int]) -> None:
    folder, number = job
    (folder / str(number)).touch()
    if number == 0:
        raise WeightsMissingError("weights: not there.")
    time.sleep(0.2)


def test_a_job_that_fails_or_kills_its_process_stops_no_other(cluster, tmp_path):
    outcomes = dict(each(halve, [2, 13, 99, 6, 8], pool(cluster, tmp_path), "halving"))
    assert [outcomes[number] for number in (2, 6, 8)] == [1, 3, 4]
    assert isinstance(outcomes[13], VideoError)
    assert isinstance(outcomes[99], DeepExp3DError)
    assert "99: 1 workers were lost on it" in str(outcomes[99])


def test_a_job_whose_worker_was_lost_is_done_again(cluster, tmp_path):
    assert dict(each(die_at_first, [tmp_path], pool(cluster, tmp_path, retries=2), "jobs")) == {tmp_path: 1}


def test_two_workers_share_the_jobs_and_stay_from_one_to_the_next(cluster, tmp_path):
    processes = [pid for _, pid in each(who_does_it, range(8), pool(cluster, tmp_path), "jobs")]
    assert len(processes) == 8
    assert len(set(processes)) == 2


def test_a_fault_that_all_jobs_share_stops_them(cluster, tmp_path):
    jobs = [(tmp_path, number) for number in range(40)]
    with pytest.raises(WeightsMissingError):
        list(each(meet_a_common_fault, jobs, pool(cluster, tmp_path), "jobs"))
    assert len(list(tmp_path.iterdir())) < 20, "jobs that had not begun were done all the same"


def test_no_jobs_start_no_cluster(tmp_path):
    nowhere = RayExecution(
        address="127.0.0.1:9", workers=0, cpus_per_worker=1, gpus_per_worker={}, retries=0, patience_seconds=1
    )
    assert list(each(halve, [], RayPool(tmp_path, nowhere, 0.0, 1), "jobs")) == []


def test_a_cluster_without_room_for_a_worker_is_refused(cluster, tmp_path):
    with pytest.raises(ClusterError, match=r"no room for a worker of 1 CPU and 0\.5 GPU; add machines"):
        list(each(halve, [2], pool(cluster, tmp_path, gpus=0.5), "jobs"))


def test_a_cluster_that_gets_no_room_for_a_worker_is_given_up_after_a_while(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("assets.ray_pool.LOOK_EVERY", 0.1)
    with pytest.raises(ClusterError, match=r"no machine with a worker of 8 CPU and 0 GPU for 0\.3 s"):
        list(each(halve, [2], pool(cluster, tmp_path, workers=1, cpus_per_worker=8.0, patience_seconds=0.3), "jobs"))


def test_a_machine_that_does_not_see_the_projects_folder_is_named(cluster, tmp_path):
    with pytest.raises(ClusterError, match=rf"elsewhere: not there on {socket.gethostname()}; mount"):
        list(each(halve, [2], pool(cluster, tmp_path / "elsewhere"), "jobs"))


def test_a_machine_with_other_code_is_named(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("assets.ray_pool.code_version", lambda: "of yesterday")
    with pytest.raises(ClusterError, match="runs other code of this project"):
        list(each(halve, [2], pool(cluster, tmp_path), "jobs"))


def test_an_address_where_nobody_answers_is_named_at_once(cluster, tmp_path):
    with pytest.raises(ClusterError, match=r"address 127\.0\.0\.1:9: nobody answers .*refused.*ray start --head"):
        list(each(halve, [2], pool(cluster, tmp_path, address="127.0.0.1:9"), "jobs"))


def test_ray_that_is_not_installed_is_named(cluster, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"pip install 'deepexp3d\[ray\]'"):
        list(each(halve, [2], pool(cluster, tmp_path), "jobs"))


# The last test, as it leaves one machine.
def test_a_machine_that_is_lost_half_way_loses_no_finished_video(project, cluster, undisturbed):
    process = start(project)
    wait_for_videos(CLIPS // 2, project, process)
    lost = next(node for node in cluster.list_all_nodes() if node is not cluster.head_node)
    cluster.remove_node(lost, allow_graceful=False)
    before = finished(project)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    assert CLIPS // 2 <= len(before) < CLIPS, output
    after = finished(project)
    assert {name: after[name] for name in before} == before
    assert contents(project, "landmarks") == of_stage(undisturbed, "landmarks")
