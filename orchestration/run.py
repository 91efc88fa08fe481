"""`make run`: bring everything up to date, and do no more than that.

DVC decides what is out of date; Dagster runs it, so that every run is in its history. Results that DVC made by itself
(`dvc repro`) are reported to Dagster without being made again.
"""

import argparse
import contextlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator

import dagster as dg
from filelock import FileLock, Timeout

from assets import versioning
from assets.raw_videos import assign_batches, take_in, video_batches
from assets.workspace import Workspace
from models import errors
from models.errors import DeepExp3DError
from orchestration.pipeline import RANGE_END, RANGE_START, SOURCES, STEPS, Step, stages_of
from orchestration.storage import dagster_home, limit_trainings, use_storage

# Of the runs that this command starts, which end with its process.
OWN_TAG = {"deepexp3d/started_by": "make run"}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__.splitlines()[0])
    parser.add_argument("--videos", help="folder of videos to take in first (VIDEOS=folder make run)")
    options = parser.parse_args(arguments)
    begin = time.monotonic()
    show_progress()
    try:
        workspace = Workspace.open()
        if options.videos:
            count = take_in(workspace, options.videos)
            print(f"took in {count} videos from {options.videos}", flush=True)
        done = bring_up_to_date(workspace)
    except DeepExp3DError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - begin
    stages = sum(len(keys) for keys in workspace.partitions.values())
    if done:
        print(f"\nran {len(done)} stages in {seconds:.0f} s: {', '.join(done)}")
    else:
        print(f"nothing to do: all {stages} stages are up to date ({seconds:.0f} s)")
    print(f"report: {workspace.path('reports', 'index.html')}")
    return 0


