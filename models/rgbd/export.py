"""A trained pipeline as an ONNX file: what it learned, and what it takes by the names of `INPUTS`."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch

from models.errors import ModelMismatchError
from models.rgbd.backbones import Backbone
from models.rgbd.pipelines import CLASSES
from models.rgbd.training import TrainedPipeline
from models.storage import written_whole

OUTPUT = "probabilities"
# Largest difference of a probability that reordered float32 sums may make.
TOLERANCE = 1e-4


def export_onnx(
    trained: TrainedPipeline,
    examples: Mapping[str, np.ndarray],
    backbones: Mapping[str, Backbone],
    path: Path | str,
    *,
    opset: int,
) -> None:
    """Write the trained layers of a pipeline. Frozen backbones are not part of the file: their features go in.

    The metadata hold the classes, and for each backbone what its weights were and their hash.

    Parameters
    ----------
    examples : by name, (B, ...) each, two samples at least: for the shapes, and to compare answers with

    Raises
    ------
    ModelMismatchError
        The file does not compute what the network does.
    """
    given = {name: torch.from_numpy(np.ascontiguousarray(examples[name])) for name in trained.pipeline.inputs}
    network = _Probabilities(trained.network).eval().cpu()
    with written_whole(path) as temporary:
        with warnings.catch_warnings():
            # The exporter that replaces this one needs a further package and gains nothing for plain layers.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                tuple(given.values()),
                str(temporary),
                input_names=list(given),
                output_names=[OUTPUT],
                dynamic_axes={name: {0: "batch"} for name in (*given, OUTPUT)},
                opset_version=opset,
                dynamo=False,
            )
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, _metadata(trained, backbones))
        onnx.checker.check_model(model)
        onnx.save(model, temporary)
        difference = _difference(trained, examples, temporary)
        if not difference <= TOLERANCE:
            raise ModelMismatchError(f"{path}: differs from the network by {difference:.2g}; try another opset.")


class _Probabilities(torch.nn.Module):
    """Probabilities (B, 6) instead of logits."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network = network

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.network(*inputs).softmax(dim=1)


def _metadata(trained: TrainedPipeline, backbones: Mapping[str, Backbone]) -> dict[str, str]:
    told = {
        name: {"label": backbones[name].label, "sha256": backbones[name].digest} for name in trained.pipeline.backbones
    }
    return {"pipeline": trained.pipeline.name, "classes": json.dumps(CLASSES), "backbones": json.dumps(told)}


def _difference(trained: TrainedPipeline, examples: Mapping[str, np.ndarray], path: Path) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {name: np.ascontiguousarray(examples[name]) for name in trained.pipeline.inputs}
    (found,) = session.run([OUTPUT], given)
    return float(np.abs(found - trained.probabilities(examples)).max())
