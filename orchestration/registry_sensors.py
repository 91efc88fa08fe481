"""What follows from people's decisions, from new videos and from time: promotions and retrainings, each explained."""

import json

import dagster as dg

from assets import registry_review
from assets.experiment_record import deliver_waiting, waiting_records
from assets.model_registry import champion_identity, current_champion, has_registry, read_trail
from assets.params import Retraining
from assets.stage import WorkspaceResource
from assets.workspace import Workspace
from models.errors import DeepExp3DError

REASON_TAG = "deepexp3d/reason"
# Where Dagster keeps the key of a sensor's request.
RUN_KEY_TAG = "dagster/run_key"
# Runs of one request that may fail before a person has to look.
ATTEMPTS = 3


def weekly_retraining(settings: Retraining) -> dg.ScheduleDefinition:
    """Pruning, training, evaluation, export and review on the data as they are then."""
    return dg.ScheduleDefinition(
        name="weekly_retraining",
        job_name="retraining",
        cron_schedule=settings.cron,
        execution_timezone="UTC",
        tags={REASON_TAG: "the weekly schedule"},
        description="Train again on what has survived pruning by then; the new network is registered as challenger.",
    )


@dg.sensor(job_name="retraining", minimum_interval_seconds=300)
def retraining_due(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
    """Trains again once enough new videos survived pruning, or their expressions drifted; says how far off that is."""
    return within_attempts(context.instance, "retraining", due_retraining(workspace.open()))


def due_retraining(project: Workspace) -> dg.SensorResult:
    """A request for a retraining with its reason, or the figures that do not ask for one yet.

    A champion is asked for once by each full `retraining.new_videos` and once by drift: what a reviewer has not decided
    on, or has refused, is not trained again from the same videos.
    """
    path = project.data("expression_drift", "drift.json")
    champion = current_champion(project)
    if champion is None or not path.exists():
        return dg.SensorResult(skip_reason="no champion to compare with yet: run the pipeline once (make run)")
    facts, settings = json.loads(path.read_text()), project.params.retraining
    videos = f"{facts['new_videos']} new videos since the champion, {settings.new_videos} ask for a retraining"
    drift = f"drift {facts['drift']:.3f}, bound {settings.drift_bound:g}, by chance {facts['chance']:.3f}"
    fills = facts["new_videos"] // settings.new_videos
    if not fills and not facts["exceeded"]:
        return dg.SensorResult(skip_reason=f"{videos}; {drift}")
    reason = videos if fills else drift
    # As often as the count fills up again; drift by itself asks once.
    key = (
        f"{champion.sha256[:12]}-{fills} times {settings.new_videos} videos"
        if fills
        else f"{champion.sha256[:12]}-drift"
    )
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=key, tags={REASON_TAG: reason})])


@dg.sensor(job_name="promotion", minimum_interval_seconds=30)
def registry_changes(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
    """Delivers what waits for MLflow, promotes what a person approved there or on the review page, and puts the
    champion into use. Its classifiers follow by their own conditions."""
    return within_attempts(context.instance, "promotion", follow_registry(workspace.open()))


def follow_registry(project: Workspace) -> dg.SensorResult:
    """A request to bring the champion into use where the trail names another than the one in use."""
    notes = []
    try:
        if waiting_records(project):
            notes.append(f"delivered {len(deliver_waiting(project))} runs that had waited for MLflow")
        for entry in registry_review.promote_approved(project):
            notes.append(f"version {entry.version} {entry.event} by {entry.reviewer}: {entry.reason}")
    except DeepExp3DError as error:
        notes.append(str(error))
    champion = current_champion(project)
    if champion is None:
        text = "nothing is registered yet" if not has_registry(project) else "no champion yet: run the pipeline once"
        return dg.SensorResult(skip_reason="; ".join([*notes, text]))
    if champion_identity(project) == champion.sha256:
        text = f"version {champion.version or 'without number'} is champion and in use"
        return dg.SensorResult(skip_reason="; ".join([*notes, text]))
    reason = f"version {champion.version}: {champion.event} by {champion.reviewer}, {champion.reason}"
    # Lines are only ever added: their number tells one accession from the next.
    key = f"{champion.sha256[:12]}-{len(read_trail(project))}"
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=key, tags={REASON_TAG: reason})])


def within_attempts(instance: dg.DagsterInstance, job: str, result: dg.SensorResult) -> dg.SensorResult:
    """What a sensor asks for, once more while the last run of it failed, `ATTEMPTS` times in all; or why it does not.

    Dagster starts nothing for a run key that it has seen, whatever has become of the run: each attempt has its own key.
    A run that succeeded, is under way or was cancelled by a person is not repeated.
    """
    if not result.run_requests:
        return result
    (request,) = result.run_requests
    reason = request.tags[REASON_TAG]
    for attempt in range(1, ATTEMPTS + 1):
        key = request.run_key if attempt == 1 else f"{request.run_key}, attempt {attempt}"
        # The newest: a person may have executed a failed run again from its page, which keeps the key.
        run = next(iter(instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: key}), limit=1)), None)
        # A daemon that is killed before it launches what it has created does so on the next request.
        if run is None or run.status is dg.DagsterRunStatus.NOT_STARTED:
            return dg.SensorResult(
                run_requests=[request.with_replaced_attrs(run_key=key)],
                cursor=f"attempt {attempt} of {ATTEMPTS}: {reason}",
            )
        if run.status is not dg.DagsterRunStatus.FAILURE:
            return dg.SensorResult(
                skip_reason=f"{reason}; asked for already, run {run.run_id[:8]} of {job}: {run.status.value.lower()}"
            )
    told = (
        f"{reason}; {ATTEMPTS} runs of {job} failed, the last one is {run.run_id[:8]}: mend what its page names, then "
        f"start the job {job} there"
    )
    return dg.SensorResult(skip_reason=told, cursor=told)