def show_progress() -> None:
    """Let the project's own log lines through to the terminal, and keep those of its libraries out."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    for name in ("models", "assets"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    for name in ("dvc", "mlflow", "alembic", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"pytorch_lightning|litdata|mlflow|dagster")
    warnings.filterwarnings("ignore", category=FutureWarning)


def bring_up_to_date(workspace: Workspace) -> list[str]:
    """Run every stage that DVC finds out of date, step by step; returns their names.

    Raises
    ------
    DeepExp3DError
        A stage failed. What was finished is kept, and the next run goes on from there.
    """
    done = []
    with _alone(workspace), dagster_instance(workspace) as instance:
        end_killed_runs(instance)
        for step in STEPS:
            for partition in _partitions(workspace, instance, step):
                done += _run_step(workspace, instance, step, partition)
    return done


@contextlib.contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """Refuse to run beside another run of the same project: both would write the same files."""
    lock = FileLock(workspace.path(".dvc", "run.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DeepExp3DError(f"{workspace.root}: another run is at work here; wait for it, or stop it.") from None
    try:
        yield
    finally:
        lock.release()


def dagster_instance(workspace: Workspace) -> dg.DagsterInstance:
    """The instance in `DAGSTER_HOME`, by default `.dagster` in the project folder, stored as the profile says."""
    home = dagster_home(workspace)
    os.environ["DAGSTER_HOME"] = str(home)
    use_storage(workspace, home)
    os.environ["DEEPEXP3D_ROOT"] = str(workspace.root)
    instance = dg.DagsterInstance.get()
    limit_trainings(instance, workspace)
    return instance


def end_killed_runs(instance: dg.DagsterInstance) -> list[str]:
    """Close runs of this command whose process was killed, and free the places of trainings that they held.

    Only where no other such run is at work, which `_alone` makes sure of. Returns the runs' names.
    """
    unfinished = dg.RunsFilter(tags=OWN_TAG, statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    runs = instance.get_runs(unfinished)
    for run in runs:
        instance.report_run_failed(run, "its process was killed")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in runs]


def _partitions(workspace: Workspace, instance: dg.DagsterInstance, step: Step) -> list[str | None]:
    """What a step is repeated for; a step over batches makes all of them in one run."""
    if step.partitions == "benchmarks":
        from assets.benchmark_images import BENCHMARKS

        return list(BENCHMARKS)
    if step.partitions == "batches":
        instance.add_dynamic_partitions(video_batches.name, sorted(assign_batches(workspace)))
    return [None]


def _run_step(workspace: Workspace, instance: dg.DagsterInstance, step: Step, partition: str | None) -> list[str]:
    from orchestration.definitions import defs

    stages = stages_of(step, partition)
    outdated = versioning.outdated(workspace.root, stages)
    if not outdated:
        _report_finished(workspace, instance, step, partition)
        return []
    # What follows an outdated stage within the step is outdated as soon as that one has run.
    first = min(stages.index(name) for name in outdated if name in stages)
    selected = [name.split("@")[0] for name in stages[first:]]
    selected += [name for name in step.assets if name in SOURCES]
    print(f"{step.name}{f' ({partition})' if partition else ''}: {', '.join(selected)}", flush=True)
    tags = {}
    if step.partitions == "batches":
        batches = sorted(assign_batches(workspace))
        tags = {RANGE_START: batches[0], RANGE_END: batches[-1]}
        _order_partitions(instance, batches)
    result = defs.resolve_job_def(step.name).execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in selected],
        partition_key=partition,
        tags=tags | OWN_TAG,
        run_config=QUIET,
        raise_on_error=False,
    )
    if not result.success:
        if (refusal := _refusal(result)) is None:
            raise DeepExp3DError(_failure(result))
        print(f"{refusal}; the champion stays", flush=True)
    return [name for name in stages if name.split("@")[0] in selected]


def _order_partitions(instance: dg.DagsterInstance, batches: list[str]) -> None:
    """A range of partitions goes by the order in which they were added; make that the sorted one."""
    known = list(instance.get_dynamic_partitions(video_batches.name))
    if known != batches:
        for name in known:
            instance.delete_dynamic_partition(video_batches.name, name)
        instance.add_dynamic_partitions(video_batches.name, batches)


def _report_finished(workspace: Workspace, instance: dg.DagsterInstance, step: Step, partition: str | None) -> None:
    """Tell Dagster of results that DVC holds and Dagster has not seen, such as those of `dvc repro`."""
    versions = versioning.output_versions(workspace.root)
    for stage in stages_of(step, partition):
        key = dg.AssetKey(stage.split("@")[0])
        for name in sorted(assign_batches(workspace)) if step.partitions == "batches" else [partition]:
            wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[name] if name else None)
            seen = instance.fetch_materializations(wanted, limit=1).records
            tags = seen[0].asset_materialization.tags if seen else {}
            if tags.get("dagster/data_version") == versions[stage]:
                continue
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    key,
                    partition=name,
                    description="made outside Dagster, found finished by DVC",
                    metadata={"dvc_md5": versions[stage]},
                    tags={"dagster/data_version": versions[stage], "dagster/data_version_is_user_provided": "true"},
                )
            )


def _refusal(result: dg.ExecuteInProcessResult) -> str | None:
    """What the check of the new network found, where it refused that network and nothing else went wrong."""
    failed = [event.step_failure_data.error.cls_name for event in result.all_events if event.is_step_failure]
    refused = [
        evaluation.description
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.asset_key == dg.AssetKey("challenger_review") and evaluation.blocking and not evaluation.passed
    ]
    return refused[0] if refused and failed == ["DagsterAssetCheckFailedError"] else None


def _failure(result: dg.ExecuteInProcessResult) -> str:
    """The innermost cause of a failed run, in a line or two, and what to do.

    An error of this project says more than the one that it was made from.
    """
    for event in result.all_events:
        # A resource, such as a cluster, fails before any step does.
        error = event.event_specific_data.error if event.is_step_failure or event.is_job_failure else None
        if error is None:
            continue
        chain = [error]
        while chain[-1].cause is not None:
            chain.append(chain[-1].cause)
        known = [error for error in chain if issubclass(getattr(errors, error.cls_name or "", int), DeepExp3DError)]
        text = (known or chain)[-1].message.strip()
        return (
            f"{event.step_key or event.job_name}: {text}\n"
            "mend this and run again: what was finished is kept. All runs: make ui"
        )
    return "the run failed before its first stage; see make ui"


if __name__ == "__main__":
    sys.exit(main())
