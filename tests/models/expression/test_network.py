"""What a coefficient's uncertainty does to the loss."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.expression.contract import NetworkContract
from models.expression.network import DeepExp3D, confidence_of, l2, squared_l2

UNCERTAINTIES = arrays(np.float32, (6, 4), elements=st.floats(0, 5, width=32))
WEIGHTS = arrays(np.float32, 6, elements=st.floats(np.float32(0.1), 3, width=32))


@pytest.fixture(scope="module")
def module(small_model, quick_settings):
    """Function of whether certainty counts that gives an untrained network with always the same weights."""

    def make(uncertainty_weights: bool) -> DeepExp3D:
        torch.manual_seed(0)
        contract = NetworkContract.of(small_model, "resnet18_half", 28)
        settings = (quick_settings.optimisation, quick_settings.augmentation)
        network = DeepExp3D(contract, *settings, seed=0, uncertainty_weights=uncertainty_weights).eval()
        network.log = lambda *arguments, **options: None
        return network

    return make


@pytest.fixture
def batch():
    rng = np.random.default_rng(1)
    return {
        "image": torch.from_numpy(rng.integers(0, 255, (4, 28, 28, 3), np.uint8)),
        "expression": torch.from_numpy(rng.normal(size=(4, 28)).astype(np.float32)),
        "uncertainty": torch.zeros(4, 28),
        "weight": torch.ones(4),
    }


@given(UNCERTAINTIES, WEIGHTS)
def test_confidences_are_one_on_average_and_fall_with_uncertainty(uncertainty, weight):
    confidence = confidence_of(torch.from_numpy(uncertainty), torch.from_numpy(weight)).numpy()
    assert np.average(confidence.mean(1), weights=weight) == pytest.approx(1, rel=1e-4)
    order = np.argsort(uncertainty.reshape(-1), kind="stable")
    assert (np.diff(confidence.reshape(-1)[order]) <= 1e-6).all()


@given(st.floats(0, 5), WEIGHTS)
def test_equal_uncertainty_is_no_uncertainty(uncertainty, weight):
    confidence = confidence_of(torch.full((6, 4), uncertainty), torch.from_numpy(weight))
    torch.testing.assert_close(confidence, torch.ones(6, 4))


def test_what_the_landmarks_said_nothing_about_counts_half():
    confidence = confidence_of(torch.tensor([[0.0, 1.0]]), torch.ones(1))[0]
    assert float(confidence[1] / confidence[0]) == pytest.approx(0.5)


@pytest.mark.parametrize("loss", [squared_l2, l2])
def test_an_error_of_an_uncertain_coefficient_costs_less(loss):
    confidence = confidence_of(torch.tensor([[0.1, 2.0]]), torch.ones(1))
    target = torch.zeros(1, 2)
    certain, vague = (loss(torch.tensor([error]), target, confidence) for error in ([1.0, 0.0], [0.0, 1.0]))
    assert float(vague) < 0.6 * float(certain)


def test_the_gradient_of_an_uncertain_label_is_smaller_and_that_of_a_certain_one_larger(module, batch):
    gradients = {}
    for weighted in (False, True):
        network = module(weighted)
        batch["uncertainty"][:, 0] = 2.0
        network.training_step(batch, 0).backward()
        gradients[weighted] = network.network.backbone.fc.bias.grad.abs()
    assert float(gradients[True][0]) < 0.5 * float(gradients[False][0])
    assert (gradients[True][1:] > gradients[False][1:]).all()


def test_without_uncertainty_the_loss_is_the_papers(module, batch):
    losses = [module(weighted).training_step(batch, 0).item() for weighted in (False, True)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_sample_of_no_weight_changes_nothing_whatever_its_uncertainty(module, batch):
    batch["weight"][0] = 0.0
    batch["uncertainty"][1] = 0.7
    losses = []
    for uncertainty in (0.0, 4.0):
        batch["uncertainty"][0] = uncertainty
        losses.append(module(True).training_step(batch, 0).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
