"""The network for users: ONNX with its contract inside, and a version in the model registry."""

import json
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd

from assets import experiments
from assets.deepexp3d import only_synthetic
from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.expression.alignment import IMAGE_SIZE
from models.expression.contract import NetworkContract
from models.storage import written_whole

STAGE = "deepexp3d_export"


def export_deepexp3d(workspace: Workspace) -> StageResult:
    """Export the better of the two networks, check it against the original, and register it as challenger."""
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
    with experiments.training_run(workspace, STAGE, synthetic=synthetic, parameters=settings.model_dump()) as run:
        version = _register(workspace, path, contract, facts)
        link = experiments.run_link(workspace, run)
    return StageResult(
        {
            "exported": chosen,
            "test MSE": pd.DataFrame({"network": list(errors), "MSE": list(errors.values())}),
            "largest difference from torch, standard deviations": difference,
            "size, MB": facts["megabytes"],
            "registered version": version,
            "MLflow run": link,
        }
    )


def errors_on_test_people(workspace: Workspace) -> dict[str, float]:
    """MSE on the test people against the whole-video fits, before and after fine-tuning."""
    errors = pd.read_csv(workspace.data("expression_evaluation", "errors.csv"))
    against = errors[errors.against == "whole-video fit"].set_index("method").mse
    return {name: float(against[name]) for name in ("deepexp3d", "deepexp3d_finetuned")}


def _register(workspace: Workspace, path: Path, contract: NetworkContract, facts: dict) -> int:
    """Log the ONNX model with an input example and register it; returns the version."""
    import mlflow
    import onnx

    from models.expression.runtime import IMAGE_INPUT, LANDMARK_INPUT

    image = np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    landmarks = contract.template[None].astype(np.float32)
    example = {IMAGE_INPUT: image, LANDMARK_INPUT: landmarks} if contract.landmark_input else image
    signature = mlflow.models.infer_signature(example, np.zeros((1, len(contract.expression_std)), np.float32))
    mlflow.log_metrics({f"test_mse/{name}": value for name, value in facts["test_mse"].items()})
    mlflow.log_artifact(str(workspace.data("expression_evaluation", "expressions.jpg")))
    model = mlflow.onnx.log_model(
        onnx.load(path),
        name="network",
        signature=signature,
        input_example=example,
        # Left to itself MLflow would load the model in a process of its own to find these out.
        pip_requirements=["onnx", "onnxruntime", "numpy"],
    )
    tags = {"exported": facts["exported"], "backbone": facts["backbone"], "trained_on": facts["trained_on"]}
    return experiments.register(mlflow, workspace.params.deepexp3d_export.registered_name, model.model_uri, tags)


@dg.asset(
    name=STAGE,
    group_name="expression",
    deps=["deepexp3d", "deepexp3d_finetuned", "expression_evaluation"],
    kinds={"onnx", "mlflow"},
)
def deepexp3d_export(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """`network.onnx`: image in, 28 coefficients out, with template, units and names in its metadata.

    The better of the trained and the fine-tuned network on the test people; registered in MLflow as `challenger`, the
    first version as `champion` too.
    """
    return materialise(context, workspace, export_deepexp3d)


if __name__ == "__main__":
    main(STAGE, export_deepexp3d)
