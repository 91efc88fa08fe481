"""DeepExp3D as an ONNX file that explains itself: what goes in, what comes out, and in which units."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

from models.errors import ModelMismatchError
from models.expression.alignment import IMAGE_SIZE
from models.expression.contract import NetworkContract
from models.expression.network import ExpressionNetwork, load_network
from models.expression.runtime import CONTRACT_KEY, IMAGE_INPUT, LANDMARK_INPUT, NETWORK, OUTPUT
from models.storage import written_whole

log = logging.getLogger(__name__)

# Largest difference, in standard deviations, that reordered float32 sums may make.
TOLERANCE = 1e-3


def export_onnx(trained: Path | str, folder: Path | str, *, opset: int) -> Path:
    """Write `folder/network.onnx` from a folder with a trained network.

    Input `image` is (N, 224, 224, 3) uint8 RGB, aligned to the template, and, where the contract says so, input
    `landmarks` (N, 68, 2) float32 what the detector found, in pixels of that image; output `expression` is (N, n_e)
    float32 in standard deviations. The metadata hold the contract as JSON, and for readers without this project
    `template`, `expression_std`, `output_names` and `input` in words.

    Raises
    ------
    WeightsMissingError
        There is no trained network.
    ModelMismatchError
        The file does not compute what the network does.
    """
    network, contract = load_network(trained)
    path = Path(folder) / NETWORK
    with written_whole(path) as temporary:
        _trace(network, temporary, opset)
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, _metadata(contract))
        onnx.checker.check_model(model)
        onnx.save(model, temporary)
        deviation = deviation_from_torch(network, temporary)
        if not deviation <= TOLERANCE:
            raise ModelMismatchError(f"{path}: differs from the network by {deviation:.2g}; try another opset.")
    log.info("%s: differs from the network by at most %.1e standard deviations", path, deviation)
    return path


def deviation_from_torch(network: ExpressionNetwork, path: Path | str, batch: int = 3) -> float:
    """Largest difference, in standard deviations, between a network and its ONNX file on random images."""
    import onnxruntime

    rng = np.random.default_rng(0)
    inputs = {IMAGE_INPUT: rng.integers(0, 256, (batch, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)}
    if network.landmark_input:
        inputs[LANDMARK_INPUT] = rng.uniform(0, IMAGE_SIZE, (batch, 68, 2)).astype(np.float32)
    with torch.inference_mode():
        expected = network(*(torch.from_numpy(values) for values in inputs.values())).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, inputs)
    return float(np.abs(found - expected).max())


def _trace(network: ExpressionNetwork, path: Path, opset: int) -> None:
    examples = {IMAGE_INPUT: torch.zeros((2, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=torch.uint8)}
    if network.landmark_input:
        examples[LANDMARK_INPUT] = torch.zeros((2, 68, 2))
    with warnings.catch_warnings():
        # The exporter that replaces this one needs a further package and gains nothing for a plain residual network.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            tuple(examples.values()),
            str(path),
            input_names=list(examples),
            output_names=[OUTPUT],
            dynamic_axes={name: {0: "batch"} for name in (*examples, OUTPUT)},
            opset_version=opset,
            dynamo=False,
        )


def _metadata(contract: NetworkContract) -> dict[str, str]:
    return {
        CONTRACT_KEY: contract.to_json(),
        "input": "uint8 RGB, aligned so that the 68 MULTI-PIE landmarks lie near the template",
        "output": "expression coefficients in standard deviations; times expression_std they are millimetres",
        "output_names": ",".join(contract.expression_names),
        "expression_std": ",".join(f"{value:.7g}" for value in contract.expression_std),
        "template": ",".join(f"{value:.4f}" for value in contract.template.reshape(-1)),
        "face_model": contract.face_model,
    }
