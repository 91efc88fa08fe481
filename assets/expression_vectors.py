"""Expression of every benchmark image: the features of the emotion classifier (section III-D)."""

import sys
from collections.abc import Iterable
from functools import partial

import dagster as dg
import numpy as np
import pandas as pd
from tqdm import tqdm

from assets.benchmark_images import benchmarks, load_benchmark
from assets.stage import (
    FOLLOWS_ITS_INPUTS,
    SKIPPED,
    StageResult,
    WorkspaceResource,
    main,
    materialise,
    skip_reason,
    skipped,
)
from assets.workspace import Workspace
from models.storage import written_whole

STAGE = "expression_vectors"


def predict_expression_vectors(workspace: Workspace, benchmark: str) -> StageResult:
    """Landmarks, alignment and DeepExp3D for every photograph; one without a face keeps a row without numbers."""
    from models.emotion.detections import detect_photographs
    from models.emotion.features import FeatureSources, compute_features
    from models.expression.contract import expression_names
    from models.expression.predictor import Predictor

    if reason := skip_reason(workspace, "benchmark_images", benchmark):
        return skipped(workspace, STAGE, reason, benchmark)
    opened = load_benchmark(workspace, benchmark)
    folder = workspace.data(STAGE, benchmark)
    (folder / SKIPPED).unlink(missing_ok=True)
    progress = partial(_bar, benchmark)
    found = detect_photographs(
        [photograph.path for photograph in opened.photographs], threads=workspace.workers, progress=progress
    )
    predictor = Predictor.load(workspace.data("champion"), features_only=True, threads=workspace.workers)
    sources = FeatureSources(predictor, workers=workspace.workers)
    vectors = compute_features("deepexp3d", opened.photographs, found, sources, progress=progress)
    table = pd.read_parquet(workspace.data("benchmark_images", benchmark, "images.parquet"))
    table[expression_names(predictor.expression_size)] = vectors.values
    with written_whole(folder / "vectors.parquet") as path:
        table.to_parquet(path)
    without = table.loc[~vectors.found, ["path"]]
    return StageResult(
        {
            "data": "synthetic" if opened.contents.synthetic else "real",
            "images": len(table),
            "without a face": len(without),
            "unreadable": len(found.unreadable),
            "faces not found in": without,
        }
    )


def load_vectors(workspace: Workspace, benchmark: str) -> np.ndarray:
    """Vectors (F, n_e) in standard deviations, NaN without a face, of the photographs of `load_benchmark`."""
    return pd.read_parquet(workspace.data(STAGE, benchmark, "vectors.parquet")).filter(like="e_").to_numpy(np.float64)


def _bar(benchmark: str, items: Iterable, name: str, total: int | None) -> Iterable:
    return tqdm(items, total=total, desc=f"{benchmark}: {name}", unit="image", mininterval=1.0)


@dg.asset(
    name=STAGE,
    group_name="emotion",
    partitions_def=benchmarks,
    deps=["benchmark_images", "champion"],
    kinds={"onnx", "dvc"},
    automation_condition=FOLLOWS_ITS_INPUTS,
)
def expression_vectors(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """28 expression coefficients of every image, in standard deviations, by the exported network."""
    benchmark = context.partition_key
    return materialise(context, workspace, predict_expression_vectors, benchmark, stage=f"{STAGE}@{benchmark}")


if __name__ == "__main__":
    main(STAGE, predict_expression_vectors, sys.argv[1])
