"""Small rendered sets in the publishers' layouts: what benchmarks run on where the real sets are not at hand."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg

from assets.morphable_model import model_path, no_synthetic_heads
from assets.params import RenderedBenchmarks
from assets.pool import each
from assets.stage import SKIPPED, StageResult, WorkspaceResource, dataset_folder, main, materialise, skipped
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.rendering.settings import SyntheticVideoSettings

STAGE = "rendered_benchmarks"
STRESS = "srd15"


@dataclass(frozen=True)
class RenderJob:
    """One set to render, with so many people; `video` is how those of the stress set are made."""

    name: str
    folder: Path
    model: Path
    people: int
    settings: RenderedBenchmarks
    video: SyntheticVideoSettings

    def __str__(self) -> str:
        return f"rendered {self.name}"


def render_benchmarks(workspace: Workspace) -> StageResult:
    """Write a folder for each set of Table I, in its publisher's layout, with a file that says that it is rendered."""
    settings = workspace.params.rendered_benchmarks
    if not settings.people:
        return skipped(workspace, STAGE, "skipped: rendered_benchmarks.people is empty in params.yaml")
    if reason := no_synthetic_heads(workspace):
        return skipped(workspace, STAGE, reason)
    shutil.rmtree(workspace.data(STAGE), ignore_errors=True)
    counts = {}
    # Processes take a while to begin: each does whole sets, the longest, that of stress, first.
    for job, outcome in each(render_set, _jobs(workspace), workspace.workers, "rendered sets"):
        if isinstance(outcome, DeepExp3DError):
            raise outcome
        counts[job.name] = outcome
    kinds = {name: "videos" if name == STRESS else "images" for name in counts}
    return StageResult({"data": "synthetic"} | {f"{name} {kinds[name]}": counts[name] for name in sorted(counts)})


def render_set(job: RenderJob) -> int:
    """Render one set; returns how many photographs or videos its reader finds in it."""
    from models.emotion.datasets import read_dataset
    from models.emotion.datasets.rendered_layouts import RenderedLayoutSettings, write_rendered_dataset
    from models.emotion.rendered_stress_set import write_rendered_stress_set
    from models.emotion.stress_videos import read_manifest
    from models.morphable_model import MorphableModel

    model, seed = MorphableModel.load(job.model), job.settings.seed
    if job.name == STRESS:
        write_rendered_stress_set(job.folder, model, people=job.people, seed=seed, settings=job.video)
        return len(read_manifest(job.folder))
    layout = RenderedLayoutSettings(studio=job.settings.studio, wild=job.settings.wild)
    write_rendered_dataset(job.name, job.folder, model, people=job.people, seed=seed, settings=layout)
    return len(read_dataset(job.name, job.folder).photographs)


def _jobs(workspace: Workspace) -> list[RenderJob]:
    settings = workspace.params.rendered_benchmarks
    people, video = settings.people, workspace.params.synthetic_facevid.video
    if settings.stress is not None:
        people = {STRESS: settings.stress.people} | people
        video = replace(video, frames=settings.stress.frames)
    return [
        RenderJob(name, workspace.data(STAGE, name), model_path(workspace), number, settings, video)
        for name, number in people.items()
    ]


def dataset_root(workspace: Workspace, dataset: str) -> Path | None:
    """Where a set lies: in `data/datasets` where its user has put it, else its rendered stand-in, else nowhere."""
    if (folder := dataset_folder(workspace, dataset)) is not None:
        return folder
    rendered = workspace.data(STAGE, dataset)
    return rendered if rendered.is_dir() and not workspace.data(STAGE, SKIPPED).exists() else None


@dg.asset(name=STAGE, group_name="emotion", deps=["morphable_model"], kinds={"dvc"})
def rendered_benchmarks(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """RaFD, KDEF, RAF-DB, CFEE, CK+ and SRD'15 as their publishers lay them out, with a few rendered people.

    Every reader, protocol and table can be tried on them. They are labelled synthetic wherever they show, and a set at
    `data/datasets` takes the place of its stand-in.
    """
    return materialise(context, workspace, render_benchmarks)


if __name__ == "__main__":
    main(STAGE, render_benchmarks)
