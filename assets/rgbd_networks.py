"""Networks for depth, colour and both (section 4.3 of the fusion paper), trained on everybody."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd
from tqdm import tqdm

from assets.depth_maps import SAMPLES
from assets.experiment_record import ExperimentRecord, experiment_record
from assets.model_registry import CHALLENGER, CHAMPION
from assets.stage import StageResult, WorkspaceResource, main, materialise, skip_reason, skipped
from assets.training import TRAINING_POOL
from assets.workspace import Workspace
from models.storage import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from models.rgbd.backbones import Backbone
    from models.rgbd.network_settings import RgbdHardware
    from models.rgbd.samples import RgbdSamples
    from models.rgbd.training import TrainedPipeline

STAGE = "rgbd_networks"
NETWORK = "network.onnx"


def train_networks(workspace: Workspace) -> StageResult:
    """Train each pipeline on all people's strong expressions, and register it; the evaluation tells how good it is."""
    from models.rgbd.backbones import load_backbone
    from models.rgbd.evaluation import pipeline_inputs
    from models.rgbd.persistence import save_pipeline
    from models.rgbd.pipelines import PIPELINES
    from models.rgbd.protocol import INTENSITIES
    from models.rgbd.samples import RgbdSamples
    from models.rgbd.training import train_pipeline

    if reason := skip_reason(workspace, "depth_maps"):
        return skipped(workspace, STAGE, reason)
    settings = workspace.params.rgbd_networks
    samples = RgbdSamples.load(workspace.data("depth_maps", SAMPLES))
    samples = samples.at(np.isin(samples.intensities, INTENSITIES))
    pipelines = [PIPELINES[name] for name in settings.pipelines]
    folder = workspace.data(STAGE)
    shutil.rmtree(folder, ignore_errors=True)
    hardware = rgbd_hardware(workspace)
    names = dict.fromkeys(name for pipeline in pipelines for name in pipeline.backbones)
    backbones = {
        name: load_backbone(
            name,
            weight_files(workspace).get(name),
            download=settings.download,
            deepexp3d=own_deepexp3d(workspace),
        )
        for name in names
    }
    with experiment_record(
        workspace, STAGE, synthetic=samples.synthetic, parameters=settings.model_dump(mode="json")
    ) as record:
        inputs = pipeline_inputs(
            samples,
            pipelines,
            backbones,
            settings.training,
            cache=feature_folder(workspace),
            hardware=hardware,
            progress=progress_bar,
        )
        trained = {}
        for pipeline in progress_bar(pipelines, STAGE, len(pipelines)):
            network = train_pipeline(
                pipeline,
                inputs,
                samples.labels,
                settings.training,
                seed=settings.seed,
                people=samples.subjects,
                hardware=hardware,
                backbones=backbones,
            )
            save_pipeline(folder / pipeline.name, network, backbones)
            trained[pipeline.name] = network
        curves = folder / "curves.png"
        with written_whole(curves) as path:
            curves_figure(trained).savefig(path, dpi=110)
        rows = [_row(network, inputs, samples, backbones) for network in trained.values()]
        with written_whole(folder / "networks.json") as path:
            path.write_text(json.dumps({"synthetic": samples.synthetic, "networks": rows}, indent=1) + "\n")
        for network in trained.values():
            _log(record, network, inputs, backbones, samples.synthetic)
        for file in (curves, folder / "networks.json"):
            record.log_file(file)
    return StageResult(
        {
            "data": "synthetic" if samples.synthetic else "real",
            "images": len(samples),
            "people": len(np.unique(samples.subjects)),
            "networks": pd.DataFrame(rows).drop(columns="labels"),
            "pretrained weights": ", ".join(f"{name}: {one.label}" for name, one in backbones.items()) or "none needed",
            "curves": curves,
            "MLflow run": record.link,
        }
    )


def rgbd_hardware(workspace: Workspace) -> "RgbdHardware":
    """Where trainings run: the parameters' device, and the machine's number of processes."""
    from models.rgbd.network_settings import RgbdHardware

    settings = workspace.params.rgbd_networks
    return RgbdHardware(device=settings.device, precision=settings.precision, workers=workspace.workers)


