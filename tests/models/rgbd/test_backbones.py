"""Every backbone tells truly where its weights came from."""

import numpy as np
import pytest
import torch
import torchvision

from models.errors import ModelMismatchError, WeightsMissingError
from models.expression.contract import NetworkContract
from models.rgbd.backbones import Trunk, load_backbone, pretrained_parameters
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


def test_a_named_file_of_weights_is_taken(tmp_path, resnet50):
    torch.save(resnet50, tmp_path / "resnet50.pth")
    backbone = load_backbone("resnet50", tmp_path / "resnet50.pth")
    assert (backbone.source, backbone.label) == ("imagenet", "ImageNet weights")
    torch.testing.assert_close(backbone.trunk.layers.state_dict()["conv1.weight"], resnet50["conv1.weight"])


def test_weights_in_torchs_folder_are_found(tmp_path, resnet50):
    name = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    torch.save(resnet50, tmp_path / "hub/checkpoints" / name)
    assert load_backbone("resnet50").source == "imagenet"


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
