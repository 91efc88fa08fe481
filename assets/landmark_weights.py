"""Weights of the landmark detectors."""

import shutil
from pathlib import Path

import dagster as dg
import pandas as pd

from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.packages import sha256_of
from models.storage import written_whole

STAGE = "landmark_weights"


def fetch_landmark_weights(workspace: Workspace) -> StageResult:
    """Copy the default backend's weights out of their pinned packages, hash-checked."""
    from models.landmarks.weights import detector_weights

    rows = []
    for weight in detector_weights():
        target = weights_folder(workspace) / weight.path.name
        with written_whole(target) as path:
            shutil.copyfile(weight.path, path)
        rows.append(
            {"file": target.name, "sha256": sha256_of(target), "licence": weight.licence, "from": weight.package}
        )
    return StageResult({"backend": workspace.params.landmarks.backend, "files": pd.DataFrame(rows)})


def weights_folder(workspace: Workspace) -> Path:
    return workspace.data(STAGE)


@dg.asset(name=STAGE, group_name="face_model", kinds={"tflite", "dvc"})
def landmark_weights(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Weights of the face detector and of the 478-point landmark model, Apache-2.0, checked against their SHA-256."""
    return materialise(context, workspace, fetch_landmark_weights)


if __name__ == "__main__":
    main(STAGE, fetch_landmark_weights)
