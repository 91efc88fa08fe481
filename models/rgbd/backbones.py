"""Pretrained networks up to their global average pooling, and an honest label of what they were trained on.

The paper takes ResNet-50 and VGG-19 as ImageNet left them (section 4.3). Their weights come from a file that the user
names, from torch's folder of checkpoints (TORCH_HOME), or from torchvision's own download. Where there are none of
them, ResNet-50 takes DeepExp3D's, of a training of one's own or as shipped, which has seen faces and no ImageNet, and
VGG-19 stays random: every result says so.
"""

import copy
import hashlib
import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

from models.errors import ModelMismatchError, WeightsMissingError
from models.expression.alignment import IMAGE_SIZE
from models.expression.contract import NetworkContract
from models.expression.network import CONTRACT, WEIGHTS, read_weights
from models.expression.quantisation import dequantised_backbone
from models.expression.runtime import NETWORK
from models.packages import sha256_of
from models.rgbd.pipelines import COLOUR_FEATURES, WEIGHT_SOURCES

log = logging.getLogger(__name__)

# Seconds that a server may take to answer: a machine without a network shall not wait for minutes.
PATIENCE = 10
# Of torchvision's batch normalisation.
BN_EPSILON = 1e-5
SHIPPED_RESNET50 = Path(__file__).parents[1] / "expression" / "shipped" / "deepexp3d-resnet50"

_IMAGENET = {
    "resnet50": torchvision.models.ResNet50_Weights.IMAGENET1K_V1,
    "vgg19": torchvision.models.VGG19_Weights.IMAGENET1K_V1,
}


class Trunk(nn.Module):
    """A network's layers up to and with global average pooling: uint8 images (B, S, S, 3) in, features (B, D) out.

    Parameters
    ----------
    layers : convolutional layers
    shrink : by how much images are made smaller first, to the size that the network was trained on
    """

    def __init__(self, layers: nn.Module, shrink: int = 1):
        super().__init__()
        self.layers = layers
        self.shrink = shrink
        # The usual statistics of photographs, which these networks were trained with.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, D)."""
        pixels = images.permute(0, 3, 1, 2).float() / 255
        if self.shrink > 1:
            pixels = nn.functional.avg_pool2d(pixels, self.shrink)
        pixels = (pixels - self.mean) / self.std
        return self.layers(pixels.contiguous(memory_format=torch.channels_last)).mean(dim=(2, 3))


@dataclass(frozen=True)
class Backbone:
    """A pretrained network.

    Attributes
    ----------
    name : a key of `COLOUR_FEATURES`
    source : a key of `WEIGHT_SOURCES`
    detail : where the weights came from
    digest : hex SHA-256 of the weights themselves
    trunk : the layers, for inference
    """

    name: str
    source: str
    detail: str
    digest: str
    trunk: Trunk

    @property
    def label(self) -> str:
        """What tables say beside its results."""
        return WEIGHT_SOURCES[self.source]

    def copied_trunk(self) -> Trunk:
        """Layers of one's own, to train on."""
        return copy.deepcopy(self.trunk).requires_grad_(True)


def load_backbone(
    name: str,
    weights: Path | str | None = None,
    *,
    download: bool = True,
    deepexp3d: Path | None = None,
    shipped: Path = SHIPPED_RESNET50,
    seed: int = 0,
) -> Backbone:
    """A pretrained network with the best weights that can be had.

    Parameters
    ----------
    name : "resnet50" or "vgg19"
    weights : a state dictionary as torchvision publishes it (.pth); None looks into torch's folder of checkpoints
    download : ask torchvision for weights that are not there
    deepexp3d : folder of a DeepExp3D of one's own, such as a project's `data/deepexp3d`, that goes before the shipped
        one; passed over where it holds no ResNet-50
    shipped : folder with DeepExp3D's ResNet-50: `network.json`, and `weights.npz` or `network.onnx`
    seed : of random weights, where it comes to that

    Raises
    ------
    WeightsMissingError
        The named file is missing or damaged.
    ModelMismatchError
        There is no such network, or the file holds the weights of another one.
    """
    if name not in COLOUR_FEATURES:
        raise ModelMismatchError(f"{name}: no pretrained network is called so; choose of {', '.join(COLOUR_FEATURES)}.")
    folders = [folder for folder in (deepexp3d, shipped) if folder is not None and _holds_resnet50(folder)]
    state, source, detail = _weights(name, weights, download, folders)
    shrink = 1
    if source == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _network(name)
            _settle(network)
        detail = f"He's initialisation with seed {seed}"
    else:
        network = _network(name)
        _fill(network, state, detail)
    if source == "deepexp3d":
        shrink = IMAGE_SIZE // NetworkContract.load(folders[0] / CONTRACT).input_size
    if source != "imagenet":
        log.warning("%s: %s (%s); name a file of weights to repeat the paper.", name, WEIGHT_SOURCES[source], detail)
    trunk = Trunk(network, shrink).eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return Backbone(name, source, detail, _digest(network), trunk)


def empty_trunk(name: str, shrink: int) -> Trunk:
    """Layers of a network of `COLOUR_FEATURES` whose weights are still to be set."""
    return Trunk(_network(name), shrink)


