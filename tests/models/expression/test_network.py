"""What a coefficient's uncertainty does to the loss."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pytorch_lightning.callbacks import Timer

from models.errors import ModelMismatchError
from models.expression.contract import NetworkContract
from models.expression.losses import confidence_of, l2, squared_l2
from models.expression.network import DeepExp3D, ExpressionNetwork, load_network, save_network, shrunk
from models.expression.settings import LossWeights, Resolution

UNCERTAINTIES = arrays(np.float32, (6, 4), elements=st.floats(0, 5, width=32))
PRIORS = arrays(np.float32, 4, elements=st.floats(np.float32(0.01), 2, width=32))
WEIGHTS = arrays(np.float32, 6, elements=st.floats(np.float32(0.1), 3, width=32))


@pytest.fixture(scope="module")
def module(small_model, quick_settings):
    """Function of whether certainty counts that gives an untrained network with always the same weights."""

    def make(uncertainty_weights: bool, teacher=None, landmark_input=False, **changes) -> DeepExp3D:
        torch.manual_seed(0)
        contract = NetworkContract.of(small_model, "resnet18_half", 28, landmark_input)
        settings = replace(quick_settings, input_size=28, uncertainty_weights=uncertainty_weights, **changes)
        network = DeepExp3D(contract, settings, seed=0, steps=10, prior_variance=np.ones(28), teacher=teacher).eval()
        network.log = network.log_dict = lambda *arguments, **options: None
        network.trainer = SimpleNamespace(global_step=0, callbacks=[])
        return network

    return make


@pytest.fixture
def batch():
    rng = np.random.default_rng(1)
    return {
        "image": torch.from_numpy(rng.integers(0, 255, (4, 28, 28, 3), np.uint8)),
        "landmarks": torch.zeros(4, 68, 2),
        "expression": torch.from_numpy(rng.normal(size=(4, 28)).astype(np.float32)),
        "uncertainty": torch.zeros(4, 28),
        "weight": torch.ones(4),
        "video": torch.tensor([0, 0, 1, 2]),
    }


@given(UNCERTAINTIES, WEIGHTS, PRIORS)
def test_confidences_of_a_coefficient_are_one_on_average_and_fall_with_uncertainty(uncertainty, weight, prior):
    confidence = confidence_of(*map(torch.from_numpy, (uncertainty, weight, prior))).numpy()
    np.testing.assert_allclose(np.average(confidence, axis=0, weights=weight), 1, rtol=1e-4)
    order = np.argsort(uncertainty, axis=0, kind="stable")
    assert (np.diff(np.take_along_axis(confidence, order, axis=0), axis=0) <= 1e-5).all()


@given(arrays(np.float32, 4, elements=st.floats(0, 5, width=32)), WEIGHTS, PRIORS)
def test_a_coefficient_of_which_all_fits_are_as_sure_keeps_its_share(uncertainty, weight, prior):
    everywhere = np.broadcast_to(uncertainty, (6, 4)).copy()
    confidence = confidence_of(*map(torch.from_numpy, (everywhere, weight, prior)))
    torch.testing.assert_close(confidence, torch.ones(6, 4), rtol=1e-4, atol=1e-4)


def test_what_the_landmarks_said_nothing_about_counts_half():
    prior = torch.tensor([0.3])
    confidence = confidence_of(torch.tensor([[0.0], [0.3**0.5]]), torch.ones(2), prior)
    assert float(confidence[1] / confidence[0]) == pytest.approx(0.5)


@pytest.mark.parametrize("loss", [squared_l2, l2])
def test_an_error_of_an_uncertain_coefficient_costs_less(loss):
    confidence = confidence_of(torch.tensor([[0.1], [2.0]]), torch.ones(2), torch.ones(1))
    certain, vague = loss(confidence.sqrt() * torch.ones(2, 1))
    assert float(vague) < 0.6 * float(certain)


def test_an_uncertain_label_pulls_less_and_the_others_of_its_coefficient_more(module, batch):
    batch["uncertainty"][0, 0] = 2.0
    pulls = {}
    for weighted in (False, True):
        network = module(weighted)
        output = torch.zeros(4, 28, requires_grad=True)
        network.network.backbone_output = lambda images, output=output: output
        network.training_step(batch, 0).backward()
        pulls[weighted] = output.grad.abs()
    assert float(pulls[True][0, 0]) < 0.5 * float(pulls[False][0, 0])
    assert (pulls[True][1:, 0] > pulls[False][1:, 0]).all()
    torch.testing.assert_close(pulls[True][:, 1:], pulls[False][:, 1:])


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


@pytest.fixture
def aligned():
    rng = np.random.default_rng(2)
    images = torch.from_numpy(rng.integers(0, 255, (3, 224, 224, 3), np.uint8))
    return images, torch.from_numpy(rng.uniform(0, 224, (3, 68, 2)).astype(np.float32))


def lively(contract):
    """A network whose outputs vary, as those of a trained one."""
    torch.manual_seed(0)
    network = ExpressionNetwork.of(contract).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.1)
    return network


def test_a_network_with_landmark_input_looks_at_both(small_model, aligned):
    images, landmarks = aligned
    network = lively(NetworkContract.of(small_model, "resnet18_half", 56, landmark_input=True))
    with torch.inference_mode():
        output = network(images, landmarks)
        assert output.shape == (3, 28)
        assert (network(images, landmarks + 3) - output).abs().max() > 1e-2
        assert (network(255 - images, landmarks) - output).abs().max() > 1e-2


def test_the_papers_network_takes_no_notice_of_landmarks(small_model, aligned):
    images, landmarks = aligned
    network = lively(NetworkContract.of(small_model, "resnet18_half", 56))
    with torch.inference_mode():
        torch.testing.assert_close(network(images, landmarks), network(images))


@pytest.mark.parametrize("landmark_input", [False, True])
def test_a_saved_network_comes_back_with_the_inputs_it_had(small_model, aligned, tmp_path, landmark_input):
    network = lively(NetworkContract.of(small_model, "resnet18_half", 56, landmark_input=landmark_input))
    save_network(network, NetworkContract.of(small_model, "resnet18_half", 56, landmark_input=landmark_input), tmp_path)
    loaded, contract = load_network(tmp_path)
    assert contract.landmark_input == loaded.landmark_input == landmark_input
    with torch.inference_mode():
        torch.testing.assert_close(loaded(*aligned), network(*aligned))


def test_a_contract_of_an_older_release_is_refused_with_the_cure(small_model):
    text = NetworkContract.of(small_model, "resnet18_half", 56).to_json().replace('"format": 2', '"format": 1')
    with pytest.raises(ModelMismatchError, match=r"old\.json.*format 1.*export the network again"):
        NetworkContract.from_json(text, "old.json")


def loss_of(module, batch, **weights):
    """The loss of a batch with given weights of its terms, the others 0."""
    return module(False, loss_weights=LossWeights(**{"coefficients": 0.0} | weights)).training_step(batch, 0).item()


def test_terms_of_the_loss_add_up(module, batch):
    alone = [
        loss_of(module, batch, coefficients=1.0),
        loss_of(module, batch, vertices=1.0),
        loss_of(module, batch, landmarks=1.0, mouth=3.0),
    ]
    together = loss_of(module, batch, coefficients=0.5, vertices=2.0, landmarks=4.0, mouth=3.0)
    assert together == pytest.approx(0.5 * alone[0] + 2 * alone[1] + 4 * alone[2], rel=1e-5)
    pairs = loss_of(module, batch, coefficients=1.0, pairs=1.0) - alone[0]
    assert pairs > 0.1
    batch["video"] = torch.arange(4)
    assert loss_of(module, batch, coefficients=1.0, pairs=1.0) == pytest.approx(alone[0], rel=1e-6)


def test_a_teacher_pulls_towards_what_it_sees_in_the_same_images(module, batch, small_model):
    """Its own resolution is higher, and it is no part of what is trained or saved."""
    teacher = lively(NetworkContract.of(small_model, "resnet18_half", 56, landmark_input=True))
    taught = module(False, teacher=teacher, loss_weights=LossWeights(coefficients=0.0, teacher=1.0))
    images = np.random.default_rng(4).integers(0, 255, (4, 56, 56, 3), np.uint8)
    batch["image"] = torch.from_numpy(images).float() / 255
    assert taught.loaded_size_at(0) == 56
    with torch.no_grad():
        student = taught.network(shrunk(batch["image"], 28), batch["landmarks"])
        expected = (student - teacher(batch["image"], batch["landmarks"])).square().mean()
    loss = taught.training_step(batch, 0)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert set(taught.state_dict()) == set(module(False).state_dict())


def test_what_the_image_alone_tells_is_learned_beside_and_not_kept(module, batch, tmp_path):
    """The second estimate knows nothing of the landmarks, and a saved network nothing of the second estimate."""
    torch.manual_seed(0)
    weights = LossWeights(coefficients=1.0, image_alone=2.0)
    trained = module(False, landmark_input=True, loss_weights=weights)
    first = trained.training_step(batch, 0)
    images = torch.as_tensor(batch["image"])
    with torch.no_grad():
        alone = trained.image_head(trained.network.backbone_output(images)) - batch["expression"]
        both = trained.network(images, batch["landmarks"]) - batch["expression"]
    assert first.item() == pytest.approx((both.square().mean() + 2 * alone.square().mean()).item(), rel=1e-3)
    save_network(trained.network, trained.contract, tmp_path)
    load_network(tmp_path)


def test_a_shrunken_image_is_its_areas_means():
    images = torch.arange(2 * 6 * 6 * 3, dtype=torch.float32).reshape(2, 6, 6, 3)
    expected = images.reshape(2, 3, 2, 3, 2, 3).mean(dim=(2, 4))
    torch.testing.assert_close(shrunk(images, 3), expected)
    assert shrunk(images, 6) is images


@pytest.mark.parametrize(("step", "size"), [(0, 16), (3, 16), (4, 20), (6, 20), (7, 28), (10, 28)])
def test_resolutions_take_their_shares_of_the_steps(module, step, size):
    """Of ten."""
    resolutions = (Resolution(16, 0.4), Resolution(20, 0.3))
    assert module(False, resolutions=resolutions).input_size_at(step) == size


@pytest.mark.parametrize(("used", "size"), [(0, 16), (23, 16), (25, 28), (60, 28)])
def test_resolutions_take_their_shares_of_the_time_where_that_runs_out_first(module, used, size):
    """Of a minute, of which little was needed for the steps so far."""
    timer = Timer(timedelta(seconds=60))
    timer.time_elapsed, timer.time_remaining = lambda: used, lambda: 60 - used
    trained = module(False, resolutions=(Resolution(16, 0.4),))
    trained.trainer = SimpleNamespace(global_step=1, callbacks=[timer])
    assert trained.input_size_at(1) == size
