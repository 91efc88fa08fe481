"""The exported network computes what the trained one does, and says what its numbers mean."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from models.errors import ModelMismatchError, WeightsMissingError
from models.expression.contract import NetworkContract
from models.expression.export import export_onnx
from models.expression.network import ExpressionNetwork, load_network, save_network
from models.expression.runtime import NetworkSession, read_contract


def a_network(contract: NetworkContract) -> ExpressionNetwork:
    """A network whose outputs vary, as those of a trained one."""
    torch.manual_seed(0)
    network = ExpressionNetwork(contract.backbone, contract.input_size, len(contract.expression_std)).eval()
    torch.nn.init.normal_(network.backbone.fc.weight, std=0.05)
    return network


@pytest.fixture(scope="module")
def contract(small_model):
    return NetworkContract.of(small_model, "resnet18_half", 56)


@pytest.fixture(scope="module")
def exported(contract, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    save_network(a_network(contract), contract, folder)
    return export_onnx(folder, folder, opset=17)


@pytest.fixture(scope="module")
def images():
    coarse = np.random.default_rng(1).integers(0, 256, (3, 14, 14, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


def test_onnx_runtime_gives_what_torch_gives(exported, contract, images):
    session = NetworkSession.load(exported, runtime="onnxruntime", threads=1)
    with torch.inference_mode():
        expected = a_network(contract)(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(session(images), expected, atol=1e-4)


def test_openvino_gives_nearly_what_torch_gives(exported, contract, images):
    """It computes in bfloat16 where it can, which keeps three digits."""
    session = NetworkSession.load(exported, runtime="openvino", threads=1)
    with torch.inference_mode():
        expected = a_network(contract)(torch.from_numpy(images)).numpy()
    assert np.abs(session(images) - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_any_number_of_images_goes_through_and_results_do_not_overwrite_each_other(exported, images, runtime):
    session = NetworkSession.load(exported, runtime=runtime, threads=1)
    together, alone = session(images), [session(image[None]) for image in images]
    np.testing.assert_allclose(np.concatenate(alone), together, atol=0.05 * np.abs(together).max())
    assert not np.array_equal(alone[0], alone[1])


def test_the_file_explains_itself(exported, contract):
    found = read_contract(exported)
    np.testing.assert_allclose(found.template, contract.template, atol=1e-6)
    np.testing.assert_allclose(found.expression_std, contract.expression_std, rtol=1e-6)
    np.testing.assert_allclose(found.landmark_expression_basis, contract.landmark_expression_basis, atol=1e-6)
    properties = {item.key: item.value for item in onnx.load(exported).metadata_props}
    assert properties["output_names"].split(",")[:2] == ["e_00", "e_01"]
    assert len(properties["expression_std"].split(",")) == 28


def test_a_network_survives_the_disk(contract, images, tmp_path):
    network = a_network(contract)
    save_network(network, contract, tmp_path)
    loaded, found = load_network(tmp_path)
    assert (found.backbone, found.input_size, found.face_model) == ("resnet18_half", 56, "small")
    with torch.inference_mode():
        assert torch.equal(loaded(torch.from_numpy(images)), network(torch.from_numpy(images)))


def test_floats_and_bytes_are_the_same_image(contract, images):
    network = a_network(contract)
    pixels = torch.from_numpy(images)
    with torch.inference_mode():
        torch.testing.assert_close(network(pixels.float() / 255), network(pixels))


def test_an_image_already_shrunk_is_the_same_image(contract, images):
    network = a_network(contract)
    pixels = torch.from_numpy(images).float() / 255
    shrunk = torch.nn.functional.avg_pool2d(pixels.permute(0, 3, 1, 2), 4).permute(0, 2, 3, 1)
    with torch.inference_mode():
        torch.testing.assert_close(network(shrunk), network(pixels))


def test_a_missing_file_and_a_foreign_one_are_told_apart(tmp_path):
    with pytest.raises(WeightsMissingError, match=r"none\.onnx"):
        read_contract(tmp_path / "none.onnx")
    (tmp_path / "noise.onnx").write_bytes(b"\xff\xff\xffnoise")
    with pytest.raises(WeightsMissingError, match=r"noise\.onnx"):
        read_contract(tmp_path / "noise.onnx")
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "foreign.onnx")
    with pytest.raises(ModelMismatchError, match="not one of this project"):
        read_contract(tmp_path / "foreign.onnx")


def test_a_contract_of_other_dimensions_is_refused(contract, tmp_path):
    replace(contract, template=np.zeros((51, 2))).save(tmp_path / "network.json")
    with pytest.raises(ModelMismatchError, match=r"template has shape \(51, 2\)"):
        NetworkContract.load(tmp_path / "network.json")


def test_weights_without_their_contract_are_refused(contract, tmp_path):
    save_network(a_network(contract), contract, tmp_path)
    (tmp_path / "network.json").unlink()
    with pytest.raises(ModelMismatchError, match=r"network\.json"):
        load_network(tmp_path)


def test_damaged_weights_are_refused(contract, tmp_path):
    save_network(a_network(contract), contract, tmp_path)
    whole = (tmp_path / "weights.npz").read_bytes()
    (tmp_path / "weights.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsMissingError, match=r"weights\.npz"):
        load_network(tmp_path)
