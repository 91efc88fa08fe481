"""3D scans with texture of BU-3DFE."""

import dagster as dg

from assets.stage import StageResult, WorkspaceResource, main, materialise, skip
from assets.workspace import Workspace

STAGE = "bu3dfe_scans"


def read_scans(workspace: Workspace) -> StageResult:
    """Say what is needed: the scans."""
    return skip(workspace, STAGE, "BU-3DFE", "bu3dfe")


@dg.asset(name=STAGE, group_name="rgbd", deps=[], kinds={"dvc"})
def bu3dfe_scans(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Scans, images and landmarks of 100 people, six expressions at four intensities."""
    return materialise(context, workspace, read_scans)


if __name__ == "__main__":
    main(STAGE, read_scans)
