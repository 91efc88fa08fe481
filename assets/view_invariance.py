"""Expression of the same moment from two angles (section IV-A)."""

import dagster as dg

from assets.stage import StageResult, WorkspaceResource, main, materialise, skip
from assets.workspace import Workspace

STAGE = "view_invariance"


def measure_view_invariance(workspace: Workspace) -> StageResult:
    """Say what is needed: pairs of views of one moment."""
    return skip(workspace, STAGE, "RaFD or KDEF", "rafd")


@dg.asset(name=STAGE, group_name="emotion", deps=["deepexp3d_export"], kinds={"dvc"})
def view_invariance(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Mean squared difference of e between semi-profile and frontal pictures of one moment; the paper states 0.008."""
    return materialise(context, workspace, measure_view_invariance)


if __name__ == "__main__":
    main(STAGE, measure_view_invariance)
