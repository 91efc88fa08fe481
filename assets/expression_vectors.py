"""Expression of every benchmark image: the features of the emotion classifier (section III-D)."""

import sys

import dagster as dg
import pandas as pd
from tqdm import tqdm

from assets.benchmark_images import benchmarks
from assets.stage import SKIPPED, StageResult, WorkspaceResource, main, materialise, skip_reason, skipped
from assets.workspace import Workspace
from models.storage import written_whole

STAGE = "expression_vectors"


def predict_expression_vectors(workspace: Workspace, benchmark: str) -> StageResult:
    """Run landmarks, alignment and DeepExp3D on every image; an image without a face keeps a row without numbers."""
    from models.expression.images import read_image
    from models.expression.predictor import Predictor

    if reason := skip_reason(workspace, "benchmark_images", benchmark):
        return skipped(workspace, STAGE, reason, benchmark)
    images = pd.read_parquet(workspace.data("benchmark_images", benchmark, "images.parquet"))
    predictor = Predictor.load(workspace.data("deepexp3d_export"), features_only=True)
    rows = []
    for row in tqdm(
        images.itertuples(), total=len(images), desc=f"{benchmark}: expression", unit="image", mininterval=1.0
    ):
        faces = predictor(read_image(workspace.path(row.path)))
        # The largest face is the one that the label speaks of.
        values = faces[0].expression_whitened if faces else [float("nan")] * predictor.expression_size
        rows.append(
            {"path": row.path, "subject": row.subject, "label": row.label}
            | {f"e_{place:02d}": float(value) for place, value in enumerate(values)}
        )
    table = pd.DataFrame(rows)
    folder = workspace.data(STAGE, benchmark)
    (folder / SKIPPED).unlink(missing_ok=True)
    with written_whole(folder / "vectors.parquet") as path:
        table.to_parquet(path)
    without = table[table.filter(like="e_").isna().any(axis=1)]
    return StageResult(
        {
            "data": "synthetic" if benchmark == "synthetic" else "real",
            "images": len(table),
            "without a face": len(without),
            "faces not found in": without[["path"]],
        }
    )


@dg.asset(
    name=STAGE,
    group_name="emotion",
    partitions_def=benchmarks,
    deps=["benchmark_images", "deepexp3d_export"],
    kinds={"onnx", "dvc"},
)
def expression_vectors(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """28 expression coefficients of every image, in standard deviations, by the exported network."""
    benchmark = context.partition_key
    return materialise(context, workspace, predict_expression_vectors, benchmark, stage=f"{STAGE}@{benchmark}")


if __name__ == "__main__":
    main(STAGE, predict_expression_vectors, sys.argv[1])
