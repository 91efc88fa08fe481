"""DeepExp3D: a residual network from an aligned face to the expression coefficients (paper, section III-C)."""

import math
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pytorch_lightning as pl
import torch
import torchvision
from torch import Tensor, nn

from models.errors import ModelMismatchError, WeightsMissingError
from models.expression.alignment import IMAGE_SIZE
from models.expression.augmentation import augmented
from models.expression.contract import NetworkContract
from models.expression.losses import (
    COEFFICIENT_LOSSES,
    balanced_error,
    confidence_of,
    landmark_directions,
    landmark_error,
    pair_error,
    squared_l2,
    vertex_error,
)
from models.expression.settings import TrainingSettings
from models.storage import load_arrays, save_arrays

WEIGHTS = "weights.npz"
CONTRACT = "network.json"

# Features that the landmarks are turned into, and those that image and landmarks are joined into.
LANDMARK_FEATURES = 256
JOINT_FEATURES = 256
# Landmarks lie some five pixels of 224 off the template: this makes about one of it.
LANDMARK_GAIN = 40.0


class ExpressionNetwork(nn.Module):
    """Aligned faces in, expression in standard deviations out.

    Takes (B, S, S, 3) uint8 images, or floats in [0, 1], of the alignment's size or already of `input_size`;
    shrinking and normalisation are part of the network, so that no user of it can get them wrong. Smaller images go
    through as they are: only a training that begins with them has a use for it.

    Parameters
    ----------
    backbone : a name of `BACKBONES`
    input_size : side of the image that the backbone works on, pixels
    outputs : n_e
    template : (68, 2) where the landmarks of an aligned image lie, pixels of that image. With it the network takes the
        landmarks (B, 68, 2) that were found beside the image; without it, it is the paper's
    """

    def __init__(self, backbone: str, input_size: int, outputs: int, template: np.ndarray | None = None):
        super().__init__()
        if backbone not in BACKBONES:
            raise ModelMismatchError(f"backbone '{backbone}' is unknown; choose one of {', '.join(BACKBONES)}.")
        if IMAGE_SIZE % input_size:
            raise ModelMismatchError(f"input_size {input_size} does not divide the aligned image's {IMAGE_SIZE}.")
        self.input_size = input_size
        self.backbone = BACKBONES[backbone]()
        self.features = features = self.backbone.fc.in_features
        if template is None:
            self.backbone.fc = last = nn.Linear(features, outputs)
        else:
            last = nn.Linear(JOINT_FEATURES, outputs)
            self.backbone.fc = nn.Identity()
            self.landmark_features = nn.Sequential(
                nn.Linear(template.size, LANDMARK_FEATURES),
                nn.ReLU(),
                nn.Linear(LANDMARK_FEATURES, LANDMARK_FEATURES),
                nn.ReLU(),
            )
            self.joint = nn.Sequential(nn.Linear(features + LANDMARK_FEATURES, JOINT_FEATURES), nn.ReLU(), last)
            self.register_buffer("template", torch.tensor(template, dtype=torch.float32), persistent=False)
        self.landmark_input = template is not None
        # Start at rest: a random head would first have to unlearn its noise.
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        # The usual statistics of photographs.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)

    @classmethod
    def of(cls, contract: NetworkContract) -> "ExpressionNetwork":
        """An untrained network as the contract describes it."""
        template = contract.template if contract.landmark_input else None
        return cls(contract.backbone, contract.input_size, len(contract.expression_std), template)

    def forward(self, images: Tensor, landmarks: Tensor | None = None) -> Tensor:
        """Expression (B, n_e) in standard deviations; a network without landmark input takes no notice of them."""
        seen = self.backbone_output(images)
        return self.joined(seen, landmarks) if self.landmark_input else seen

    def backbone_output(self, images: Tensor) -> Tensor:
        """Features (B, `features`) of the images alone; without landmark input the expression (B, n_e) itself."""
        pixels = images.permute(0, 3, 1, 2)
        pixels = pixels.float() / 255 if images.dtype == torch.uint8 else pixels
        if pixels.shape[-1] > self.input_size:
            pixels = nn.functional.avg_pool2d(pixels, pixels.shape[-1] // self.input_size)
        pixels = (pixels - self.mean) / self.std
        return self.backbone(pixels.contiguous(memory_format=torch.channels_last))

    def joined(self, features: Tensor, landmarks: Tensor) -> Tensor:
        """Expression (B, n_e) from the images' features and the landmarks found in them."""
        offsets = (landmarks - self.template) * (LANDMARK_GAIN / IMAGE_SIZE)
        return self.joint(torch.cat([features, self.landmark_features(offsets.flatten(1))], dim=1))


def _half_width_resnet18() -> nn.Module:
    """ResNet-18 with half the channels: a quarter of the work, for machines without a GPU."""
    network = torchvision.models.resnet18(weights=None)
    network.inplanes = 32
    network.conv1 = nn.Conv2d(3, 32, kernel_size=7, stride=2, padding=3, bias=False)
    network.bn1 = nn.BatchNorm2d(32)
    block = torchvision.models.resnet.BasicBlock
    for number, (channels, stride) in enumerate([(32, 1), (64, 2), (128, 2), (256, 2)], 1):
        setattr(network, f"layer{number}", network._make_layer(block, channels, 2, stride=stride))
    network.fc = nn.Linear(256, 1000)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


BACKBONES = {
    "resnet50": partial(torchvision.models.resnet50, weights=None),
    "resnet18": partial(torchvision.models.resnet18, weights=None),
    "resnet18_half": _half_width_resnet18,
}


class DeepExp3D(pl.LightningModule):
    """The network with its loss, weighted by sample and certainty, and the metrics that are reported.

    Logged: `train/mse`, `val/mse` (whitened), `val/mse_mm2`, `val/vertex_rms` (over the inter-ocular distance), none of
    them weighted, and each term of the loss.

    Parameters
    ----------
    contract : what the outputs mean
    settings : how to train
    seed : of the augmentation
    steps : how many the schedules of learning rate and resolution span; None where only the time is limited
    prior_variance : (n_e,) of the coefficients in squared standard deviations, as natural expression has it. Settings
        that weigh by uncertainty, or balance the coefficients, need it
    teacher : a network to learn from beside the samples; it sees the same augmented images at its own resolution
    """

    def __init__(
        self,
        contract: NetworkContract,
        settings: TrainingSettings,
        seed: int,
        steps: int | None = None,
        prior_variance: np.ndarray | None = None,
        teacher: ExpressionNetwork | None = None,
    ):
        super().__init__()
        self.steps = steps
        self.network = ExpressionNetwork.of(contract)
        self.contract = contract
        self.settings = settings
        self.seed = seed
        self.latest_size: int | None = None
        # In a tuple, for it is no part of what is trained and saved.
        self._teacher = () if teacher is None else (teacher.eval().requires_grad_(False),)
        self._keep("expression_std", contract.expression_std)
        directions = landmark_directions(
            contract.landmark_expression_basis, contract.expression_std, settings.loss_weights
        )
        self._keep("landmark_directions", directions)
        self._keep("prior_variance", prior_variance)
        # Serves the training only, and goes with it.
        alone = self.network.landmark_input and settings.loss_weights.image_alone
        self.image_head = nn.Linear(self.network.features, len(contract.expression_std)) if alone else None

    def _keep(self, name: str, values: np.ndarray | None) -> None:
        """A constant that moves with the module and is not saved with it."""
        tensor = None if values is None else torch.tensor(values, dtype=torch.float32)
        self.register_buffer(name, tensor, persistent=False)

    def forward(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Expression (B, n_e) in standard deviations of aligned images (B, S, S, 3) and landmarks (B, 68, 2)."""
        return self.network(images, landmarks).float()

    def progress(self, step: int) -> float:
        """How much of the training, 0 to 1, is over before step `step`: of its steps or, if more, of its time."""
        return min(1.0, max(step / self.steps if self.steps else 0.0, self._share_of_time()))

    def input_size_at(self, step: int) -> int:
        """Side of the images that the network is trained on in step `step`."""
        return self.settings.input_size_at(self.progress(step))

    def loaded_size_at(self, step: int) -> int:
        """Side of the images to load for step `step`: a teacher may want larger ones."""
        return max([self.input_size_at(step)] + [teacher.input_size for teacher in self._teacher])

    def validation_size(self) -> int:
        """Side of the images to validate on: what the network has just been trained on."""
        return self.latest_size or self.input_size_at(self.trainer.global_step)

    def on_fit_start(self) -> None:
        """Lightning moves only what is part of the module."""
        for teacher in self._teacher:
            teacher.to(self.device)

    def on_after_batch_transfer(self, batch: dict, dataloader_idx: int) -> dict:
        """Augment training batches, each from its own seed: a resumed run sees what an uninterrupted one would."""
        if not self.trainer.training:
            return batch
        generator = torch.Generator(self.device)
        generator.manual_seed((self.seed * 1_000_003 + self.trainer.global_step) * 4096 + self.trainer.global_rank)
        images, landmarks = augmented(batch["image"], batch["landmarks"], self.settings.augmentation, generator)
        return {**batch, "image": images, "landmarks": landmarks}

    def training_step(self, batch: dict, batch_index: int) -> Tensor:
        """Weighted loss of a batch."""
        images, landmarks, weight = batch["image"], batch["landmarks"], batch["weight"]
        # Batches that were loaded ahead may still be of the smaller size.
        self.latest_size = min(images.shape[1], self.input_size_at(self.trainer.global_step))
        seen = self.network.backbone_output(shrunk(images, self.latest_size))
        output = (self.network.joined(seen, landmarks) if self.network.landmark_input else seen).float()
        terms = self._terms(output, batch)
        if self.image_head is not None:
            alone = self._terms(self.image_head(seen).float(), batch)
            terms["image_alone"] = sum(getattr(self.settings.loss_weights, name) * term for name, term in alone.items())
        for teacher in self._teacher:
            with torch.no_grad():
                taught = teacher(shrunk(images, teacher.input_size), landmarks).float()
            terms["teacher"] = _mean(squared_l2(output - taught), weight)
        weights = self.settings.loss_weights
        loss = sum(getattr(weights, name) * term for name, term in terms.items())
        error = squared_l2(output.detach() - batch["expression"]).mean()
        self.log("train/mse", error, on_step=True, on_epoch=True, prog_bar=True, batch_size=len(weight))
        logged = {f"train/loss_{name}": term.detach() for name, term in terms.items()}
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=len(weight))
        return loss

    def _terms(self, output: Tensor, batch: dict) -> dict[str, Tensor]:
        """The terms of the loss that have a weight and compare with the samples."""
        weight, weights = batch["weight"], self.settings.loss_weights
        error = output - batch["expression"]
        if self.settings.uncertainty_weights:
            error = error * confidence_of(batch["uncertainty"], weight, self.prior_variance).sqrt()
        terms = {}
        if weights.coefficients:
            terms["coefficients"] = _mean(COEFFICIENT_LOSSES[self.settings.optimisation.loss](error), weight)
        if weights.balanced:
            terms["balanced"] = _mean(balanced_error(error, self.prior_variance), weight)
        if weights.vertices:
            terms["vertices"] = _mean(vertex_error(error, self.expression_std), weight)
        if weights.landmarks:
            terms["landmarks"] = _mean(landmark_error(error, self.landmark_directions), weight)
        if weights.pairs:
            terms["pairs"] = pair_error(error, batch["video"], weight)
        return terms

    def validation_step(self, batch: dict, batch_index: int) -> None:
        """Errors of a batch, averaged over the epoch by Lightning."""
        error = (self(batch["image"], batch["landmarks"]) - batch["expression"]).square()
        errors = {
            "val/mse": error.mean(),
            "val/mse_mm2": (error * self.expression_std.square()).mean(),
            "val/vertex_mean_square": self._vertex_mean_square(error).mean(),
        }
        self.log_dict(
            errors, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch["weight"]), sync_dist=True
        )

    def on_validation_epoch_end(self) -> None:
        """The root comes after the mean, which Lightning has taken by now."""
        mean_square = self.trainer.callback_metrics.get("val/vertex_mean_square")
        if mean_square is not None:
            self.log("val/vertex_rms", mean_square.sqrt())

    def _vertex_mean_square(self, error: Tensor) -> Tensor:
        """Squared vertex error over the squared inter-ocular distance; an orthonormal basis keeps lengths."""
        per_vertex = (error * self.expression_std.square()).sum(dim=1) / self.contract.vertices
        return per_vertex / self.contract.interocular_distance**2

    def configure_optimizers(self) -> dict:
        """AdamW; neither biases nor normalisation layers are decayed."""
        decayed = [parameter for parameter in self.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in self.parameters() if parameter.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.settings.optimisation.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=self.settings.optimisation.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._learning_rate_factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _learning_rate_factor(self, step: int) -> float:
        optimisation = self.settings.optimisation
        warm_up = min(1.0, (step + 1) / max(1, optimisation.warm_up_steps))
        if optimisation.schedule == "constant":
            return warm_up
        return warm_up * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress(step))))

    def _share_of_time(self) -> float:
        """Used part of a time budget: the learning rate has fallen when the time is up, wherever the epochs are."""
        for callback in self.trainer.callbacks:
            if isinstance(callback, pl.callbacks.Timer) and callback.time_remaining() is not None:
                used, left = callback.time_elapsed(), callback.time_remaining()
                return used / max(used + left, 1e-9)
        return 0.0


def shrunk(images: Tensor, size: int) -> Tensor:
    """Images (B, S, S, 3) averaged over areas to (B, size, size, 3), or as they are if they are no larger."""
    if images.shape[1] <= size:
        return images
    pixels = images.permute(0, 3, 1, 2)
    pixels = pixels.float() / 255 if images.dtype == torch.uint8 else pixels
    return nn.functional.adaptive_avg_pool2d(pixels, size).permute(0, 2, 3, 1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (weight * values).sum() / weight.sum()


def save_network(
    network: ExpressionNetwork, contract: NetworkContract, folder: Path | str, *, half_precision: bool = False
) -> None:
    """Write `weights.npz` and, beside it, the contract as `network.json`.

    In half precision the file is half as large: exact enough to go on training from.
    """
    contract.save(Path(folder) / CONTRACT)
    weights = {}
    for name, value in network.state_dict().items():
        value = value.half() if half_precision and value.is_floating_point() else value
        weights[name] = value.detach().cpu().numpy()
    save_arrays(Path(folder) / WEIGHTS, **weights)


def load_network(folder: Path | str) -> tuple[ExpressionNetwork, NetworkContract]:
    """Read what `save_network` wrote; the network is ready for inference.

    Raises
    ------
    WeightsMissingError
        There are no weights in the folder, or they cannot be read.
    ModelMismatchError
        The contract is missing or the weights are of another network.
    """
    weights = read_weights(folder)
    contract = NetworkContract.load(Path(folder) / CONTRACT)
    network = ExpressionNetwork.of(contract)
    set_weights(network, weights, Path(folder) / WEIGHTS)
    return network.eval(), contract


def read_weights(folder: Path | str) -> dict[str, Tensor]:
    """The tensors in a folder's `weights.npz`.

    Raises
    ------
    WeightsMissingError
        The file is missing or damaged.
    """
    path = Path(folder) / WEIGHTS
    try:
        return {name: torch.from_numpy(value) for name, value in load_arrays(path).items()}
    except (OSError, ValueError, BadZipFile) as error:
        raise WeightsMissingError(f"{path}: cannot be read ({error}); train the network, or copy it there.") from error


def set_weights(network: ExpressionNetwork, weights: dict[str, Tensor], source: Path | str) -> None:
    """Give a network its weights; `source` names them in errors.

    Raises
    ------
    ModelMismatchError
        The weights are of another network.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelMismatchError(
            f"{source}: these weights do not fit the network ({str(error).splitlines()[1].strip()}); "
            "use the same backbone and the same number of coefficients, or train anew."
        ) from error
