"""Expression of the same moment from several angles (section IV-A)."""

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd
from tqdm import tqdm

from assets.rendered_benchmarks import dataset_root
from assets.stage import FOLLOWS_ITS_INPUTS, StageResult, WorkspaceResource, main, materialise, skipped
from assets.workspace import Workspace
from models.emotion.view_invariance import SETS
from models.errors import DatasetError
from models.storage import written_whole

if TYPE_CHECKING:
    from models.emotion.view_evaluation import ViewEvaluation
    from models.expression.predictor import Predictor

log = logging.getLogger(__name__)

STAGE = "view_invariance"


def measure_view_invariance(workspace: Workspace) -> StageResult:
    """Compare turned with frontal photographs in the sets that are there, or in their rendered stand-ins.

    Without any, say where they belong.
    """
    from models.emotion.view_evaluation import PICTURE, draw_views, write_coefficients
    from models.expression.predictor import Predictor

    roots = {name: root for name in SETS if (root := dataset_root(workspace, name)) is not None}
    if not roots:
        places = " or ".join(f"{title} at data/datasets/{name}" for name, title in SETS.items())
        return skipped(workspace, STAGE, f"skipped: put {places} (see docs/datasets.md)")
    predictor = Predictor.load(workspace.data("champion"), features_only=True)
    evaluations, refused = {}, {}
    for name, root in roots.items():
        try:
            evaluations[name] = _evaluated(workspace, name, root, predictor)
        except DatasetError as error:
            # One set that is not what it should be must not take the other's figures with it.
            log.warning("%s", error)
            refused[name] = str(error)
    if not evaluations:
        raise DatasetError("; ".join(refused.values()))
    folder = workspace.data(STAGE)
    # Tables of a set that has gone must not stay.
    shutil.rmtree(folder, ignore_errors=True)
    with written_whole(folder / "metrics.json") as path:
        path.write_text(json.dumps({name: one.to_json() for name, one in evaluations.items()}, indent=1) + "\n")
    for name, one in evaluations.items():
        write_coefficients(one.result, folder / f"coefficients_{name}.csv")
    draw_views(list(evaluations.values()), folder / PICTURE)
    rows = [
        {
            "set": SETS[name],
            "angle": view.view,
            "pairs": view.pairs,
            "MSE, std^2": view.mse,
            "of e's variance": view.share,
        }
        for name, one in evaluations.items()
        for view in one.result.views
    ]
    return StageResult(
        {
            "data": "synthetic" if any(one.synthetic for one in evaluations.values()) else "real",
            "by angle": pd.DataFrame(rows),
            "MSE by angle": folder / PICTURE,
            **{f"{SETS[name]} was refused": reason for name, reason in refused.items()},
        }
    )


def _evaluated(workspace: Workspace, name: str, root: Path, predictor: "Predictor") -> "ViewEvaluation":
    """The figures of one set, as `deepexp3d evaluate` computes them."""
    from models.emotion.view_evaluation import evaluate_views

    def progress(items, part, total):
        return tqdm(items, desc=f"{SETS[name]}: {part}", total=total, unit="image", mininterval=1.0)

    return evaluate_views(
        name,
        root,
        predictor=predictor,
        cache=workspace.scratch(STAGE, "landmarks") / f"{name}.npz",
        workers=workspace.workers,
        progress=progress,
    )


@dg.asset(
    name=STAGE,
    group_name="emotion",
    deps=["champion", "rendered_benchmarks"],
    kinds={"onnx", "dvc"},
    automation_condition=FOLLOWS_ITS_INPUTS,
)
def view_invariance(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Mean squared difference of e between turned and frontal photographs of one moment, by angle; the paper states
    0.008 for semi-profiles of RaFD.

    Runs on RaFD and KDEF, each of which rendered people stand in for where it is absent.
    """
    return materialise(context, workspace, measure_view_invariance)


if __name__ == "__main__":
    main(STAGE, measure_view_invariance)
