"""Networks for colour, depth and their fusion."""

import dagster as dg

from assets.stage import StageResult, WorkspaceResource, main, materialise, skip
from assets.workspace import Workspace

STAGE = "rgbd_networks"


def train_rgbd_networks(workspace: Workspace) -> StageResult:
    """Say what is needed: the scans."""
    return skip(workspace, STAGE, "BU-3DFE", "bu3dfe")


@dg.asset(name=STAGE, group_name="rgbd", deps=["depth_maps"], kinds={"dvc"})
def rgbd_networks(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """PL-depth, PL-RGB with ResNet-50 and VGG-19, and PL-fusion."""
    return materialise(context, workspace, train_rgbd_networks)


if __name__ == "__main__":
    main(STAGE, train_rgbd_networks)
