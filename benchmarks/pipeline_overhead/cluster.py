"""The landmark stage on a Ray cluster: how much faster two machines are than one, and what survives when they die."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from assets.landmarks import detect_landmarks
from assets.raw_videos import describe_raw_videos
from assets.workspace import Workspace
from benchmarks.pipeline_overhead.project import write_clip, write_copies

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

STAGE = "landmarks"
SIZE, RENDERED = 256, 60


@contextmanager
def cluster_of(machines: int) -> Iterator["Cluster"]:
    """A head that does no work and so many machines of one processor each, all processes of their own."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(machines):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()


def add_clips(workspace: Workspace, scratch: Path, clips: int, frames: int) -> None:
    """Films of a face that differ in content, and their manifest."""
    write_clip(scratch / "face.mp4", workspace, frames, SIZE, RENDERED)
    write_copies(scratch / "face.mp4", workspace.data("incoming"), clips)
    describe_raw_videos(workspace)


def speed_up(workspace: Workspace, repeats: int) -> dict[str, float]:
    """Least seconds of the landmark stage on one machine and on two, workers' start included, and their ratio."""
    seconds = {}
    for machines in (1, 2):
        with cluster_of(machines) as cluster:
            elsewhere = Workspace.open(workspace.root, _on(cluster))
            seconds[machines] = min(_stage_seconds(elsewhere) for _ in range(repeats))
    return {
        "ray_seconds_1": seconds[1],
        "ray_seconds_2": seconds[2],
        "ray_speedup_2": seconds[1] / seconds[2],
    }


def _stage_seconds(workspace: Workspace) -> float:
    shutil.rmtree(workspace.data(STAGE), ignore_errors=True)
    begin = time.monotonic()
    detect_landmarks(workspace)
    return time.monotonic() - begin


def survive(workspace: Workspace, kills: int, seed: int) -> dict[str, float]:
    """Kill a worker, a machine or the driver at random moments, and count what is lost by it.

    The stage is run on two machines, again and again from nothing, until it has been hit so many times. After every
    whole pass its files are compared with those that this machine's processes write undisturbed.

    Returns
    -------
    `kills`, `kills_driver`, `kills_worker`, `kills_machine`; `passes`; `rewritten_videos`: finished ones that were done
    again; `differing_files`: over all passes, files that are missing, too many, or of other bytes.
    """
    shutil.rmtree(workspace.data(STAGE), ignore_errors=True)
    detect_landmarks(workspace)
    undisturbed = _contents(workspace)
    rng = np.random.default_rng(seed)
    figures = dict.fromkeys(("driver", "worker", "machine"), 0)
    passes = rewritten = differing = 0
    with cluster_of(2) as cluster:
        _write_parameters(workspace, _on(cluster))
        while (hits := sum(figures.values())) < kills:
            shutil.rmtree(workspace.data(STAGE), ignore_errors=True)
            watch = _Watch(workspace)
            process = _start(workspace)
            first = len(watch.written)
            # Hits fall where videos are being worked on, not where the driver comes up.
            while hits < kills and watch.wait_for(first + 1, process):
                time.sleep(rng.uniform(0, 1))
                victim = str(rng.choice(list(figures)))
                if process.poll() is None and _kill(victim, cluster, process, rng):
                    figures[victim] += 1
                    hits += 1
                    if victim == "driver":
                        process.communicate()
                        process = _start(workspace)
                first = len(watch.look())
            output = process.communicate()[0]
            if process.returncode:
                raise SystemExit(f"the stage did not come through:\n{output[-3000:]}")
            watch.look()
            passes += 1
            rewritten += watch.rewritten
            now = _contents(workspace)
            differing += sum(now.get(path) != undisturbed.get(path) for path in now | undisturbed)
    return {
        "kills": kills,
        **{f"kills_{victim}": number for victim, number in figures.items()},
        "passes": passes,
        "rewritten_videos": rewritten,
        "differing_files": differing,
    }


class _Watch:
    """Notices videos that are written, and those that are written again."""

    def __init__(self, workspace: Workspace) -> None:
        self.folder, self.written, self.rewritten = workspace.data(STAGE), {}, 0

    def look(self) -> dict[str, int]:
        """Finished videos with the time at which they were written."""
        files = [file for file in self.folder.rglob("*.npz") if not file.name.startswith(".")]
        now = {file.name: file.stat().st_mtime_ns for file in files}
        self.rewritten += sum(now.get(name) != when for name, when in self.written.items())
        self.written = now
        return now

    def wait_for(self, number: int, process: subprocess.Popen) -> bool:
        """Whether so many videos are finished while the process still runs."""
        while len(self.look()) < number and process.poll() is None:
            time.sleep(0.01)
        return process.poll() is None


def _kill(victim: str, cluster: "Cluster", driver: subprocess.Popen, rng: np.random.Generator) -> bool:
    """Kill the driver, a process that works on videos, or a machine (in whose place another comes)."""
    import psutil

    if victim == "driver":
        driver.kill()
        return True
    if victim == "machine":
        machines = [node for node in cluster.list_all_nodes() if node is not cluster.head_node]
        cluster.remove_node(machines[rng.integers(len(machines))], allow_graceful=False)
        cluster.add_node(num_cpus=1)
        return True
    workers = [process for process in psutil.Process().children(recursive=True) if _is_worker(process)]
    if not workers:
        return False
    workers[rng.integers(len(workers))].kill()
    return True


def _is_worker(process) -> bool:
    import psutil

    try:
        return process.cmdline()[:1] != [] and process.cmdline()[0].startswith("ray::_Worker")
    except psutil.Error:
        return False


def _on(cluster: "Cluster") -> dict[str, str]:
    return {"execution.backend": "ray", "execution.ray.address": cluster.address}


def _write_parameters(workspace: Workspace, parameters: dict[str, str]) -> None:
    path = workspace.path("params.yaml")
    tree = yaml.safe_load(path.read_text())
    for name, value in parameters.items():
        *sections, key = name.split(".")
        section = tree
        for part in sections:
            section = section[part]
        section[key] = value
    path.write_text(yaml.safe_dump(tree, sort_keys=False))


def _start(workspace: Workspace) -> subprocess.Popen:
    """The stage as DVC and a user at the shell run it."""
    environment = {name: value for name, value in os.environ.items() if name != "DEEPEXP3D_ROOT"}
    return subprocess.Popen(
        [sys.executable, "-m", f"assets.{STAGE}"],
        cwd=workspace.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _contents(workspace: Workspace) -> dict[str, bytes]:
    """Every file of the stage, temporary ones too, by its path."""
    files = [file for file in workspace.data(STAGE).rglob("*") if file.is_file()]
    return {str(file.relative_to(workspace.root)): file.read_bytes() for file in files}
