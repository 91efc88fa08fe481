"""Everything that Dagster loads: assets, checks, jobs, the retraining schedule and the new-video sensor."""

import importlib

import dagster as dg

from assets.stage import WorkspaceResource
from assets.workspace import Workspace
from orchestration.automation import new_videos, weekly_retraining
from orchestration.checks import all_checks
from orchestration.jobs import all_jobs
from orchestration.pipeline import STAGE_MODULES

assets = dg.load_assets_from_modules([importlib.import_module(f"assets.{name}") for name in STAGE_MODULES])

defs = dg.Definitions(
    assets=assets,
    asset_checks=all_checks(),
    jobs=all_jobs(),
    schedules=[weekly_retraining(Workspace.open().params.automation)],
    sensors=[new_videos],
    resources={"workspace": WorkspaceResource()},
)
