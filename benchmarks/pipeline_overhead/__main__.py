"""What order among thousands of videos costs: `python -m benchmarks.pipeline_overhead --json FILE`.

Measured in a project of its own, on tiny clips that are the same pictures in files of different content:

- `register_6000_s`: from the start of Dagster's daemon until its sensor has registered all batches and queued a run
  for each;
- `overhead_s_a_video`: that, and a run that finds all its videos done (its process, the program's load, reading what
  is there, indices, metadata, Dagster's records), for each video;
- `overhead_share`: of the work on a video of the paper's 2,000 frames, whose cost by frame is measured as well, when a
  run's videos are worked on by all processors; `overhead_processor_share` leaves out waiting, for a busy machine;
- `event_log_bytes_a_video`, and `asset_page_s` in a real browser with every batch materialised;
- with `--to-shards`, all videos go through every stage from file to training shards: `to_shards_s`, and
  `event_log_bytes_a_video` of all of them;
- with `--ray`, `ray_speedup_2`: the landmark stage on two Ray workers against one;
- with `--kills N`, what is lost when a worker, a machine or the driver is killed at N random moments: nothing.

Times are the least of several: run it on a machine that does nothing else.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from benchmarks.pipeline_overhead.cluster import add_clips, speed_up, survive
from benchmarks.pipeline_overhead.orchestration import (
    installed_chromium,
    page_seconds,
    register,
    report_all,
    run_batches,
    run_to_shards,
    storage_bytes,
    use_instance,
)
from benchmarks.pipeline_overhead.project import (
    SMALL,
    add_face_model,
    add_inputs,
    make_project,
    write_clip,
    write_copies,
)
from benchmarks.pipeline_overhead.work import work_per_frame

PAPER_FRAMES = 2000
TINY_FRAMES, TINY_SIZE = 6, 160


def measure_order(scratch: Path, options: argparse.Namespace) -> dict[str, float]:
    """Registration, runs, event log, page and the work on a frame."""
    parameters = SMALL | {"reconstruction_sheets.enabled": False}
    bench = make_project(scratch / "work", parameters | {"machine.workers": 1})
    add_face_model(bench)
    figures = work_per_frame(bench, scratch)
    project = make_project(scratch / "project", parameters)
    project.data().mkdir()
    for stage in ("morphable_model", "landmark_correspondence"):
        bench.data(stage).rename(project.data(stage))
    add_inputs(project)
    write_clip(scratch / "tiny.mp4", project, TINY_FRAMES, TINY_SIZE, rendered=TINY_FRAMES)
    write_copies(scratch / "tiny.mp4", project.data("incoming"), options.videos)
    with use_instance(project) as instance:
        figures |= register(project, instance, options.videos)
        empty = storage_bytes(project)
        batches = project.params.automation.batches_per_run
        videos = min(batches * project.params.raw_videos.videos_per_partition, options.videos)
        run_batches(project, batches)
        figures["event_log_bytes_a_video"] = (storage_bytes(project) - empty) / videos
        runs = [run_batches(project, batches) for _ in range(options.repeats)]
        figures["run_overhead_s"] = min(wall for wall, _ in runs)
        figures["run_overhead_processor_s"] = min(processor for _, processor in runs)
        if options.to_shards:
            figures |= run_to_shards(project)
            # Repeated runs of the first batches are in it, as they are in a project that lives.
            figures["event_log_bytes_a_video"] = (storage_bytes(project) - empty) / options.videos
        else:
            report_all(project, instance)
        figures |= page_seconds(project, options.chromium, options.picture)
    registered = figures[f"register_{options.videos}_s"] / options.videos
    workers = project.workers
    work = PAPER_FRAMES * figures["work_ms_a_frame"] / 1000
    figures["overhead_s_a_video"] = registered + figures["run_overhead_s"] / videos
    figures["overhead_share"] = figures["overhead_s_a_video"] / (work / workers)
    figures["overhead_processor_share"] = figures["run_overhead_processor_s"] / videos / work
    return figures | {"workers": workers, "videos_a_run": videos, "work_s_a_video": work}


def measure_cluster(scratch: Path, options: argparse.Namespace) -> dict[str, float]:
    """Speed-up and survival on Ray."""
    parameters = SMALL | {"machine.workers": 1}
    figures: dict[str, float] = {}
    if options.ray:
        project = make_project(scratch / "speed", parameters)
        add_face_model(project)
        add_clips(project, scratch, options.clips, options.frames)
        figures |= speed_up(project, options.repeats)
    if options.kills:
        project = make_project(scratch / "kills", parameters)
        add_face_model(project)
        add_clips(project, scratch, options.clips, options.frames // 4)
        figures |= survive(project, options.kills, options.seed)
    return figures


def main() -> None:
    """Measure, print, write the JSON file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline_overhead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, help="write the figures as one flat JSON object")
    parser.add_argument("--videos", type=int, default=6000)
    parser.add_argument("--repeats", type=int, default=3, help="of what is timed")
    parser.add_argument("--chromium", default=installed_chromium(), help="the browser that loads the page")
    parser.add_argument("--picture", type=Path, help="where to put a picture of the page")
    parser.add_argument("--to-shards", action="store_true", help="work on all videos, up to training shards")
    parser.add_argument("--ray", action="store_true", help="measure the speed-up on Ray")
    parser.add_argument("--kills", type=int, default=0, help="how often to kill something")
    parser.add_argument("--clips", type=int, default=16, help="for Ray")
    parser.add_argument("--frames", type=int, default=800, help="of each; a quarter of them for --kills")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and victims of --kills")
    parser.add_argument("--no-order", dest="order", action="store_false", help="measure on Ray alone")
    options = parser.parse_args()
    figures: dict[str, float] = {"load_average": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        if options.order:
            figures |= measure_order(Path(folder), options)
        figures |= measure_cluster(Path(folder), options)
    for name, value in figures.items():
        print(f"{name:32} {value:.4g}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
