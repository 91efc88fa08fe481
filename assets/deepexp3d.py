"""DeepExp3D, trained on FaceVid (section III-C)."""

import dagster as dg
import pandas as pd

from assets.facevid_splits import read_splits
from assets.raw_videos import read_manifest
from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.training import TRAINING_POOL, train_stage
from assets.workspace import Workspace

STAGE = "deepexp3d"


def train_deepexp3d(workspace: Workspace) -> StageResult:
    """Train the regressor on FaceVid and rendered faces; resumes from the last checkpoint of the same training."""
    return train_stage(
        workspace,
        STAGE,
        workspace.params.deepexp3d,
        synthetic=only_synthetic(workspace),
    )


def only_synthetic(workspace: Workspace) -> bool:
    """Whether no real video takes part in training."""
    splits = read_splits(workspace)
    sources = read_manifest(workspace).set_index("video_id").source
    return bool((pd.Series(splits.source_video.map(sources)) == "synthetic").all())


@dg.asset(
    name=STAGE,
    group_name="expression",
    deps=["facevid_shards", "rendered_faces", "morphable_model"],
    kinds={"pytorch", "lightning", "mlflow"},
    pool=TRAINING_POOL,
)
def deepexp3d(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """A residual network from an aligned face to 28 expression coefficients, trained with Lightning.

    Metrics, curves and GPU figures go to MLflow. A killed run goes on from its last checkpoint; several GPUs, precision
    and backbone are set in `params.yaml`.
    """
    return materialise(context, workspace, train_deepexp3d)


if __name__ == "__main__":
    main(STAGE, train_deepexp3d)
