"""One job per step of the pipeline."""

import dagster as dg

from orchestration.pipeline import RETRAINING, STEPS


def all_jobs() -> list:
    """The jobs, in the order of the data's way."""
    return [
        dg.define_asset_job(
            step.name,
            selection=dg.AssetSelection.assets(*step.assets),
            description=step.description,
            # The stages of a batch follow upon each other; a process for each would only load the program again.
            executor_def=dg.in_process_executor if step.partitions == "batches" else None,
        )
        for step in STEPS
    ] + [
        dg.define_asset_job(
            "retraining",
            selection=dg.AssetSelection.assets(*RETRAINING),
            description="From pruning to a new challenger: what the weekly schedule and `retraining_due` start",
        )
    ]
