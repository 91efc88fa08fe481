"""What a frame costs, without any order to be kept."""

import shutil
import time
from pathlib import Path

from assets.landmarks import detect_landmarks
from assets.pool import compute_in_one_thread
from assets.raw_videos import describe_raw_videos
from assets.reconstructions import fit_reconstructions
from assets.tracked_landmarks import track_landmarks
from assets.workspace import Workspace
from benchmarks.pipeline_overhead.project import write_clip

FRAMES, SIZE = 300, 256
STAGES = {"landmarks": detect_landmarks, "tracked_landmarks": track_landmarks, "reconstructions": fit_reconstructions}


def work_per_frame(workspace: Workspace, scratch: Path, repeats: int = 3) -> dict[str, float]:
    """Least processor milliseconds that a frame of one rendered clip takes in each stage, once its program is loaded.

    Parameters
    ----------
    workspace : a project with a face model, one worker and no video
    scratch : folder for the clip
    repeats : of the whole
    """
    compute_in_one_thread()
    clip = scratch / "clip.mp4"
    write_clip(clip, workspace, FRAMES, SIZE, rendered=60)
    workspace.data("incoming").mkdir(parents=True)
    shutil.copy(clip, workspace.data("incoming"))
    describe_raw_videos(workspace)
    least: dict[str, float] = {}
    # The first time loads networks and compiles.
    for _ in range(repeats + 1):
        for name, stage in STAGES.items():
            shutil.rmtree(workspace.data(name), ignore_errors=True)
            begin = time.process_time()
            stage(workspace)
            cost = 1000 * (time.process_time() - begin) / FRAMES
            least[f"{name}_ms_a_frame"] = min(least.get(f"{name}_ms_a_frame", cost), cost)
    return least | {"work_ms_a_frame": sum(least.values())}
