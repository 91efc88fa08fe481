"""Every backbone tells truly where its weights came from."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision

from models.errors import ModelMismatchError, WeightsMissingError
from models.expression.contract import NetworkContract
from models.expression.runtime import read_contract
from models.packages import sha256_of
from models.rgbd import backbones
from models.rgbd.backbones import SHIPPED_RESNET50, Trunk, load_backbone, pretrained_parameters
from models.rgbd.networks import ColourNetwork
from models.storage import save_arrays


@pytest.fixture(autouse=True)
def no_weights(tmp_path, monkeypatch):
    """No checkpoints at hand and no network to fetch them from."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(
        torchvision.models.ResNet50_Weights,
        "get_state_dict",
        lambda *_, **__: (_ for _ in ()).throw(OSError("no route")),
    )


@pytest.fixture(scope="module")
def resnet50() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return torchvision.models.resnet50(weights=None).state_dict()


def test_a_named_file_of_weights_is_taken_and_said_to_be_of_unknown_origin(tmp_path, resnet50):
    torch.save(resnet50, tmp_path / "resnet50.pth")
    backbone = load_backbone("resnet50", tmp_path / "resnet50.pth")
    assert (backbone.source, backbone.label) == ("file", "weights of a file of unknown origin")
    assert backbone.detail == f"{tmp_path / 'resnet50.pth'}, SHA-256 {sha256_of(tmp_path / 'resnet50.pth')[:12]}"
    torch.testing.assert_close(backbone.trunk.layers.state_dict()["conv1.weight"], resnet50["conv1.weight"])


def test_only_what_has_the_hash_of_torchvisions_file_is_called_imagenets(tmp_path, resnet50, monkeypatch):
    path = tmp_path / "hub/checkpoints" / Path(torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url).name
    path.parent.mkdir(parents=True)
    torch.save(resnet50, path)
    assert load_backbone("resnet50").source == "file"
    known = path.with_name(f"resnet50-{sha256_of(path)[:8]}.pth")
    path.rename(known)
    monkeypatch.setattr(backbones, "known_hashes", lambda name: {sha256_of(known)[:8]})
    backbone = load_backbone("resnet50", known)
    assert (backbone.source, backbone.label) == ("imagenet", "ImageNet weights")


def test_the_hashes_are_those_that_torchvision_names():
    assert backbones.known_hashes("resnet50") == {"0676ba61", "11ad3fa6"}
    assert backbones.known_hashes("vgg19") == {"dcbb9e9d"}


