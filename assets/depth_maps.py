"""Depth maps registered to the images by mutual information."""

import dagster as dg

from assets.stage import StageResult, WorkspaceResource, main, materialise, skip
from assets.workspace import Workspace

STAGE = "depth_maps"


def make_depth_maps(workspace: Workspace) -> StageResult:
    """Say what is needed: the scans."""
    return skip(workspace, STAGE, "BU-3DFE", "bu3dfe")


@dg.asset(name=STAGE, group_name="rgbd", deps=["bu3dfe_scans"], kinds={"dvc"})
def depth_maps(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Range images of the scans, registered to their photographs by maximisation of mutual information."""
    return materialise(context, workspace, make_depth_maps)


if __name__ == "__main__":
    main(STAGE, make_depth_maps)
