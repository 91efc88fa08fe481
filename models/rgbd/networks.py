"""The networks of section 4.3: PL-depth, PL-RGB and PL-fusion, and which of them takes what.

Each network of one modality is a latent part, up to its last hidden level, and a classifier. The fusion takes the
latent parts as they are, joins what they say, and learns further levels from it (a late fusion).

Batch normalisation stands between each trained layer and its rectifier (reference [31] of the paper), so that those
layers have no offsets of their own. All of them are He-initialised; there is no dropout.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.rgbd.pipelines import (
    CLASSES,
    COLOUR_FEATURES,
    DEPTH_SIZE,
    DEPTHS,
    EXPRESSION_SIZE,
    Pipeline,
    backbone_of,
)

FILTER = 6
# Feature maps of the convolutions; a number in brackets is a pooling of that side.
DEPTH_LAYERS = (10, 20, (2,), 30, 40, (2,), 50, (4,))
DEPTH_LEVELS = (300, 300)
# Levels on a pretrained network's pooled features.
COLOUR_LEVELS = {"resnet50": (1000, 700), "vgg19": (500, 500)}
# Levels on 28 expression coefficients: those of the depth network.
EXPRESSION_LEVELS = DEPTH_LEVELS


class DepthNetwork(nn.Module):
    """PL-depth: depth maps (B, 64, 64) in, logits (B, 6) of `CLASSES` out (section 4.3.1).

    conv 10 - conv 20 - pool 2x2 - conv 30 - conv 40 - pool 2x2 - conv 50 - pool 4x4 - 300 - 300 - 6, with 6x6 filters.
    Only padding that keeps the size lets maps of 64 pixels through all three poolings: 32, 16, 4.
    """

    def __init__(self):
        super().__init__()
        self.latent = nn.Sequential(nn.Unflatten(1, (1, DEPTH_SIZE)), *_convolutions(), nn.Flatten())
        self.latent.extend(_levels(DEPTH_LAYERS[-2] * 4 * 4, DEPTH_LEVELS))
        self.width = DEPTH_LEVELS[-1]
        self.classifier = nn.Linear(self.width, len(CLASSES))
        initialise(self)

    def forward(self, depth: Tensor) -> Tensor:
        """Logits (B, 6)."""
        return self.classifier(self.latent(depth))


class LevelsNetwork(nn.Module):
    """Fully connected levels on features (B, D) that are given; logits (B, 6) out."""

    def __init__(self, features: int, levels: Sequence[int]):
        super().__init__()
        self.latent = _levels(features, levels)
        self.width = levels[-1]
        self.classifier = nn.Linear(self.width, len(CLASSES))
        initialise(self)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, 6)."""
        return self.classifier(self.latent(features))


class ColourNetwork(LevelsNetwork):
    """PL-RGB: two levels on a pretrained network's globally average-pooled features (section 4.3.2).

    Parameters
    ----------
    backbone : a key of `COLOUR_LEVELS`
    trunk : the pretrained layers, from uint8 images (B, S, S, 3) to pooled features (B, D), which are trained on then.
        None takes the features themselves: the pretrained layers stay as they are, and are asked once for each image
    """

    def __init__(self, backbone: str, trunk: nn.Module | None = None):
        super().__init__(COLOUR_FEATURES[backbone], COLOUR_LEVELS[backbone])
        self.backbone = backbone
        if trunk is not None:
            self.latent = nn.Sequential(trunk, *self.latent)


class FusionNetwork(nn.Module):
    """PL-fusion: latent representations side by side, and further levels that learn from them jointly (section 4.3.3).

    Parameters
    ----------
    parts : networks of one modality each, whose classifiers are not needed
    levels : sizes of the further levels
    """

    def __init__(self, parts: Sequence[nn.Module], levels: Sequence[int]):
        super().__init__()
        self.latents = nn.ModuleList(part.latent for part in parts)
        self.joint = LevelsNetwork(sum(part.width for part in parts), levels)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (B, 6) from one input for each part, in their order."""
        latent = [part(given) for part, given in zip(self.latents, inputs, strict=True)]
        return self.joint(torch.cat(latent, dim=1))


def build_network(
    pipeline: Pipeline, fusion_levels: Sequence[int], trunks: Mapping[str, nn.Module] | None = None
) -> nn.Module:
    """The untrained network of a pipeline, which takes its inputs in their order.

    `trunks` are pretrained layers, by name, that shall be trained on; without them their features are the inputs. Draws
    from torch's random numbers.
    """
    parts = [_part(name, trunks or {}) for name in pipeline.inputs]
    return parts[0] if len(parts) == 1 else FusionNetwork(parts, fusion_levels)


def initialise(network: nn.Module) -> None:
    """He's initialisation of everything that can be multiplied with; offsets begin at zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _part(name: str, trunks: Mapping[str, nn.Module]) -> nn.Module:
    if name in DEPTHS:
        return DepthNetwork()
    if name == "expression":
        return LevelsNetwork(EXPRESSION_SIZE, EXPRESSION_LEVELS)
    backbone = backbone_of(name)
    return ColourNetwork(backbone, trunks.get(backbone))


def _convolutions() -> list[nn.Module]:
    modules: list[nn.Module] = []
    maps = 1
    # An even filter has no middle: as "same" is understood elsewhere, the odd row and column are added at the end.
    padding = ((FILTER - 1) // 2, FILTER // 2) * 2
    for layer in DEPTH_LAYERS:
        if isinstance(layer, tuple):
            modules.append(nn.MaxPool2d(*layer))
            continue
        modules += [nn.ZeroPad2d(padding), nn.Conv2d(maps, layer, FILTER, bias=False), nn.BatchNorm2d(layer), nn.ReLU()]
        maps = layer
    return modules


def _levels(features: int, sizes: Sequence[int]) -> nn.Sequential:
    """Fully connected levels, each normalised and rectified."""
    modules: list[nn.Module] = []
    for size in sizes:
        modules += [nn.Linear(features, size, bias=False), nn.BatchNorm1d(size), nn.ReLU()]
        features = size
    return nn.Sequential(*modules)