def trunks_in(network: nn.Module) -> list[Trunk]:
    """Pretrained layers that are part of a network, because they are trained with it."""
    return [module for module in network.modules() if isinstance(module, Trunk)]


def pretrained_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Parameters of a network that are not new but came with a `Trunk`."""
    return [parameter for trunk in trunks_in(network) for parameter in trunk.parameters()]


def _network(name: str) -> nn.Module:
    """Convolutional layers with fresh weights: everything before the pooling."""
    if name == "vgg19":
        layers = torchvision.models.vgg19(weights=None).features
    else:
        layers = nn.Sequential()
        for part, module in torchvision.models.resnet50(weights=None).named_children():
            if part not in ("avgpool", "fc"):
                layers.add_module(part, module)
    for module in layers.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return layers


def _settle(network: nn.Module) -> None:
    """Let batch normalisation see noise: without any statistics, what random layers say grows beyond all measure."""
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not layers:
        return
    for layer in layers:
        layer.momentum = None
    coarse = torch.randn(8, 3, 14, 14)
    with torch.no_grad():
        network.train()(nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear"))


def _weights(
    name: str, weights: Path | str | None, download: bool, deepexp3d: Sequence[Path]
) -> tuple[dict[str, Tensor], str, str]:
    """State of the layers, its source and where it came from; an empty state for random weights."""
    if weights is not None:
        return _state_of_file(name, Path(weights))
    published = _IMAGENET[name]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(published.url).name
    if cached.is_file():
        return _state_of_file(name, cached)
    if download:
        try:
            with _impatient():
                state = published.get_state_dict(progress=False, check_hash=True)
            return _trunk_state(name, state), "imagenet", cached.name
        except (OSError, RuntimeError) as error:
            log.warning("%s: torchvision's weights cannot be had (%s).", name, error)
    if name == "resnet50" and deepexp3d:
        return _deepexp3d_state(deepexp3d[0]), "deepexp3d", str(deepexp3d[0])
    return {}, "random", ""


def known_hashes(name: str) -> set[str]:
    """How the SHA-256 of torchvision's files of ImageNet weights begin: their names end in it."""
    return {Path(weights.url).stem.rpartition("-")[2] for weights in type(_IMAGENET[name])}


def _state_of_file(name: str, path: Path) -> tuple[dict[str, Tensor], str, str]:
    """As `_weights`, of a file; only torchvision's own, known by their hashes, count as ImageNet's."""
    state = _trunk_state(name, _read_state(path))
    digest = sha256_of(path)
    if any(digest.startswith(known) for known in known_hashes(name)):
        return state, "imagenet", path.name
    return state, "file", f"{path}, SHA-256 {digest[:12]}"


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsMissingError(f"{path}: there is no such file; name torchvision's weights (.pth).") from error
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsMissingError(f"{path}: cannot be read as weights ({reason}); download it again.") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelMismatchError(f"{path}: expected a state dictionary as torchvision has it, found other things.")
    return state


def _trunk_state(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of a whole network's state, that of the layers before the pooling."""
    if name == "vgg19":
        return {part.removeprefix("features."): value for part, value in state.items() if part.startswith("features.")}
    return {part: value for part, value in state.items() if not part.startswith("fc.")}


def _holds_resnet50(folder: Path) -> bool:
    """Whether a folder has a DeepExp3D whose convolutions are ResNet-50's, in floating point or exported."""
    there = (folder / CONTRACT).is_file() and any((folder / file).is_file() for file in (WEIGHTS, NETWORK))
    return there and NetworkContract.load(folder / CONTRACT).backbone == "resnet50"


def _deepexp3d_state(folder: Path) -> dict[str, Tensor]:
    """Of DeepExp3D's state, that of the layers before the pooling."""
    if not (folder / WEIGHTS).is_file():
        return _unfolded(dequantised_backbone(folder / NETWORK))
    prefix = "backbone."
    state = {
        part.removeprefix(prefix): value for part, value in read_weights(folder).items() if part.startswith(prefix)
    }
    return {
        part: value.float() if value.is_floating_point() else value
        for part, value in state.items()
        if not part.startswith("fc.")
    }


def _unfolded(convolutions: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The state of a ResNet whose batch normalisation adds the biases of exported convolutions, and changes nothing."""
    state = {}
    for name, values in convolutions.items():
        layer, _, kind = name.rpartition(".")
        if kind == "weight":
            state[name] = torch.from_numpy(values)
            continue
        normalisation = layer.replace("conv", "bn").replace("downsample.0", "downsample.1")
        bias = torch.from_numpy(values)
        state |= {
            f"{normalisation}.weight": torch.full_like(bias, (1 + BN_EPSILON) ** 0.5),
            f"{normalisation}.bias": bias,
            f"{normalisation}.running_mean": torch.zeros_like(bias),
            f"{normalisation}.running_var": torch.ones_like(bias),
            f"{normalisation}.num_batches_tracked": torch.tensor(0),
        }
    return state


def _fill(network: nn.Module, state: dict[str, Tensor], detail: str) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelMismatchError(
            f"{detail}: these weights are of another network ({str(error).splitlines()[1].strip()}); "
            "name the file of weights that torchvision publishes for this one."
        ) from error


def _digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _impatient() -> Iterator[None]:
    """Connections that are opened inside give up after `PATIENCE` seconds without an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
