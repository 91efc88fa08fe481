"""Expression of the same moment from several angles (section IV-A)."""

import json
import logging
import shutil

import dagster as dg
import pandas as pd
from tqdm import tqdm

from assets.rendered_benchmarks import dataset_root
from assets.stage import FOLLOWS_ITS_INPUTS, StageResult, WorkspaceResource, main, materialise, skipped
from assets.workspace import Workspace
from models.errors import DatasetError
from models.storage import written_whole

log = logging.getLogger(__name__)

STAGE = "view_invariance"
# Sets that photograph a moment from several angles at once, by their folders, and what they are called.
SETS = {"rafd": "RaFD", "kdef": "KDEF"}


def measure_view_invariance(workspace: Workspace) -> StageResult:
    """Compare turned with frontal photographs in the sets that are there, or in their rendered stand-ins.

    Without any, say where they belong.
    """
    from models.emotion.view_invariance import view_figure
    from models.expression.predictor import Predictor

    roots = {name: root for name in SETS if (root := dataset_root(workspace, name)) is not None}
    if not roots:
        places = " or ".join(f"{title} at data/datasets/{name}" for name, title in SETS.items())
        return skipped(workspace, STAGE, f"skipped: put {places} (see docs/datasets.md)")
    predictor = Predictor.load(workspace.data("champion"), features_only=True)
    results, metrics, refused = {}, {}, {}
    for name, root in roots.items():
        try:
            results[name], metrics[name] = _compared(workspace, name, root, predictor)
        except DatasetError as error:
            # One set that is not what it should be must not take the other's figures with it.
            log.warning("%s", error)
            refused[name] = str(error)
    if not results:
        raise DatasetError("; ".join(refused.values()))
    folder = workspace.data(STAGE)
    # Tables of a set that has gone must not stay.
    shutil.rmtree(folder, ignore_errors=True)
    with written_whole(folder / "metrics.json") as path:
        path.write_text(json.dumps(metrics, indent=1) + "\n")
    for name, result in results.items():
        columns = {f"{view.view:+.0f}": view.coefficients for view in result.views}
        table = pd.DataFrame(columns).rename_axis("coefficient")
        with written_whole(folder / f"coefficients_{name}.csv") as path:
            table.to_csv(path)
    picture = folder / "views.png"
    with written_whole(picture) as path:
        names = {name: f"{SETS[name]} (synthetic)" if metrics[name]["synthetic"] else SETS[name] for name in results}
        view_figure({names[name]: result for name, result in results.items()}).savefig(path, dpi=110)
    rows = [
        {
            "set": SETS[name],
            "angle": view.view,
            "pairs": view.pairs,
            "MSE, std^2": view.mse,
            "of e's variance": view.share,
        }
        for name, result in results.items()
        for view in result.views
    ]
    return StageResult(
        {
            "data": "synthetic" if any(one["synthetic"] for one in metrics.values()) else "real",
            "by angle": pd.DataFrame(rows),
            "MSE by angle": picture,
            **{f"{SETS[name]} was refused": reason for name, reason in refused.items()},
        }
    )


def _compared(workspace: Workspace, name: str, root, predictor) -> tuple:
    """The result for one set, and its part of `metrics.json`."""
    from models.emotion.datasets import read_dataset
    from models.emotion.detections import detect_photographs
    from models.emotion.features import FeatureSources, compute_features
    from models.emotion.view_invariance import compare_views

    def progress(items, part, total):
        return tqdm(items, desc=f"{SETS[name]}: {part}", total=total, unit="image", mininterval=1.0)

    contents = read_dataset(name, root)
    detections = detect_photographs(
        [photograph.path for photograph in contents.photographs],
        cache=workspace.scratch(STAGE, "landmarks") / f"{name}.npz",
        threads=workspace.workers,
        progress=progress,
    )
    sources = FeatureSources(predictor=predictor, workers=workspace.workers)
    table = compute_features("deepexp3d", contents.photographs, detections, sources, progress=progress)
    result = compare_views(contents.photographs, table.values)
    return result, result.to_json() | {"synthetic": contents.synthetic, "problems": list(contents.problems)}


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
