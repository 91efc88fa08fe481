"""The networks have the layers of section 4.3, in their order and of their sizes."""

import math

import pytest
import torch
from torch import nn

from models.rgbd.networks import ColourNetwork, DepthNetwork, FusionNetwork, build_network
from models.rgbd.pipelines import INPUTS, PIPELINES


def outputs(network: nn.Module, kind: type, given: torch.Tensor) -> list[tuple[int, ...]]:
    """Shapes that the layers of a kind give, in the order in which they are asked."""
    shapes = []
    for module in network.modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    network(given)
    return shapes


def test_the_depth_network_is_the_papers():
    network = DepthNetwork()
    depth = torch.rand(2, 64, 64)
    assert outputs(network, nn.Conv2d, depth) == [(10, 64, 64), (20, 64, 64), (30, 32, 32), (40, 32, 32), (50, 16, 16)]
    assert outputs(network, nn.MaxPool2d, depth) == [(20, 32, 32), (40, 16, 16), (50, 4, 4)]
    assert outputs(network, nn.Linear, depth) == [(300,), (300,), (6,)]
    assert {module.kernel_size for module in network.modules() if isinstance(module, nn.Conv2d)} == {(6, 6)}


@pytest.mark.parametrize(
    ("backbone", "features", "levels"), [("resnet50", 2048, (1000, 700)), ("vgg19", 512, (500, 500))]
)
def test_the_colour_network_has_the_papers_levels_on_pooled_features(backbone, features, levels):
    found = outputs(ColourNetwork(backbone), nn.Linear, torch.rand(2, features))
    assert found == [(size,) for size in (*levels, 6)]


@pytest.mark.parametrize(("backbone", "features", "joined"), [("resnet50", 2048, 1000), ("vgg19", 512, 800)])
def test_the_fusion_joins_last_hidden_levels_and_learns_two_more(backbone, features, joined):
    network = build_network(PIPELINES[f"fusion_{backbone}"], (500, 300))
    assert network(torch.rand(2, 64, 64), torch.rand(2, features)).shape == (2, 6)
    levels = [module for module in network.joint.modules() if isinstance(module, nn.Linear)]
    assert [(level.in_features, level.out_features) for level in levels] == [(joined, 500), (500, 300), (300, 6)]


def test_branches_of_a_fusion_are_built_as_though_they_were_alone():
    parts = [DepthNetwork(), ColourNetwork("vgg19")]
    network = FusionNetwork(parts, (500, 300)).eval()
    for part, latent, given in zip(parts, network.latents, (torch.rand(3, 64, 64), torch.rand(3, 512)), strict=True):
        torch.testing.assert_close(latent(given), part.eval().latent(given))


@pytest.mark.parametrize("name", PIPELINES)
def test_every_trained_layer_but_the_classifier_is_normalised_and_rectified_and_nothing_drops_out(name):
    modules = list(build_network(PIPELINES[name], (500, 300)).modules())
    layers = [place for place, module in enumerate(modules) if isinstance(module, nn.Conv2d | nn.Linear)]
    classifiers = [place for place in layers if modules[place].weight.shape[0] == 6]
    for place in set(layers) - set(classifiers):
        assert isinstance(modules[place + 1], nn.BatchNorm1d | nn.BatchNorm2d)
        assert isinstance(modules[place + 2], nn.ReLU)
    assert not any(isinstance(module, nn.Dropout) for module in modules)


def test_layers_are_initialised_as_he_proposed():
    torch.manual_seed(0)
    level = ColourNetwork("resnet50").latent[0]
    assert float(level.weight.detach().std()) == pytest.approx(math.sqrt(2 / 2048), rel=0.02)
    convolution = [module for module in DepthNetwork().modules() if isinstance(module, nn.Conv2d)][3]
    assert float(convolution.weight.detach().std()) == pytest.approx(math.sqrt(2 / (30 * 36)), rel=0.02)


def test_every_input_of_every_pipeline_is_described():
    assert {name for pipeline in PIPELINES.values() for name in pipeline.inputs} == set(INPUTS)