def test_features_are_the_networks_globally_averaged_maps(tmp_path, resnet50):
    torch.save(resnet50, tmp_path / "resnet50.pth")
    whole = torchvision.models.resnet50(weights=None)
    whole.load_state_dict(resnet50)
    whole.fc = torch.nn.Identity()
    images = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    normalised = torchvision.transforms.functional.normalize(
        images.permute(0, 3, 1, 2) / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    with torch.inference_mode():
        found = load_backbone("resnet50", tmp_path / "resnet50.pth").trunk(images)
        torch.testing.assert_close(found, whole.eval()(normalised), rtol=1e-3, atol=1e-3)


def test_deepexp3d_stands_in_for_imagenet_at_its_own_resolution_and_says_so(tmp_path, resnet50, small_model):
    folder = tmp_path / "deepexp3d-resnet50"
    weights = {f"backbone.{name}": value.numpy() for name, value in resnet50.items() if not name.startswith("fc.")}
    halved = {name: value.astype(np.float16) if value.dtype == np.float32 else value for name, value in weights.items()}
    save_arrays(folder / "weights.npz", **halved, **{"joint.0.weight": np.zeros(3)})
    NetworkContract.of(small_model, "resnet50", 56).save(folder / "network.json")
    backbone = load_backbone("resnet50", shipped=folder)
    assert backbone.source == "deepexp3d"
    assert "no ImageNet weights" in backbone.label
    sides = []
    backbone.trunk.layers[0].register_forward_hook(lambda module, given, output: sides.append(given[0].shape[-1]))
    backbone.trunk(torch.zeros(1, 224, 224, 3, dtype=torch.uint8))
    assert sides == [56]


def test_a_deepexp3d_of_ones_own_goes_before_the_shipped_one_if_it_is_a_resnet50(tmp_path, resnet50, small_model):
    weights = {f"backbone.{name}": value.numpy() for name, value in resnet50.items() if not name.startswith("fc.")}
    for name, architecture in (("own", "resnet50"), ("small", "resnet18_half")):
        save_arrays(tmp_path / name / "weights.npz", **weights)
        NetworkContract.of(small_model, architecture, 112).save(tmp_path / name / "network.json")
    own, small = (load_backbone("resnet50", download=False, deepexp3d=tmp_path / name) for name in ("own", "small"))
    assert own.source == small.source == "deepexp3d"
    assert own.detail == str(tmp_path / "own")
    assert small.detail == str(SHIPPED_RESNET50)
    torch.testing.assert_close(own.trunk.layers.state_dict()["conv1.weight"], resnet50["conv1.weight"])


def test_the_shipped_resnet50_says_in_torch_what_its_8_bit_file_says_but_for_the_rounding():
    backbone = load_backbone("resnet50", download=False)
    assert (backbone.source, backbone.trunk.shrink) == ("deepexp3d", 2)
    coarse = 128 + 60 * np.random.default_rng(0).uniform(-1, 1, (3, 7, 7, 3))
    images = np.stack([cv2.resize(image, (224, 224)) for image in coarse]).astype(np.uint8)
    maps = []
    backbone.trunk.layers.layer2.register_forward_hook(lambda module, given, output: maps.append(output.numpy()))
    with torch.inference_mode():
        features = backbone.trunk(torch.from_numpy(images)).numpy()
    model = onnx.load(SHIPPED_RESNET50 / "network.onnx")
    # Half the way through, before activations that are small for their range lose most of their digits.
    (rounded,) = computed(model, ["/backbone/layer2/layer2.3/relu_2/Relu_output_0"], images)
    assert np.corrcoef(maps[0].ravel(), rounded.clip(0).ravel())[0, 1] > 0.99
    (expected,) = computed(without_rounding(model), ["/backbone/Flatten_output_0"], images)
    assert features.shape == expected.shape == (3, 2048)
    np.testing.assert_allclose(features, expected, rtol=0.01, atol=0.01 * expected.std())


def without_rounding(model: onnx.ModelProto) -> onnx.ModelProto:
    """A network of 8 bits whose weights alone are rounded; unsigned integers from zero stood for a ReLU as well."""
    stored = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    for node in changed.graph.node:
        if node.op_type == "QuantizeLinear":
            node.op_type = "Identity" if stored[node.input[2]] else "Relu"
        elif node.op_type == "DequantizeLinear" and node.input[0] not in stored:
            node.op_type = "Identity"
        else:
            continue
        del node.input[1:], node.attribute[:]
    return changed


def computed(model: onnx.ModelProto, names: list[str], images: np.ndarray) -> list[np.ndarray]:
    """What a DeepExp3D computes on the way, of images with landmarks where the template has them."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    template = read_contract(SHIPPED_RESNET50 / "network.onnx").template.astype(np.float32)
    return session.run(names, {"image": images, "landmarks": np.repeat(template[None], len(images), axis=0)})


def test_random_weights_are_labelled_and_come_from_the_seed(tmp_path):
    first, again, other = (load_backbone("resnet50", shipped=tmp_path, seed=seed) for seed in (1, 1, 2))
    assert first.source == "random"
    assert "no ImageNet weights" in first.label
    assert first.digest == again.digest != other.digest


def test_weights_of_another_network_are_refused(tmp_path, resnet50):
    torch.save(resnet50, tmp_path / "weights.pth")
    with pytest.raises(ModelMismatchError, match=r"weights\.pth.*another network"):
        load_backbone("vgg19", tmp_path / "weights.pth")


def test_missing_and_damaged_files_are_named(tmp_path):
    (tmp_path / "damaged.pth").write_bytes(b"no weights")
    for name in ("missing.pth", "damaged.pth"):
        with pytest.raises(WeightsMissingError, match=name):
            load_backbone("resnet50", tmp_path / name)


def test_an_unknown_network_is_refused():
    with pytest.raises(ModelMismatchError, match="resnet50, vgg19"):
        load_backbone("alexnet")


def test_layers_that_shall_be_trained_on_are_told_from_new_ones():
    trunk = Trunk(torch.nn.Conv2d(3, 2048, 3, bias=False))
    assert [part.shape for part in pretrained_parameters(ColourNetwork("resnet50", trunk))] == [(2048, 3, 3, 3)]
    assert pretrained_parameters(ColourNetwork("resnet50")) == []
