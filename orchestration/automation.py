"""Work on new videos starts by itself."""

import hashlib
import json

import dagster as dg

from assets.raw_videos import assign_batches, video_batches
from assets.stage import WorkspaceResource
from orchestration.pipeline import RANGE_END, RANGE_START


@dg.sensor(job_name="facevid_batches", minimum_interval_seconds=60)
def new_videos(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
    """Assigns videos that appeared in `data/incoming` to batches, registers these as partitions, and asks for runs of
    every batch that changed by it, several batches a run."""
    project = workspace.open()
    batches = assign_batches(project)
    seen = json.loads(context.cursor) if context.cursor else {}
    now = {name: _state(project, paths) for name, paths in batches.items()}
    changed = [name for name in sorted(now) if seen.get(name) != now[name]]
    registered = context.instance.get_dynamic_partitions(video_batches.name)
    gone = [name for name in registered if name not in now]
    in_order = [name for name in registered if name in now] + [name for name in changed if name not in registered]
    runs = _runs(changed, in_order, project.params.automation.batches_per_run)
    requests = [video_batches.build_add_request(changed)] if changed else []
    if gone:
        requests.append(video_batches.build_delete_request(gone))
    return dg.SensorResult(
        # Without run keys: a batch that is again as it once was, a file having gone and come back, is to be run again.
        run_requests=[dg.RunRequest(tags={RANGE_START: names[0], RANGE_END: names[-1]}) for names in runs],
        dynamic_partitions_requests=requests,
        cursor=json.dumps(now),
    )


def _runs(changed: list[str], in_order: list[str], most: int) -> list[list[str]]:
    """The changed batches in groups of at most so many, each without a gap in the order of registration."""
    runs: list[list[str]] = []
    neighbour = None
    for name in in_order:
        if name in changed:
            if runs and runs[-1][-1] == neighbour and len(runs[-1]) < most:
                runs[-1].append(name)
            else:
                runs.append([name])
        neighbour = name
    return runs


def _state(project, paths: list[str]) -> str:
    """Changes when a file of a batch does, without reading the files."""
    stats = [(path, project.path(path).stat()) for path in paths]
    text = json.dumps([(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
