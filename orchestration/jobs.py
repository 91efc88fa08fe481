"""One job per step of the pipeline."""

import dagster as dg

from orchestration.pipeline import STEPS


def all_jobs() -> list:
    """The jobs, in the order of the data's way."""
    return [
        dg.define_asset_job(step.name, selection=dg.AssetSelection.assets(*step.assets), description=step.description)
        for step in STEPS
    ]
