"""What starts by itself: work on new videos, and retraining."""

import hashlib
import json

import dagster as dg

from assets.params import Automation
from assets.raw_videos import assign_batches, video_batches
from assets.stage import WorkspaceResource


@dg.sensor(job_name="facevid_batches", minimum_interval_seconds=60)
def new_videos(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
    """Assigns videos that appeared in `data/incoming` to batches and runs every batch that changed by it."""
    project = workspace.open()
    batches = assign_batches(project)
    seen = json.loads(context.cursor) if context.cursor else {}
    now = {name: _state(project, paths) for name, paths in batches.items()}
    changed = [name for name in sorted(now) if seen.get(name) != now[name]]
    gone = [name for name in context.instance.get_dynamic_partitions(video_batches.name) if name not in now]
    requests = [video_batches.build_add_request(changed)] if changed else []
    if gone:
        requests.append(video_batches.build_delete_request(gone))
    return dg.SensorResult(
        # Without run keys: a batch that is again as it once was, a file having gone and come back, is to be run again.
        run_requests=[dg.RunRequest(partition_key=name) for name in changed],
        dynamic_partitions_requests=requests,
        cursor=json.dumps(now),
    )


def weekly_retraining(settings: Automation) -> dg.ScheduleDefinition:
    """Training, fine-tuning, evaluation and export on the data as they are then."""
    return dg.ScheduleDefinition(
        name="weekly_retraining",
        job_name="retrain",
        cron_schedule=settings.retraining_cron,
        execution_timezone="UTC",
        description="Train again on what has survived pruning by then; the new version is registered as challenger.",
    )


def _state(project, paths: list[str]) -> str:
    """Changes when a file of a batch does, without reading the files."""
    stats = [(path, project.path(path).stat()) for path in paths]
    text = json.dumps([(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
