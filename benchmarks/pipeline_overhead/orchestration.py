"""Dagster's daemon, its runs and its web page, on a project of thousands of videos."""

import contextlib
import json
import math
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import yaml
from tqdm import tqdm

from assets.raw_videos import assign_batches, video_batches
from assets.workspace import Workspace
from benchmarks.pipeline_overhead.project import ROOT
from orchestration.pipeline import RANGE_END, RANGE_START, STEPS

CODE = ("-m", "orchestration.definitions")
JOB, DATASET_JOB = "facevid_batches", "facevid_dataset"
# Runs are only queued: what is measured is how long it takes to ask for them.
QUEUE_ONLY = {
    "telemetry": {"enabled": False},
    "nux": {"enabled": False},
    "concurrency": {"runs": {"max_concurrent_runs": 0}},
}
REGISTER_WITHIN, ANSWER_WITHIN = 1800.0, 180.0


def use_instance(workspace: Workspace) -> dg.DagsterInstance:
    """A Dagster instance of the project's own, in which nothing is launched; this process' variables name both."""
    home = workspace.path(".dagster")
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(QUEUE_ONLY))
    os.environ.update(DAGSTER_HOME=str(home), DEEPEXP3D_ROOT=str(workspace.root))
    return dg.DagsterInstance.get()


def register(workspace: Workspace, instance: dg.DagsterInstance, videos: int) -> dict[str, float]:
    """Seconds from the start of Dagster's daemon until its sensor has put all videos into registered batches, and a
    run for every batch is in the queue."""
    batches = math.ceil(videos / workspace.params.raw_videos.videos_per_partition)
    wanted = math.ceil(batches / workspace.params.automation.batches_per_run)
    _run("dagster", "sensor", "start", "new_videos", *CODE)
    begin = time.monotonic()
    with _started("dagster-daemon", "run", *CODE):
        while instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])) < wanted:
            if time.monotonic() - begin > REGISTER_WITHIN:
                raise SystemExit(f"not all of {wanted} runs are in the queue after {REGISTER_WITHIN:g} s.")
            time.sleep(0.2)
        seconds = time.monotonic() - begin
    registered = len(instance.get_dynamic_partitions(video_batches.name))
    if registered != batches:
        raise SystemExit(f"{registered} batches are registered, not {batches}.")
    return {f"register_{videos}_s": seconds, "batches": batches, "runs": wanted}


def run_batches(workspace: Workspace, batches: int, first: int = 0) -> tuple[float, float]:
    """Wall and processor seconds of a run of so many batches: a process that loads the program, works, reports."""
    names = sorted(assign_batches(workspace))[first : first + batches]
    tags = json.dumps({RANGE_START: names[0], RANGE_END: names[-1]})
    begin, spent = time.monotonic(), _spent_by_children()
    _run("dagster", "job", "execute", "-j", JOB, *CODE, "--tags", tags)
    return time.monotonic() - begin, _spent_by_children() - spent


def run_to_shards(workspace: Workspace) -> dict[str, float]:
    """Every batch, in runs as the sensor asks for them, and then pruning, splits and training shards of all videos.

    Returns
    -------
    `to_shards_s`, of which `dataset_s` for what comes after the batches; `kept_videos` and `shard_images` in the end.
    """
    import pandas as pd

    from models.expression.shards import number_of_samples

    count, a_run = len(assign_batches(workspace)), workspace.params.automation.batches_per_run
    begin = time.monotonic()
    for first in tqdm(range(0, count, a_run), desc="runs", unit="run"):
        run_batches(workspace, a_run, first)
    middle = time.monotonic()
    _run("dagster", "job", "execute", "-j", DATASET_JOB, *CODE)
    end = time.monotonic()
    splits = [workspace.data("facevid_shards", split) for split in ("train", "val", "test")]
    return {
        "to_shards_s": end - begin,
        "dataset_s": end - middle,
        "kept_videos": int(pd.read_parquet(workspace.data("pruned_videos", "videos.parquet")).kept.sum()),
        "shard_images": sum(number_of_samples(split) for split in splits),
    }


def storage_bytes(workspace: Workspace) -> int:
    """Size of Dagster's run and event storage."""
    return sum(file.stat().st_size for file in workspace.path(".dagster").rglob("*.db*"))


def report_all(workspace: Workspace, instance: dg.DagsterInstance) -> int:
    """Tell Dagster of a result of every batch in every stage, so that its pages show a finished project; how many."""
    (step,) = (step for step in STEPS if step.name == JOB)
    refusals = "| video_id | reason |\n|---|---|\n" + "| user-clip-00000000 | no face in any of 2000 frames |\n" * 5
    count = 0
    for batch in sorted(assign_batches(workspace)):
        for stage in step.assets:
            metadata = {"frames": 60_000, "faces": 60_000, "refusals": dg.MetadataValue.md(refusals)}
            instance.report_runless_asset_event(dg.AssetMaterialization(stage, partition=batch, metadata=metadata))
            count += 1
    return count


def installed_chromium() -> str | None:
    """The browser of this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def page_seconds(workspace: Workspace, chromium: str | None, picture: Path | None, loads: int = 3) -> dict[str, float]:
    """Seconds until a new browser shows an asset's page with all its batches: at first, and at best.

    Nothing where there is no browser: the other figures do not need one.

    Raises
    ------
    playwright.sync_api.TimeoutError
        The page does not show what it should.
    """
    if chromium is None:
        print("the page is not timed: there is no Chromium on this machine; install it, or name it with --chromium")
        return {}
    from playwright.sync_api import sync_playwright

    last = max(assign_batches(workspace))
    port = _free_port()
    with _started("dagster-webserver", *CODE, "-h", "127.0.0.1", "-p", str(port)), sync_playwright() as playwright:
        _wait_for(f"http://127.0.0.1:{port}/server_info")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        seconds = []
        for _ in range(loads):
            # A context of its own has nothing in its cache.
            page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
            begin = time.monotonic()
            page.goto(f"http://127.0.0.1:{port}/assets/landmarks?view=partitions", timeout=120_000)
            page.get_by_text(re.compile(rf"{last}|batch-00000")).first.wait_for(timeout=120_000)
            seconds.append(time.monotonic() - begin)
            if picture:
                page.screenshot(path=picture)
            page.context.close()
        browser.close()
    return {"asset_page_s": min(seconds), "asset_page_first_s": seconds[0]}


def _spent_by_children() -> float:
    """Processor seconds of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(_command(program, *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{program} {' '.join(arguments)}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def _command(program: str, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name(program)), *arguments]


@contextlib.contextmanager
def _started(program: str, *arguments: str) -> Iterator[None]:
    """A server for as long as the block takes, with the processes that it starts."""
    server = subprocess.Popen(
        _command(program, *arguments),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait_for(url: str) -> None:
    end = time.monotonic() + ANSWER_WITHIN
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise SystemExit(f"nobody answers at {url} after {ANSWER_WITHIN:g} s.")
