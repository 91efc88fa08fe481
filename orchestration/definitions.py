"""Everything that Dagster loads: assets, checks, jobs, the retraining schedule and the new-video sensor."""

import importlib

import dagster as dg

from assets.raw_videos import video_batches
from assets.stage import WorkspaceResource
from assets.workspace import Workspace
from orchestration.automation import new_videos, weekly_retraining
from orchestration.checks import all_checks
from orchestration.jobs import all_jobs
from orchestration.pipeline import STAGE_MODULES
from orchestration.ray_cluster import ray_cluster

params = Workspace.open().params


def _of_stage(name: str) -> list[dg.AssetsDefinition]:
    """The assets of a stage. Backfills of batches come in runs of some batches each, like what the sensor asks for."""
    found = dg.load_assets_from_modules([importlib.import_module(f"assets.{name}")])
    policy = dg.BackfillPolicy.multi_run(params.automation.batches_per_run)
    return [
        asset.with_attributes(backfill_policy=policy) if asset.partitions_def == video_batches else asset
        for asset in found
    ]


assets = [asset for name in STAGE_MODULES for asset in _of_stage(name)]

defs = dg.Definitions(
    assets=assets,
    asset_checks=all_checks(),
    jobs=all_jobs(),
    schedules=[weekly_retraining(params.automation)],
    sensors=[new_videos],
    resources={"workspace": WorkspaceResource(), "ray_cluster": ray_cluster(params)},
)