def weight_files(workspace: Workspace) -> dict[str, Path]:
    """Pretrained network -> the file of weights that the parameters name for it."""
    named = workspace.params.rgbd_networks.weights
    return {name: workspace.path(file) for name, file in named.items() if file is not None}


def own_deepexp3d(workspace: Workspace) -> Path | None:
    """Folder of the DeepExp3D that goes before the shipped one where ImageNet's weights are not at hand."""
    named = workspace.params.rgbd_networks.deepexp3d
    return None if named is None else workspace.path(named)


def feature_folder(workspace: Workspace) -> Path:
    """Where features of images are kept by hash, and finished repeats of evaluations with what they were made from."""
    return workspace.scratch(STAGE, "features")


def progress_bar(items, name: str, total: int | None):
    """What is gone through, with a bar."""
    return tqdm(items, desc=name, total=total, mininterval=1.0)


def curves_figure(trained: Mapping[str, "TrainedPipeline"]) -> "Figure":
    """Loss of the training images over the epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    for network in trained.values():
        axes.plot(range(1, network.epochs + 1), network.losses, marker=".", label=network.pipeline.title)
    axes.set_xlabel("epoch")
    axes.set_ylabel("cross-entropy of the training images")
    axes.set_yscale("log")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _row(
    network: "TrainedPipeline",
    inputs: Mapping[str, np.ndarray],
    samples: "RgbdSamples",
    backbones: Mapping[str, "Backbone"],
) -> dict[str, object]:
    from models.rgbd.pipelines import CLASSES

    answers = np.array(CLASSES)[network.probabilities(inputs).argmax(1)]
    return {
        "pipeline": network.pipeline.name,
        "title": network.pipeline.title,
        "epochs": network.epochs,
        "loss": round(network.loss, 6),
        "training images right": round(float((answers == samples.labels).mean()), 4),
        "labels": {name: backbones[name].label for name in network.pipeline.backbones},
    }


def _log(
    record: ExperimentRecord,
    network: "TrainedPipeline",
    inputs: Mapping[str, np.ndarray],
    backbones: Mapping[str, "Backbone"],
    synthetic: bool,
) -> None:
    """The curve of one network to MLflow, and the network into the registry."""
    import mlflow
    import onnx

    from models.rgbd.export import export_onnx

    name = network.pipeline.name
    for epoch, loss in enumerate(network.losses, 1):
        record.log_metrics({f"{name}/loss": loss}, step=epoch)
    record.log_metrics({f"{name}/epochs": network.epochs, f"{name}/seconds": network.seconds})
    example = {part: inputs[part][:2] for part in network.pipeline.inputs}
    path = record.workspace.data(STAGE, name, NETWORK)
    export_onnx(network, example, backbones, path, opset=record.workspace.params.rgbd_networks.opset)
    tags = {"data": "synthetic" if synthetic else "real"}
    record.log_model(
        name,
        lambda target: mlflow.onnx.save_model(
            onnx.load(path),
            target,
            signature=mlflow.models.infer_signature(example, network.probabilities(example)),
            input_example=example,
            # Left to itself MLflow would load the model in a process of its own to find these out.
            pip_requirements=["onnx", "onnxruntime", "numpy"],
        ),
        registered_name=f"rgbd-{name.replace('_', '-')}",
        tags=tags | {f"weights of {part}": backbones[part].label for part in network.pipeline.backbones},
        # Nobody reviews them: the evaluation tells how good they are.
        aliases=[CHALLENGER, CHAMPION],
    )


@dg.asset(
    name=STAGE,
    group_name="rgbd",
    deps=["depth_maps", "deepexp3d"],
    kinds={"pytorch", "mlflow"},
    pool=TRAINING_POOL,
)
def rgbd_networks(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """PL-depth, PL-RGB and PL-fusion as the parameters name them, trained on all people and registered in MLflow.

    A registered network takes depth maps and features of pretrained networks, and gives the probabilities of six
    expressions. Where ImageNet's weights are not at hand its tags say what took their place.
    """
    return materialise(context, workspace, train_networks)


if __name__ == "__main__":
    main(STAGE, train_networks)
