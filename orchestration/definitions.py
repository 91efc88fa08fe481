"""Everything that Dagster loads: assets, checks, jobs, the retraining schedule and the new-video sensor."""

import importlib
from datetime import timedelta

import dagster as dg

from assets.model_registry import CHAMPION
from assets.raw_videos import video_batches
from assets.stage import WorkspaceResource
from assets.workspace import Workspace
from orchestration.alerts import alert_on_failure
from orchestration.automation import new_videos
from orchestration.checks import all_checks
from orchestration.jobs import all_jobs
from orchestration.pipeline import STAGE_MODULES
from orchestration.ray_cluster import ray_cluster
from orchestration.registry_sensors import registry_changes, retraining_due, weekly_retraining

params = Workspace.open().params


def _of_stage(name: str) -> list[dg.AssetsDefinition]:
    """The assets of a stage. Backfills of batches come in runs of some batches each, like what the sensor asks for."""
    found = dg.load_assets_from_modules([importlib.import_module(f"assets.{name}")])
    policy = dg.BackfillPolicy.multi_run(params.automation.batches_per_run)
    assets = [
        asset.with_attributes(backfill_policy=policy) if asset.partitions_def == video_batches else asset
        for asset in found
    ]
    return dg.map_asset_specs(_with_freshness, assets) if name == CHAMPION else assets


def _with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    """A champion that nobody has looked at for long is said to be stale."""
    registry = params.registry
    policy = dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=registry.stale_after_days), warn_window=timedelta(days=registry.warn_after_days)
    )
    return spec.replace_attributes(freshness_policy=policy)


assets = [asset for name in STAGE_MODULES for asset in _of_stage(name)]

defs = dg.Definitions(
    assets=assets,
    asset_checks=all_checks(),
    jobs=all_jobs(),
    schedules=[weekly_retraining(params.retraining)],
    sensors=[new_videos, retraining_due, registry_changes, alert_on_failure],
    resources={"workspace": WorkspaceResource(), "ray_cluster": ray_cluster(params)},
)
