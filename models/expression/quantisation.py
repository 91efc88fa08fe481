"""DeepExp3D in 8-bit integers: a third of the size, several times the speed on a CPU, nearly the same numbers."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from models.errors import ImageError, ModelMismatchError
from models.expression.alignment import IMAGE_SIZE
from models.expression.runtime import IMAGE_INPUT, LANDMARK_INPUT, read_contract
from models.storage import written_whole

log = logging.getLogger(__name__)

# The backbone's own operations. The normalisation before it, the head and the landmarks' layers stay in floating point:
# they take no time, and their rounding would reach the output undiminished.
QUANTISED_OPERATIONS = ["Conv", "Relu", "Add", "MaxPool"]


def quantise(onnx_path: Path | str, images: np.ndarray, landmarks: np.ndarray | None, out: Path | str) -> Path:
    """Write an exported network whose convolutions compute in 8 bits (QDQ: as ONNX with pairs of QuantizeLinear and
    DequantizeLinear, which OpenVINO, ONNX Runtime and TensorRT turn into integer kernels).

    Weights are symmetric int8 with a scale for each output channel, activations uint8 with one scale a tensor, between
    the least and the greatest value that the given faces cause. Inputs, output and metadata stay what they are.

    Parameters
    ----------
    onnx_path : a network by `export_onnx`
    images : (F, 224, 224, 3) uint8 aligned faces like those that will be read; some hundred suffice
    landmarks : (F, 68, 2) their landmarks, pixels; None for a network that takes none
    out : the file to write

    Raises
    ------
    ImageError
        There is no image, or images and landmarks have the wrong shape.
    WeightsMissingError, ModelMismatchError
        The file is missing, or no network of this project.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    contract = read_contract(onnx_path)
    inputs = _calibration_inputs(images, landmarks, contract.landmark_input)
    properties = {item.key: item.value for item in onnx.load(onnx_path, load_external_data=False).metadata_props}
    with tempfile.TemporaryDirectory() as folder, _only_errors(), written_whole(out) as temporary:
        prepared = Path(folder) / "prepared.onnx"
        # Folds the batch normalisation's remains and names every shape, as the quantiser asks for.
        quant_pre_process(str(onnx_path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(temporary),
            _reader(inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED_OPERATIONS,
            nodes_to_exclude=_nodes_of_landmarks(onnx.load(prepared)),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, properties)
        onnx.checker.check_model(model)
        onnx.save(model, temporary)
    log.info("%s: %.1f MB", out, Path(out).stat().st_size / 1e6)
    return Path(out)


def dequantised_backbone(path: Path | str) -> dict[str, np.ndarray]:
    """Weights and biases of an exported network's convolutions in floating point, by the names of torch's layers.

    "layer1.0.conv2.weight" and "layer1.0.conv2.bias", ...: the export has folded batch normalisation into them, so that
    a convolution without bias needs its bias in the normalisation behind it, which does nothing else. A network that
    was never quantised is read as well.

    Raises
    ------
    WeightsMissingError, ModelMismatchError
        The file is missing, or no network of this project.
    """
    import onnx
    from onnx import numpy_helper

    read_contract(path)
    graph = onnx.load(path).graph
    stored = {item.name: item for item in graph.initializer}
    rounded = {node.output[0]: node.input for node in graph.node if node.op_type == "DequantizeLinear"}
    # The exporter keeps what is there twice, such as biases of zero, once.
    shared = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}

    def constant(name: str) -> np.ndarray:
        name = shared.get(name, name)
        if name in stored:
            return numpy_helper.to_array(stored[name])
        values, scale, zero = (numpy_helper.to_array(stored[part]) for part in rounded[name])
        # One scale for each output channel, or one for all.
        shape = (-1,) + (1,) * (values.ndim - 1)
        return ((values.astype(np.float64) - zero.reshape(shape)) * scale.reshape(shape)).astype(np.float32)

    layers = {}
    for node in graph.node:
        if node.op_type == "Conv":
            layer = _layer_of(node.name)
            layers[f"{layer}.weight"], layers[f"{layer}.bias"] = (constant(name) for name in node.input[1:3])
    return layers


def relative_mse_increase(found: np.ndarray, original: np.ndarray, truth: np.ndarray) -> float:
    """By which share the squared error against `truth` (F, n_e) grew from outputs `original` (F, n_e) to `found`."""
    error, before = (float(np.mean((np.asarray(values) - truth) ** 2)) for values in (found, original))
    return error / before - 1


def _calibration_inputs(images: np.ndarray, landmarks: np.ndarray | None, takes_landmarks: bool) -> list[dict]:
    images = np.asarray(images)
    if len(images) == 0 or images.dtype != np.uint8 or images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE, 3):
        raise ImageError(
            f"calibration needs aligned faces (F, {IMAGE_SIZE}, {IMAGE_SIZE}, 3) uint8, not {images.dtype} of shape "
            f"{images.shape}."
        )
    if not takes_landmarks:
        return [{IMAGE_INPUT: image[None]} for image in images]
    if landmarks is None or np.shape(landmarks) != (len(images), 68, 2):
        shape = None if landmarks is None else np.shape(landmarks)
        raise ModelMismatchError(f"this network takes landmarks ({len(images)}, 68, 2) beside the images, not {shape}.")
    points = np.asarray(landmarks, np.float32)
    return [{IMAGE_INPUT: image[None], LANDMARK_INPUT: own[None]} for image, own in zip(images, points, strict=True)]


def _reader(inputs: list[dict]):
    from onnxruntime.quantization import CalibrationDataReader

    class Faces(CalibrationDataReader):
        """The calibration faces one by one, as the quantiser asks for them."""

        def __init__(self):
            self.left: Iterator[dict] = iter(inputs)

        def get_next(self) -> dict | None:
            return next(self.left, None)

    return Faces()


def _layer_of(node: str) -> str:
    """The name of torch's layer behind a node: "layer1.0.conv1" for "/backbone/layer1/layer1.0/conv1/Conv"."""
    parts = node.strip("/").split("/")[1:-1]
    return ".".join(
        part for part, inner in zip(parts, [*parts[1:], ""], strict=True) if not inner.startswith(f"{part}.")
    )


def _nodes_of_landmarks(model) -> list[str]:
    """Names of the nodes that the landmarks reach without an image being there already."""
    reached = {LANDMARK_INPUT}
    names = []
    for node in model.graph.node:
        variable = [name for name in node.input if name not in {item.name for item in model.graph.initializer}]
        if variable and all(name in reached for name in variable):
            reached.update(node.output)
            names.append(node.name)
    return names


@contextmanager
def _only_errors():
    """The quantiser speaks through the root logger at every step."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
