"""A training learns what there is to learn, from whom it may, and ends when it should."""

import numpy as np
import pytest
import torch

from models.rgbd.network_settings import EarlyStopping, RgbdHardware, RgbdTrainingSettings
from models.rgbd.pipelines import CLASSES, PIPELINES
from models.rgbd.training import _batches, train_pipeline
from tests.models.rgbd.made_up_samples import made_up_samples
from tests.models.rgbd.stand_in_backbone import stand_in_backbone

FLOAT32 = RgbdHardware(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def expressions():
    """Inputs, labels and people: 10 people, each class twice, well apart."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.repeat(CLASSES, 2), 10)
    centres = dict(zip(CLASSES, 2 * rng.normal(size=(6, 28)), strict=True))
    values = np.stack([centres[label] for label in labels]) + 0.5 * rng.normal(size=(120, 28))
    return {"expression": values.astype(np.float32)}, labels, np.repeat([f"F{n:04d}" for n in range(10)], 12)


def train(expressions, seed=0, hardware=FLOAT32, **settings):
    inputs, labels, people = expressions
    settings = RgbdTrainingSettings(**({"epochs": 3, "batch_size": 32} | settings))
    return train_pipeline(
        PIPELINES["expression"], inputs, labels, settings, seed=seed, people=people, hardware=hardware
    )


def test_classes_that_differ_are_learned(expressions):
    inputs, labels, _ = expressions
    trained = train(expressions, epochs=10)
    answers = np.array(CLASSES)[trained.probabilities(inputs).argmax(1)]
    assert (answers == labels).mean() > 0.95
    assert trained.epochs == 10


def test_probabilities_are_those_of_all_classes(expressions):
    probabilities = train(expressions).probabilities(expressions[0])
    assert probabilities.shape == (120, 6)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_the_same_seed_gives_the_same_network_and_another_one_another(expressions):
    first, again, other = (train(expressions, seed=seed).network.classifier.weight.detach() for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.01)


def test_a_training_leaves_the_random_numbers_and_threads_of_others_alone(expressions):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    train(expressions, hardware=RgbdHardware(device="cpu", threads=threads + 1))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(1), expected)


def test_nothing_left_to_learn_ends_a_training(expressions):
    trained = train(expressions, epochs=60, early_stopping=EarlyStopping(patience=50, enough=0.05))
    assert trained.epochs < 60
    assert trained.loss <= 0.05


def test_people_who_are_held_back_end_a_training_that_learns_by_heart(expressions):
    inputs, labels, people = expressions
    senseless = np.random.default_rng(1).permutation(labels)
    trained = train((inputs, senseless, people), epochs=80, early_stopping=EarlyStopping(patience=5, people=2))
    assert trained.epochs < 80


def test_people_who_are_held_back_are_not_learned_from(expressions, monkeypatch):
    _, _, people = expressions
    seen = []
    monkeypatch.setattr(
        "models.rgbd.training._batches", lambda rows, *rest: seen.append(set(rows.tolist())) or _batches(rows, *rest)
    )
    train(expressions, early_stopping=EarlyStopping(patience=5, people=3))
    assert {len(set(people[list(rows)])) for rows in seen} == {7}
    assert all(rows == seen[0] for rows in seen)


def test_answers_in_use_are_those_of_the_training_however_far_inputs_lie_from_zero(expressions):
    inputs, labels, people = expressions
    # As pooled features do: weights that move a little move the mean of the levels by much.
    shifted = {"expression": inputs["expression"] + 20}
    trained = train((shifted, labels, people), epochs=4)
    answers = np.array(CLASSES)[trained.probabilities(shifted).argmax(1)]
    assert (answers == labels).mean() > 0.9


def test_more_people_held_back_than_there_are_is_an_error(expressions):
    with pytest.raises(ValueError, match="10 to train on"):
        train(expressions, early_stopping=EarlyStopping(people=10))


@pytest.mark.parametrize("count", [2, 33, 64, 97, 648])
def test_batches_hold_every_sample_once_and_no_batch_is_too_small_to_normalise(count):
    batches = list(_batches(torch.arange(count), 32, torch.Generator().manual_seed(0)))
    assert sorted(torch.cat(batches).tolist()) == list(range(count))
    sizes = {len(batch) for batch in batches}
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2


def test_depth_maps_and_features_are_learned_from_together():
    samples = made_up_samples(4)
    features = np.random.default_rng(0).normal(size=(len(samples), 512)).astype(np.float32)
    settings = RgbdTrainingSettings(epochs=6, batch_size=24)
    trained = train_pipeline(
        PIPELINES["fusion_vgg19"],
        {"depth": samples.depth, "vgg19": features},
        samples.labels,
        settings,
        seed=0,
        hardware=FLOAT32,
    )
    answers = np.array(CLASSES)[trained.probabilities({"depth": samples.depth, "vgg19": features}).argmax(1)]
    assert (answers == samples.labels).mean() > 0.8


@pytest.mark.parametrize("fine_tuned", [False, True])
def test_pretrained_layers_are_trained_on_only_if_asked_and_never_the_originals(fine_tuned):
    samples = made_up_samples(2)
    backbone = stand_in_backbone()
    before = backbone.trunk.layers[1].weight.clone()
    features = backbone.trunk(torch.from_numpy(samples.colour)).numpy()
    trained = train_pipeline(
        PIPELINES["rgb_resnet50"],
        {"resnet50": samples.colour if fine_tuned else features},
        samples.labels,
        RgbdTrainingSettings(epochs=1, batch_size=12, fine_tune_backbones=fine_tuned),
        seed=0,
        hardware=FLOAT32,
        backbones={"resnet50": backbone},
    )
    assert torch.equal(backbone.trunk.layers[1].weight, before)
    if fine_tuned:
        moved = (trained.network.latent[0].layers[1].weight.detach() - before).abs().max()
        assert 0 < float(moved) < 0.01
