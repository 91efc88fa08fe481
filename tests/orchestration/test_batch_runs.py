"""Runs of many batches: how large they are, how they are executed, and what they tell of their progress."""

import logging

import dagster as dg
import pytest

from assets.stage import StageResult, WorkspaceResource, materialise
from assets.workspace import Workspace
from orchestration.definitions import defs
from tests.workspace_fixture import make_project

BATCHES = ("raw_videos", "landmarks", "tracked_landmarks", "reconstructions")


@pytest.mark.parametrize("name", BATCHES)
def test_backfills_of_batches_come_in_runs_as_large_as_those_of_the_sensor(name):
    policy = defs.resolve_assets_def(name).backfill_policy
    assert policy.max_partitions_per_run == Workspace.open().params.automation.batches_per_run


def test_the_stages_of_batches_share_a_process_and_others_have_their_own():
    executors = {job.name: job.executor_def for job in defs.resolve_all_job_defs() if job.name != "__ASSET_JOB"}
    assert executors.pop("facevid_batches") is dg.in_process_executor
    assert dg.in_process_executor not in executors.values()


def test_a_runs_page_tells_of_every_batch_as_it_is_done(tmp_path):
    (tmp_path / "project").mkdir()
    project = make_project(tmp_path / "project")

    def work(_: Workspace) -> StageResult:
        logging.getLogger("assets.batches").info("landmarks: batch-00003 done")
        return StageResult(pending=("batch-00004",))

    @dg.asset
    def landmarks(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return materialise(context, WorkspaceResource(root=str(project.root)), work)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([landmarks], instance=instance)
        told = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert "landmarks: batch-00003 done" in told
    assert not [handler for handler in logging.getLogger("assets").handlers if handler.level == logging.INFO]
