"""The network as ONNX, with its contract inside, and what it has learned from."""

import json

import dagster as dg
import pandas as pd

from assets.deepexp3d import only_synthetic
from assets.expression_drift import TRAINING_DATA, training_statistics
from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.storage import written_whole

STAGE = "deepexp3d_export"


def export_deepexp3d(workspace: Workspace) -> StageResult:
    """Export the better of the two networks and check it against the original."""
    from models.expression.export import deviation_from_torch, export_onnx
    from models.expression.network import load_network

    settings = workspace.params.deepexp3d_export
    folder = workspace.data(STAGE)
    errors = errors_on_test_people(workspace)
    chosen = min(errors, key=errors.get)
    path = export_onnx(workspace.data(chosen), folder, opset=settings.opset)
    network, contract = load_network(workspace.data(chosen))
    difference = deviation_from_torch(network, path)
    synthetic = only_synthetic(workspace)
    facts = {
        "exported": chosen,
        "test_mse": errors,
        "backbone": contract.backbone,
        "largest_difference": difference,
        "megabytes": path.stat().st_size / 1e6,
        "trained_on": "synthetic videos" if synthetic else "synthetic and real videos",
    }
    with written_whole(folder / "export.json") as temporary:
        temporary.write_text(json.dumps(facts, indent=1) + "\n")
    training_statistics(workspace).save(folder / TRAINING_DATA)
    return StageResult(
        {
            "exported": chosen,
            "test MSE": pd.DataFrame({"network": list(errors), "MSE": list(errors.values())}),
            "largest difference from torch, standard deviations": difference,
            "size, MB": facts["megabytes"],
        }
    )


def errors_on_test_people(workspace: Workspace) -> dict[str, float]:
    """MSE on the test people against the whole-video fits, before and after fine-tuning."""
    errors = pd.read_csv(workspace.data("expression_evaluation", "errors.csv"))
    against = errors[errors.against == "whole-video fit"].set_index("method").mse
    return {name: float(against[name]) for name in ("deepexp3d", "deepexp3d_finetuned")}


@dg.asset(
    name=STAGE,
    group_name="expression",
    deps=["deepexp3d", "deepexp3d_finetuned", "expression_evaluation", "facevid_splits", "reconstructions"],
    kinds={"onnx", "dvc"},
)
def deepexp3d_export(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """`network.onnx`: image in, 28 coefficients out, with template, units and names in its metadata.

    The better of the trained and the fine-tuned network on the test people. `challenger_review` registers it.
    """
    return materialise(context, workspace, export_deepexp3d)


if __name__ == "__main__":
    main(STAGE, export_deepexp3d)
