"""Small rendered sets in the publishers' layouts: what benchmarks run on where the real sets are not at hand."""

import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg

from assets.morphable_model import load_model, no_synthetic_heads
from assets.stage import SKIPPED, StageResult, WorkspaceResource, dataset_folder, main, materialise, skipped
from assets.workspace import Workspace

STAGE = "rendered_benchmarks"
STRESS = "srd15"


def render_benchmarks(workspace: Workspace) -> StageResult:
    """Write a folder for each set of Table I, in its publisher's layout, with a file that says that it is rendered."""
    from models.emotion.datasets import read_dataset
    from models.emotion.datasets.rendered_layouts import RenderedLayoutSettings, write_rendered_dataset
    from models.emotion.rendered_stress_set import write_rendered_stress_set
    from models.emotion.stress_videos import read_manifest

    settings = workspace.params.rendered_benchmarks
    if not settings.people:
        return skipped(workspace, STAGE, "skipped: rendered_benchmarks.people is empty in params.yaml")
    if reason := no_synthetic_heads(workspace):
        return skipped(workspace, STAGE, reason)
    model = load_model(workspace)
    layout = RenderedLayoutSettings(studio=settings.studio, wild=settings.wild)
    shutil.rmtree(workspace.data(STAGE), ignore_errors=True)
    counts = {}
    for name, people in settings.people.items():
        folder = workspace.data(STAGE, name)
        write_rendered_dataset(
            name, folder, model, people=people, seed=settings.seed, settings=layout, workers=workspace.workers
        )
        counts[f"{name} images"] = len(read_dataset(name, folder).photographs)
    if settings.stress is not None:
        video = replace(workspace.params.synthetic_facevid.video, frames=settings.stress.frames)
        folder = workspace.data(STAGE, STRESS)
        write_rendered_stress_set(folder, model, people=settings.stress.people, seed=settings.seed, settings=video)
        counts[f"{STRESS} videos"] = len(read_manifest(folder))
    return StageResult({"data": "synthetic", **counts})


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
