"""The embedded synthetic FaceVid: rendered videos of heads that nobody owns, with the truth kept apart."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pandas as pd

from assets.batches import is_current, stamp
from assets.morphable_model import model_path, no_synthetic_heads
from assets.params import SyntheticFaceVid
from assets.pool import each
from assets.stage import SKIPPED, StageResult, WorkspaceResource, main, materialise, skipped
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.storage import written_whole

STAGE = "synthetic_facevid"
_PARTS = ("videos", "truth")


@dataclass(frozen=True)
class RenderJob:
    """One video to render."""

    video: Path
    truth: Path
    model: Path
    settings: SyntheticFaceVid
    person: int
    clip: int
    fingerprint: str

    def __str__(self) -> str:
        return self.video.name


def render_synthetic_facevid(workspace: Workspace) -> StageResult:
    """Render the videos that are not there yet; list who is in which."""
    if reason := no_synthetic_heads(workspace):
        result = skipped(workspace, STAGE, reason)
        # DVC asks for the folders that later stages read.
        for part in _PARTS:
            skipped(workspace, STAGE, reason, part)
        return result
    for part in ("", *_PARTS):
        workspace.data(STAGE, part, SKIPPED).unlink(missing_ok=True)
    settings = workspace.params.synthetic_facevid
    fingerprint = workspace.fingerprint(STAGE)
    jobs = [
        RenderJob(
            video=workspace.data(STAGE, "videos", f"person{person:03d}_clip{clip}.mp4"),
            truth=truth_path(workspace, f"person{person:03d}_clip{clip}"),
            model=model_path(workspace),
            settings=settings,
            person=person,
            clip=clip,
            fingerprint=fingerprint,
        )
        for person in range(settings.people)
        for clip in range(settings.clips_per_person)
    ]
    for folder in {jobs[0].video.parent, jobs[0].truth.parent}:
        _remove_others(folder, {job.video.name for job in jobs} | {job.truth.name for job in jobs})
    missing = [job for job in jobs if not (job.video.exists() and is_current(job.truth, job.fingerprint))]
    for _, outcome in each(render_one, missing, workspace.workers, "rendering"):
        if isinstance(outcome, DeepExp3DError):
            raise outcome
    rows = [{"file": job.video.name, "subject": f"synthetic-{job.person:03d}", "licence": "CC0-1.0"} for job in jobs]
    with written_whole(workspace.data(STAGE, "videos", "subjects.csv")) as path:
        pd.DataFrame(rows).to_csv(path, index=False)
    return StageResult(
        {
            "data": "synthetic",
            "videos": len(jobs),
            "people": settings.people,
            "frames": len(jobs) * settings.video.frames,
            "rendered now": len(missing),
        }
    )


def render_one(job: RenderJob) -> None:
    """Render one video and, last, the truth, whose stamp marks both as finished."""
    from models.morphable_model import MorphableModel
    from models.rendering.synthetic_video import render_video, synthesise_video

    settings = job.settings
    video = synthesise_video(MorphableModel.load(job.model), job.person, job.clip, settings.seed, settings.video)
    render_video(video, job.video, job.truth)
    stamp(job.truth, job.fingerprint)


def truth_path(workspace: Workspace, name: str) -> Path:
    """True parameters of a synthetic video, for evaluation only; nothing upstream of a report may read them."""
    return workspace.data(STAGE, "truth", f"{name}.npz")


def _remove_others(folder: Path, names: set[str]) -> None:
    for file in folder.glob("person*"):
        if file.name not in names:
            file.unlink()


@dg.asset(name=STAGE, group_name="facevid", deps=["morphable_model"], kinds={"numba", "video", "dvc"})
def synthetic_facevid(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Rendered videos: random people, sparse correlated expression, head motion, light, skin, occluders, blur, noise.

    They let everything downstream run, and be measured against known truth, where no footage is at hand. The same
    seed gives the same videos.
    """
    return materialise(context, workspace, render_synthetic_facevid)


if __name__ == "__main__":
    main(STAGE, render_synthetic_facevid)
