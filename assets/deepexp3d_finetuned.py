"""DeepExp3D, fine-tuned on scans with true expression (section III-C)."""

import shutil

import dagster as dg

from assets.stage import StageResult, WorkspaceResource, main, materialise, skip_reason
from assets.training import TRAINING_POOL, train_stage
from assets.workspace import Workspace

STAGE = "deepexp3d_finetuned"


def finetune_deepexp3d(workspace: Workspace) -> StageResult:
    """Fine-tune the regressor on 4DFAB, or on synthetic scans where there is none; without either, leave it."""
    if reason := skip_reason(workspace, "four_dfab_samples"):
        return _as_it_was(workspace, reason)
    return train_stage(
        workspace,
        STAGE,
        workspace.params.deepexp3d_finetuned,
        synthetic=True,
    )


def _as_it_was(workspace: Workspace, reason: str) -> StageResult:
    """The network of `deepexp3d` itself, for all that asks for a fine-tuned one."""
    target = workspace.data(STAGE)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(workspace.data("deepexp3d"), target, ignore=shutil.ignore_patterns("checkpoints", ".*"))
    return StageResult({"status": f"not fine-tuned, this is deepexp3d itself: {reason}"})


@dg.asset(
    name=STAGE,
    group_name="expression",
    deps=["deepexp3d", "four_dfab_samples", "morphable_model"],
    kinds={"pytorch", "lightning", "mlflow"},
    pool=TRAINING_POOL,
)
def deepexp3d_finetuned(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """The regressor after fine-tuning on scans, so that it does not learn the habits of the landmark fit."""
    return materialise(context, workspace, finetune_deepexp3d)


if __name__ == "__main__":
    main(STAGE, finetune_deepexp3d)
