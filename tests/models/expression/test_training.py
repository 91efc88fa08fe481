"""Training learns, survives being killed, and starts anew when what it is given has changed."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from models.errors import ModelMismatchError, WeightsMissingError
from models.expression.evaluation import evaluate, predict_shards
from models.expression.loading import shard_loader
from models.expression.network import ExpressionNetwork, load_network
from models.expression.settings import Hardware, LossWeights, Resolution
from models.expression.shards import write_shards
from models.expression.training import train


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(shards, small_model, quick_settings, one_cpu, tmp_path_factory):
    return train(shards, small_model, quick_settings, tmp_path_factory.mktemp("net"), seed=3, hardware=one_cpu)


class KilledError(Exception):
    """Stands for the power that goes."""


class KillAfter(pl.Callback):
    def __init__(self, steps: int):
        self.steps = steps

    def on_train_batch_start(self, trainer, module, batch, batch_index):
        if trainer.global_step == self.steps:
            raise KilledError


class SeenImages(pl.Callback):
    def __init__(self):
        self.batches = []

    def on_train_batch_start(self, trainer, module, batch, batch_index):
        self.batches.append((trainer.global_step, len(batch["image"][0]), float(batch["image"].double().sum())))


def test_a_network_learns_what_its_images_show(trained):
    guessing_the_mean = 6 / 28
    assert trained.metrics["val/mse"] < 0.25 * guessing_the_mean
    assert trained.history[-1]["train/mse"] < trained.history[0]["train/mse"] / 4
    assert [row["epoch"] for row in trained.history] == list(range(12))


def test_the_saved_weights_are_those_of_the_best_epoch(trained, shards):
    network, contract = load_network(trained.folder)
    predicted, expected, _ = predict_shards(network, shards / "val", batch_size=32)
    errors = evaluate(predicted, expected, contract)
    assert errors.mse == pytest.approx(trained.metrics["val/mse"], rel=1e-3)
    assert errors.mse_mm2 == pytest.approx(trained.metrics["val/mse_mm2"], rel=1e-3)
    assert errors.vertex_rms == pytest.approx(trained.metrics["val/vertex_rms"], rel=1e-3)


def check_resumed(shards, model, settings, folder, steps, **options):
    """A run killed before step `steps` and called again sees what a whole one sees and ends as it does."""
    whole, first, second = SeenImages(), SeenImages(), SeenImages()
    options |= {"seed": 3}
    expected = train(shards, model, settings, folder / "whole", callbacks=[whole], **options)
    with pytest.raises(KilledError):
        train(shards, model, settings, folder / "killed", callbacks=[first, KillAfter(steps)], **options)
    resumed = train(shards, model, settings, folder / "killed", callbacks=[second], **options)
    assert second.batches[0][0] == steps - steps % settings.checkpoint_every_steps
    assert second.batches == whole.batches[second.batches[0][0] :]
    assert [row["epoch"] for row in resumed.history] == list(range(settings.max_epochs))
    assert [row["val/mse"] for row in resumed.history] == pytest.approx([row["val/mse"] for row in expected.history])
    after, straight = (load_network(run.folder)[0].state_dict() for run in (resumed, expected))
    for name, value in straight.items():
        torch.testing.assert_close(after[name], value)
    return resumed


@pytest.mark.parametrize(("steps", "workers"), [(8, 0), (12, 2), (15, 0)])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    shards, small_model, quick_settings, one_cpu, tmp_path, steps, workers
):
    settings = replace(quick_settings, max_epochs=4)
    check_resumed(shards, small_model, settings, tmp_path, steps, hardware=replace(one_cpu, workers=workers))


def test_the_time_of_a_killed_run_counts(shards, small_model, quick_settings, tmp_path, one_cpu):
    settings = replace(quick_settings, max_epochs=2)
    with pytest.raises(KilledError):
        train(shards, small_model, settings, tmp_path, seed=3, hardware=one_cpu, callbacks=[KillAfter(5)])
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    state = torch.load(checkpoint, weights_only=True)
    assert state["callbacks"]["_History"]["seconds"] > 0
    state["callbacks"]["_History"]["seconds"] = 1e6
    torch.save(state, checkpoint)
    resumed = train(shards, small_model, settings, tmp_path, seed=3, hardware=one_cpu)
    assert resumed.history[0]["seconds"] > 1e6


def test_a_killed_run_on_several_folders_and_resolutions_goes_on_as_well(
    patterned_samples, shards, small_model, quick_settings, one_cpu, tmp_path
):
    """Killed in the middle of an epoch and on images of the second resolution."""
    for part, count in (("train", 40), ("val", 16)):
        write_shards(patterned_samples(count, seed=5), tmp_path / "more" / part, chunk_mb=0.05, jpeg_quality=90)
    settings = replace(
        quick_settings,
        max_epochs=3,
        resolutions=(Resolution(16, 0.3), Resolution(20, 0.3)),
        images_per_video=4,
        ema_decay=0.5,
        loss_weights=LossWeights(vertices=0.5, landmarks=0.5, pairs=0.5),
    )
    mixed = {shards: 0.4, tmp_path / "more": 0.6}
    resumed = check_resumed(mixed, small_model, settings, tmp_path, 11, hardware=one_cpu)
    assert [row["input_size"] for row in resumed.history] == [16, 28, 28]


def test_a_finished_run_is_not_repeated_but_other_settings_start_anew(
    trained, shards, small_model, quick_settings, one_cpu
):
    weights = trained.folder / "weights.npz"
    before = weights.stat().st_mtime_ns
    again = train(shards, small_model, quick_settings, trained.folder, seed=3, hardware=one_cpu)
    assert weights.stat().st_mtime_ns == before
    assert again.metrics == trained.metrics


def test_a_change_of_the_seed_trains_anew(shards, small_model, quick_settings, one_cpu, tmp_path):
    settings = replace(quick_settings, max_epochs=1)
    first = train(shards, small_model, settings, tmp_path, seed=1, hardware=one_cpu)
    second = train(shards, small_model, settings, tmp_path, seed=2, hardware=one_cpu)
    assert first.metrics != second.metrics
    assert len(second.history) == 1


def test_fine_tuning_starts_from_the_given_weights(trained, shards, small_model, quick_settings, one_cpu, tmp_path):
    settings = replace(
        quick_settings, max_epochs=1, optimisation=replace(quick_settings.optimisation, learning_rate=1e-5)
    )
    tuned = train(shards, small_model, settings, tmp_path, seed=4, hardware=one_cpu, init_from=trained.folder)
    assert tuned.metrics["val/mse"] == pytest.approx(trained.metrics["val/mse"], rel=0.2)


def test_an_averaged_run_keeps_the_averaged_weights(shards, small_model, quick_settings, one_cpu, tmp_path):
    settings = replace(quick_settings, max_epochs=2, ema_decay=0.5)
    result = train(shards, small_model, settings, tmp_path, seed=3, hardware=one_cpu)
    network, contract = load_network(result.folder)
    predicted, expected, _ = predict_shards(network, shards / "val", batch_size=32)
    assert evaluate(predicted, expected, contract).mse == pytest.approx(result.metrics["val/mse"], rel=1e-3)


def test_a_time_limit_ends_the_training_with_a_usable_network(shards, small_model, quick_settings, one_cpu, tmp_path):
    settings = replace(quick_settings, max_epochs=None, max_minutes=0.02)
    result = train(shards, small_model, settings, tmp_path, seed=3, hardware=one_cpu)
    assert result.metrics["val/mse"] < np.inf
    assert (result.folder / "weights.npz").exists()


def test_weights_of_another_backbone_are_refused(trained, shards, small_model, quick_settings, one_cpu, tmp_path):
    settings = replace(quick_settings, backbone="resnet18")
    with pytest.raises(ModelMismatchError, match=r"weights\.npz"):
        train(shards, small_model, settings, tmp_path, seed=4, hardware=one_cpu, init_from=trained.folder)


def test_missing_weights_to_start_from_are_named(shards, small_model, quick_settings, one_cpu, tmp_path):
    with pytest.raises(WeightsMissingError, match="nowhere"):
        train(
            shards,
            small_model,
            quick_settings,
            tmp_path / "out",
            seed=4,
            hardware=one_cpu,
            init_from=tmp_path / "nowhere",
        )


def test_missing_shards_are_named(small_model, quick_settings, tmp_path):
    with pytest.raises(ModelMismatchError, match="train"):
        train(tmp_path / "shards", small_model, quick_settings, tmp_path / "out", seed=0, hardware=Hardware())


@pytest.mark.parametrize("change", [{"loss": "other"}, {"schedule": "other"}])
def test_unknown_ways_to_optimise_are_refused_by_name(quick_settings, change):
    with pytest.raises(ValueError, match="'other' is unknown"):
        replace(quick_settings.optimisation, **change)


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ModelMismatchError, match=r"'vgg' is unknown.*resnet50"):
        ExpressionNetwork("vgg", 224, 28)


def test_an_input_size_that_the_aligned_image_cannot_be_shrunk_to_is_refused():
    with pytest.raises(ModelMismatchError, match="100 does not divide"):
        ExpressionNetwork("resnet18", 100, 28)


def test_labels_that_say_they_are_wrong_do_less_harm(
    patterned_samples, shards, small_model, quick_settings, one_cpu, tmp_path
):
    """Every other label drowns in noise; a network that trusts it learns next to nothing."""
    rng = np.random.default_rng(0)
    samples = patterned_samples(192, seed=0)
    for place in range(0, len(samples), 2):
        wrong = samples[place].expression + 10 * rng.normal(size=28).astype(np.float32)
        samples[place] = replace(samples[place], expression=wrong, uncertainty=np.full(28, 10.0, np.float32))
    write_shards(samples, tmp_path / "shards" / "train", chunk_mb=0.05, jpeg_quality=90)
    shutil.copytree(shards / "val", tmp_path / "shards" / "val")
    errors = {}
    for weighted in (True, False):
        settings = replace(quick_settings, uncertainty_weights=weighted)
        folder = tmp_path / f"weighted-{weighted}"
        result = train(tmp_path / "shards", small_model, settings, folder, seed=3, hardware=one_cpu)
        errors[weighted] = result.metrics["val/mse"]
    assert errors[True] < 0.75 * errors[False]


def test_a_training_that_begins_small_ends_with_the_statistics_of_large_images(
    shards, small_model, quick_settings, one_cpu, tmp_path
):
    """A checkerboard of single pixels is grey to the small images' filters and contrast to the large ones'."""
    settings = replace(quick_settings, input_size=56, max_epochs=8, ema_decay=0.9, resolutions=(Resolution(16, 0.4),))
    sizes = SeenImages()
    result = train(shards, small_model, settings, tmp_path, seed=3, hardware=one_cpu, callbacks=[sizes])
    assert [size for _, size, _ in sizes.batches] == [16] * 20 + [56] * 28
    assert result.history[result.best_epoch]["input_size"] == 56
    network, _ = load_network(result.folder)
    errors = {}
    for size in (16, 56):
        seen = []
        network.backbone.bn1.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        with torch.inference_mode():
            for batch in shard_loader(
                shards / "train", batch_size=32, workers=0, shuffle=False, seed=0, input_size=size
            ):
                network(batch["image"])
        values = torch.cat([part.transpose(0, 1).flatten(1) for part in seen], dim=1)
        deviation = network.backbone.bn1.running_var.sqrt() / values.std(dim=1)
        errors[size] = float((deviation.log().abs()).mean())
    assert errors[56] < 0.1
    assert errors[56] < 0.5 * errors[16]


def test_a_network_with_landmark_input_learns_what_only_landmarks_show(
    patterned_samples, small_model, quick_settings, one_cpu, tmp_path
):
    """Two coefficients; without landmarks that say something it knows nothing of them."""
    for part, count, seed in (("train", 96, 0), ("val", 32, 1)):
        samples = patterned_samples(count, seed=seed, hidden=1.0)
        write_shards(samples, tmp_path / "shards" / part, chunk_mb=0.05, jpeg_quality=90)
    settings = replace(quick_settings, landmark_input=True)
    result = train(tmp_path / "shards", small_model, settings, tmp_path / "out", seed=3, hardware=one_cpu)
    network, _ = load_network(result.folder)
    (batch,) = shard_loader(tmp_path / "shards" / "val", batch_size=32, workers=0, shuffle=False, seed=0, input_size=28)
    landmarks, hidden = batch["landmarks"], batch["expression"][:, 6:8]
    with torch.inference_mode():
        informed = network(batch["image"], landmarks)[:, 6:8]
        blind = network(batch["image"], landmarks.mean(dim=0).expand(32, -1, -1))[:, 6:8]
    assert (informed - hidden).square().mean() < 0.3 * hidden.square().mean()
    assert (blind - hidden).square().mean() > 0.7 * hidden.square().mean()


def test_a_student_learns_from_its_teacher_alone(trained, shards, small_model, quick_settings, one_cpu, tmp_path):
    settings = replace(quick_settings, max_epochs=8, loss_weights=LossWeights(coefficients=0.0, teacher=1.0))
    options = {"seed": 5, "hardware": one_cpu, "teacher": trained.folder}
    result = train(shards, small_model, settings, tmp_path, **options)
    outputs = [
        predict_shards(load_network(folder)[0], shards / "val", batch_size=32)[0]
        for folder in (trained.folder, result.folder)
    ]
    assert np.mean((outputs[1] - outputs[0]) ** 2) < 0.4 * np.mean(outputs[0] ** 2)


def test_a_teacher_of_another_face_model_is_refused(trained, shards, small_model, quick_settings, one_cpu, tmp_path):
    other = replace(small_model, name="another")
    with pytest.raises(ModelMismatchError, match="'small', not of 28 of 'another'"):
        train(shards, other, quick_settings, tmp_path, seed=5, hardware=one_cpu, teacher=trained.folder)
