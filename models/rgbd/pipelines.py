"""What can be learned from what: the pipelines of section 4.3, and those that go beyond it, without their libraries."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models.emotion.labels import EMOTIONS

# The six that are told apart, in the order of the networks' outputs.
CLASSES = EMOTIONS[1:]
# Side of the depth maps that PL-depth takes, pixels.
DEPTH_SIZE = 64
# Pretrained networks, and how many features they have after global average pooling.
COLOUR_FEATURES: Mapping[str, int] = {"resnet50": 2048, "vgg19": 512}
# What weights of pretrained networks were trained on -> how tables call it.
WEIGHT_SOURCES: Mapping[str, str] = {
    "imagenet": "ImageNet weights",
    "file": "weights of a file of unknown origin",
    "deepexp3d": "DeepExp3D's weights, no ImageNet weights at hand",
    "random": "random weights, no ImageNet weights at hand",
}
# Coefficients of an expression.
EXPRESSION_SIZE = 28
# Inputs that convolutions are trained on.
DEPTHS = ("depth", "reconstructed_depth")
# Inputs that come from DeepExp3D's reconstruction of the colour image.
RECONSTRUCTIONS = ("reconstructed_depth", "expression")

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
        return any(name in DEPTHS for name in self.inputs)

    @property
    def reconstructs(self) -> bool:
        """Whether it learns from reconstructions of the colour images."""
        return any(name in RECONSTRUCTIONS for name in self.inputs)

    def stands_in_for(self, other: "Pipeline") -> bool:
        """Whether it learns from reconstructed depth where the other one does from a scan's, and else from the same."""
        scanned = {"depth" if name == "reconstructed_depth" else name for name in self.inputs}
        return "reconstructed_depth" in self.inputs and scanned == set(other.inputs)


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


def unknown_pipelines(names: Iterable[str]) -> str | None:
    """What is wrong with names of pipelines, in a sentence; None where all of them are known."""
    unknown = [name for name in names if name not in PIPELINES]
    return f"no pipeline is called {', '.join(unknown)}; choose of {', '.join(PIPELINES)}" if unknown else None


def backbone_of(name: str) -> str | None:
    """The pretrained network behind an input of `INPUTS`; None where there is none."""
    backbone = name.removeprefix("depth_")
    return backbone if backbone in COLOUR_FEATURES else None
