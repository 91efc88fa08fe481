"""Stress from facial video (section IV-B, Table IV)."""

import dagster as dg

from assets.stage import StageResult, WorkspaceResource, main, materialise, skip
from assets.workspace import Workspace

STAGE = "stress_detection"


def detect_stress(workspace: Workspace) -> StageResult:
    """Say what is needed: the set is not at hand, and its protocol is not part of this release."""
    return skip(workspace, STAGE, "SRD'15", "srd15")


@dg.asset(name=STAGE, group_name="emotion", deps=["deepexp3d_export"], kinds={"dvc"})
def stress_detection(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Stress detection on SRD'15, 5 folds by subject, 10 repeats; skipped until a release holds its protocol."""
    return materialise(context, workspace, detect_stress)


if __name__ == "__main__":
    main(STAGE, detect_stress)
