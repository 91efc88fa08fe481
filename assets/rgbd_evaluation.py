"""Tables 1 and 2 of the fusion paper."""

import dagster as dg

from assets.stage import StageResult, WorkspaceResource, main, materialise, skip
from assets.workspace import Workspace

STAGE = "rgbd_evaluation"


def evaluate_rgbd(workspace: Workspace) -> StageResult:
    """Say what is needed: the scans."""
    return skip(workspace, STAGE, "BU-3DFE", "bu3dfe")


@dg.asset(name=STAGE, group_name="rgbd", deps=["rgbd_networks"], kinds={"dvc"})
def rgbd_evaluation(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """200 repeats of the 54/6 protocol on 60 people, and the comparison with other methods."""
    return materialise(context, workspace, evaluate_rgbd)


if __name__ == "__main__":
    main(STAGE, evaluate_rgbd)
