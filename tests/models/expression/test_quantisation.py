"""Eight bits give nearly the same numbers, from integer kernels, in a third of the space."""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch

from models.errors import ImageError, ModelMismatchError, WeightsMissingError
from models.expression.contract import NetworkContract
from models.expression.export import export_onnx
from models.expression.network import ExpressionNetwork, save_network
from models.expression.quantisation import dequantised_backbone, quantise, relative_mse_increase
from models.expression.runtime import NetworkSession, read_contract


def exported_network(model, folder, landmark_input: bool):
    contract = NetworkContract.of(model, "resnet18_half", 56, landmark_input=landmark_input)
    torch.manual_seed(0)
    network = ExpressionNetwork.of(contract).eval()
    torch.nn.init.normal_((network.joint[-1] if landmark_input else network.backbone.fc).weight, std=0.05)
    save_network(network, contract, folder)
    return export_onnx(folder, folder, opset=17)


@pytest.fixture(scope="module", params=[False, True], ids=["image", "image and landmarks"])
def exported(request, small_model, tmp_path_factory):
    return exported_network(small_model, tmp_path_factory.mktemp("float"), request.param)


@pytest.fixture(scope="module")
def faces(small_model):
    """Coarse images, and landmarks about the template."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 14, 14, 3), dtype=np.uint8).repeat(16, axis=1).repeat(16, axis=2)
    template = NetworkContract.of(small_model, "resnet18_half", 56).template
    return images, (template + 3 * rng.normal(size=(12, 68, 2))).astype(np.float32)


@pytest.fixture(scope="module")
def quantised(exported, faces, tmp_path_factory):
    images, landmarks = faces
    return quantise(exported, images[:8], landmarks[:8], tmp_path_factory.mktemp("int8") / "network.onnx")


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_outputs_hardly_change(exported, quantised, faces, runtime):
    images, landmarks = (values[8:] for values in faces)
    exact = NetworkSession.load(exported, runtime="onnxruntime", threads=1)(images, landmarks)
    found = NetworkSession.load(quantised, runtime=runtime, threads=1)(images, landmarks)
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.05 * exact.std()
    assert not np.array_equal(found, exact)


def test_the_contract_and_the_words_for_readers_stay_inside(exported, quantised):
    assert read_contract(quantised).to_json() == read_contract(exported).to_json()
    properties = [{item.key: item.value for item in onnx.load(path).metadata_props} for path in (exported, quantised)]
    assert properties[0].items() <= properties[1].items()


def test_inputs_and_output_are_those_of_the_original(exported, quantised):
    def signature(path):
        graph = onnx.load(path).graph
        return [(value.name, value.type.tensor_type.elem_type) for value in (*graph.input, *graph.output)]

    assert signature(quantised) == signature(exported)


def test_it_takes_a_third_of_the_space(exported, quantised):
    assert quantised.stat().st_size < exported.stat().st_size / 2.5


def test_openvino_computes_every_convolution_in_integers(quantised):
    import openvino

    compiled = openvino.Core().compile_model(str(quantised), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    precisions = Counter(
        operation.get_rt_info()["runtimePrecision"].astype(str)
        for operation in compiled.get_runtime_model().get_ops()
        if operation.get_rt_info()["layerType"].astype(str) == "Convolution"
    )
    assert set(precisions) <= {"u8", "i8"}
    assert sum(precisions.values()) == 20


def test_the_head_and_the_landmarks_layers_stay_in_floating_point(quantised):
    graph = onnx.load(quantised).graph
    producers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type == "Gemm":
            assert producers[node.input[0]].op_type != "DequantizeLinear"


def test_wrong_calibration_data_are_refused_before_anything_is_written(exported, faces, tmp_path):
    images, landmarks = faces
    with pytest.raises(ImageError, match="calibration needs aligned faces"):
        quantise(exported, images[:0], landmarks[:0], tmp_path / "out.onnx")
    with pytest.raises(ImageError, match="float64"):
        quantise(exported, images / 255, landmarks, tmp_path / "out.onnx")
    if read_contract(exported).landmark_input:
        with pytest.raises(ModelMismatchError, match="takes landmarks"):
            quantise(exported, images, None, tmp_path / "out.onnx")
    with pytest.raises(WeightsMissingError, match=r"none\.onnx"):
        quantise(tmp_path / "none.onnx", images, landmarks, tmp_path / "out.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_increase_of_the_error_is_relative_to_the_original():
    truth = np.zeros((4, 2))
    assert relative_mse_increase(np.full((4, 2), 1.1), np.ones((4, 2)), truth) == pytest.approx(0.21)


def test_weights_come_back_from_integers_by_the_names_of_torchs_layers(exported, quantised):
    exact, found = (dequantised_backbone(path) for path in (exported, quantised))
    assert exact.keys() == found.keys()
    assert {"conv1.weight", "layer1.0.conv2.bias", "layer4.0.downsample.0.weight"} <= found.keys()
    for name, values in exact.items():
        if name.endswith(".weight"):
            # Half a step of 127 to either side of zero, for each output channel.
            step = np.abs(values).max(axis=(1, 2, 3), keepdims=True) / 127
            assert (np.abs(found[name] - values) <= 0.51 * step).all()
        else:
            np.testing.assert_allclose(found[name], values, atol=0.01 * np.abs(values).max() + 1e-6)
