"""Two trainings never run at the same time; the place of one that was killed is free again."""

import os
import subprocess
import sys
import time
from functools import reduce
from operator import getitem
from pathlib import Path

import dagster as dg
import pytest

from assets.training import TRAINING_POOL
from assets.workspace import Workspace
from orchestration.run import OWN_TAG, dagster_instance, end_killed_runs
from orchestration.storage import main as set_up_storage
from tests.workspace_fixture import ROOT, make_project

pytestmark = pytest.mark.timeout(300)

# A training of its own process that says when it began and ended.
TRAINING = """
import sys, time
import dagster as dg
from assets.training import TRAINING_POOL
from assets.workspace import Workspace
from orchestration.run import OWN_TAG, dagster_instance

@dg.asset(pool=TRAINING_POOL)
def training():
    with open(sys.argv[1], "a") as file:
        file.write("begin\\n"); file.flush()
        time.sleep(float(sys.argv[2]))
        file.write("end\\n")

with dagster_instance(Workspace.open()) as instance:
    job = dg.Definitions(assets=[training], jobs=[dg.define_asset_job("train", "*")]).resolve_job_def("train")
    assert job.execute_in_process(instance=instance, tags=OWN_TAG).success
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    workspace = make_project(tmp_path / "project")
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(workspace.root))
    monkeypatch.setenv("DAGSTER_HOME", str(workspace.path(".dagster")))
    with dagster_instance(workspace):
        pass
    return workspace


def start(said: Path, seconds: float) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", TRAINING, str(said), str(seconds)], cwd=ROOT, env=dict(os.environ))


def wait_for(said: Path, text: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + 200
    while not (said.exists() and text in said.read_text()):
        assert process.poll() is None, process.returncode
        assert time.monotonic() < end
        time.sleep(0.1)


def stages_on_a_device() -> set[str]:
    """Stages that are told in `params.yaml` which device to run on."""
    workspace = Workspace.open(ROOT)
    parameters = workspace.params.model_dump(mode="json")
    told = {
        name: {key: reduce(getitem, key.split("."), parameters) for key in stage.get("params", [])}
        for name, stage in workspace.pipeline.items()
    }
    return {name for name, sections in told.items() if {"device", "devices"} & keys_below(sections)}


def keys_below(section) -> set[str]:
    if not isinstance(section, dict):
        return set()
    return set(section).union(*map(keys_below, section.values()))


def test_where_storage_is_set_up_and_nothing_else_the_pool_has_its_limit(tmp_path, monkeypatch):
    workspace = make_project(tmp_path)
    home = workspace.path(".dagster")
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(workspace.root))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    assert set_up_storage([]) == 0
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (limit,) = instance.event_log_storage.get_pool_limits()
    assert (limit.name, limit.limit) == (TRAINING_POOL, workspace.params.retraining.at_once)


def test_what_can_train_on_a_gpu_is_in_the_pool_and_nothing_else_is():
    from orchestration.definitions import defs

    graph = defs.resolve_asset_graph()
    pooled = {key.to_user_string() for key in graph.materializable_asset_keys if graph.get(key).pools}
    assert pooled == stages_on_a_device()
    assert all(graph.get(dg.AssetKey(name)).pools == {TRAINING_POOL} for name in pooled)


def test_a_training_waits_for_another_to_end_and_takes_the_place_of_a_killed_one(project, tmp_path):
    said = tmp_path / "said.txt"
    first = start(said, 600)
    wait_for(said, "begin", first)
    second = start(said, 0)
    try:
        with dagster_instance(project) as instance:
            end = time.monotonic() + 200
            while not instance.event_log_storage.get_concurrency_info(TRAINING_POOL).pending_step_count:
                assert second.poll() is None
                assert time.monotonic() < end
                time.sleep(0.2)
            assert said.read_text() == "begin\n"
            (holder,) = instance.event_log_storage.get_concurrency_info(TRAINING_POOL).active_run_ids
            first.kill()
            first.wait()
            # As `make run` does it, where nothing else is at work: here the second one is, and must be left alone.
            killed = instance.get_run_by_id(holder)
            instance.report_run_failed(killed)
            instance.event_log_storage.free_concurrency_slots_for_run(holder)
        assert second.wait(200) == 0
    finally:
        for process in (first, second):
            process.kill()
    assert said.read_text() == "begin\nbegin\nend\n"


def test_runs_whose_process_was_killed_are_ended_before_the_next_begins(project, tmp_path):
    said = tmp_path / "said.txt"
    training = start(said, 600)
    wait_for(said, "begin", training)
    training.kill()
    training.wait()
    with dagster_instance(project) as instance:
        (ended,) = end_killed_runs(instance)
        assert instance.get_run_by_id(ended).status == dg.DagsterRunStatus.FAILURE
        assert instance.event_log_storage.get_concurrency_info(TRAINING_POOL).active_run_ids == set()
        assert end_killed_runs(instance) == []
        assert instance.get_runs(dg.RunsFilter(tags=OWN_TAG, statuses=[dg.DagsterRunStatus.STARTED])) == []
