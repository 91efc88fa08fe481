"""Small rendered sets in the publishers' layouts: what the emotion benchmarks run on where nobody has the real ones."""

import shutil
from pathlib import Path

import dagster as dg

from assets.morphable_model import load_model, no_synthetic_heads
from assets.stage import SKIPPED, StageResult, WorkspaceResource, dataset_folder, main, materialise, skipped
from assets.workspace import Workspace

STAGE = "rendered_benchmarks"


def render_benchmarks(workspace: Workspace) -> StageResult:
    """Write a folder for each set of Table I, in its publisher's layout, with a file that says that it is rendered."""
    from models.emotion.datasets import read_dataset
    from models.emotion.datasets.rendered_layouts import RenderedLayoutSettings, write_rendered_dataset

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
        counts[name] = len(read_dataset(name, folder).photographs)
    return StageResult({"data": "synthetic", **{f"{name} images": count for name, count in counts.items()}})


def dataset_root(workspace: Workspace, dataset: str) -> Path | None:
    """Where a set lies: in `data/datasets` where its user has put it, else its rendered stand-in, else nowhere."""
    if (folder := dataset_folder(workspace, dataset)) is not None:
        return folder
    rendered = workspace.data(STAGE, dataset)
    return rendered if rendered.is_dir() and not workspace.data(STAGE, SKIPPED).exists() else None


@dg.asset(name=STAGE, group_name="emotion", deps=["morphable_model"], kinds={"dvc"})
def rendered_benchmarks(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """RaFD, KDEF, RAF-DB, CFEE and CK+ as their publishers lay them out, with a few rendered people.

    Every reader, protocol and table can be tried on them. They are labelled synthetic wherever they show, and a set at
    `data/datasets` takes the place of its stand-in.
    """
    return materialise(context, workspace, render_benchmarks)


if __name__ == "__main__":
    main(STAGE, render_benchmarks)
