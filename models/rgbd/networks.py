"""The networks of section 4.3: PL-depth, PL-RGB and PL-fusion, and which of them takes what.

Each network of one modality is a latent part, up to its last hidden level, and a classifier. The fusion takes the
latent parts as they are, joins what they say, and learns further levels from it (a late fusion).

Batch normalisation stands between each trained layer and its rectifier (reference [31] of the paper), so that those
layers have no offsets of their own. All of them are He-initialised; there is no dropout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.emotion.labels import EMOTIONS

# The six that are told apart, in the order of the outputs.
CLASSES = EMOTIONS[1:]

DEPTH_SIZE = 64
FILTER = 6
# Feature maps of the convolutions; a number in brackets is a pooling of that side.
DEPTH_LAYERS = (10, 20, (2,), 30, 40, (2,), 50, (4,))
DEPTH_LEVELS = (300, 300)
# Levels on a pretrained network's pooled features, and how many features it has.
COLOUR_LEVELS = {"resnet50": (1000, 700), "vgg19": (500, 500)}
COLOUR_FEATURES = {"resnet50": 2048, "vgg19": 512}
# Levels on 28 expression coefficients: those of the depth network.
EXPRESSION_LEVELS = DEPTH_LEVELS
EXPRESSION_SIZE = 28

# What a network may be given -> what it is, for readers.
INPUTS: Mapping[str, str] = {
    "depth": "depth map of the scan",
    "resnet50": "colour image by ResNet-50",
    "vgg19": "colour image by VGG-19",
    "depth_resnet50": "depth map of the scan by ResNet-50",
    "depth_vgg19": "depth map of the scan by VGG-19",
    "reconstructed_depth": "depth map of the DeepExp3D reconstruction of the colour image",
    "expression": "expression coefficients by DeepExp3D of the colour image",
}
_DEPTHS = ("depth", "reconstructed_depth")


@dataclass(frozen=True)
class Pipeline:
    """What is learned from what.

    Attributes
    ----------
    name : key in `PIPELINES`
    title : for readers, the paper's where it has one
    inputs : names out of `INPUTS`; several are fused
    """

    name: str
    title: str
    inputs: tuple[str, ...]

    @property
    def backbones(self) -> tuple[str, ...]:
        """The pretrained networks that it needs."""
        return tuple(dict.fromkeys(filter(None, map(backbone_of, self.inputs))))

    @property
    def convolves(self) -> bool:
        """Whether convolutions are trained from scratch."""
        return any(name in _DEPTHS for name in self.inputs)


def _named(*pipelines: Pipeline) -> dict[str, Pipeline]:
    return {pipeline.name: pipeline for pipeline in pipelines}


# The paper's, in the order of Table 1.
PAPER_PIPELINES = _named(
    Pipeline("depth_resnet50", "Depth map + pretrained ResNet-50", ("depth_resnet50",)),
    Pipeline("depth_vgg19", "Depth map + pretrained VGG-19", ("depth_vgg19",)),
    Pipeline("depth", "PL-depth", ("depth",)),
    Pipeline("rgb_resnet50", "PL-RGB-ResNet50", ("resnet50",)),
    Pipeline("rgb_vgg19", "PL-RGB-VGG19", ("vgg19",)),
    Pipeline("fusion_resnet50", "PL-fusion-ResNet50", ("depth", "resnet50")),
    Pipeline("fusion_vgg19", "PL-fusion-VGG19", ("depth", "vgg19")),
)
# Beyond it: nothing but the colour image, and expression coefficients as a third modality.
FURTHER_PIPELINES = _named(
    Pipeline("expression", "e alone", ("expression",)),
    Pipeline("reconstructed_depth", "Reconstructed depth alone", ("reconstructed_depth",)),
    *(
        Pipeline(name.format(backbone), title.format(network), tuple(one.format(backbone) for one in inputs))
        for name, title, inputs in (
            ("rgb_{}_expression", "RGB ({}) + e", ("{}", "expression")),
            ("fusion_reconstructed_{}", "RGB ({}) + reconstructed depth", ("reconstructed_depth", "{}")),
            (
                "fusion_reconstructed_{}_expression",
                "RGB ({}) + reconstructed depth + e",
                ("reconstructed_depth", "{}", "expression"),
            ),
            ("fusion_{}_expression", "RGB ({}) + depth + e", ("depth", "{}", "expression")),
        )
        for backbone, network in (("resnet50", "ResNet-50"), ("vgg19", "VGG-19"))
    ),
)
PIPELINES: Mapping[str, Pipeline] = PAPER_PIPELINES | FURTHER_PIPELINES


def backbone_of(name: str) -> str | None:
    """The pretrained network behind an input of `INPUTS`; None where there is none."""
    backbone = name.removeprefix("depth_")
    return backbone if backbone in COLOUR_LEVELS else None


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
    if name in _DEPTHS:
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
