"""DeepExp3D: a residual network from an aligned face to the expression coefficients (paper, section III-C)."""

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
from models.expression.settings import Augmentation, Optimisation
from models.storage import load_arrays, save_arrays

WEIGHTS = "weights.npz"
CONTRACT = "network.json"

# Features that the landmarks are turned into, and those that image and landmarks are joined into.
LANDMARK_FEATURES = 256
JOINT_FEATURES = 256
# Landmarks lie some five pixels of 224 off the template: this makes about one of it.
LANDMARK_GAIN = 40.0


def squared_l2(output: Tensor, target: Tensor, confidence: Tensor | float = 1.0) -> Tensor:
    """Mean squared error of each sample, (B,), its coefficients weighted by `confidence` (B, n_e)."""
    return (confidence * (output - target).square()).mean(dim=1)


def l2(output: Tensor, target: Tensor, confidence: Tensor | float = 1.0) -> Tensor:
    """Root mean squared error of each sample, (B,): the l2 norm but for a constant factor."""
    # The gradient of a square root has no bound at zero.
    return (squared_l2(output, target, confidence) + 1e-8).sqrt()


_LOSSES = {"squared_l2": squared_l2, "l2": l2}


def confidence_of(uncertainty: Tensor, weight: Tensor, prior_variance: Tensor) -> Tensor:
    """How much each coefficient's error counts (B, n_e), from posterior standard deviations s (B, n_e).

    Prior over prior plus posterior variance, `v / (v + s^2)`: 1 for what is certain, 1/2 for what the landmarks said
    nothing about. Each coefficient's confidences are divided by their mean over the batch, samples counted by their
    `weight` (B,): frames are weighed against each other, and rare coefficients, of which no fit is ever sure, keep
    their share of the loss.

    Parameters
    ----------
    prior_variance : (n_e,) v, in the squared units of the uncertainties
    """
    confidence = prior_variance / (prior_variance + uncertainty.square())
    return confidence * weight.sum() / (weight[:, None] * confidence).sum(dim=0)


class ExpressionNetwork(nn.Module):
    """Aligned faces in, expression in standard deviations out.

    Takes (B, S, S, 3) uint8 images, or floats in [0, 1], of the alignment's size or already of `input_size`;
    shrinking and normalisation are part of the network, so that no user of it can get them wrong.

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
        features = self.backbone.fc.in_features
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
        pixels = images.permute(0, 3, 1, 2)
        pixels = pixels.float() / 255 if images.dtype == torch.uint8 else pixels
        if pixels.shape[-1] != self.input_size:
            pixels = nn.functional.avg_pool2d(pixels, pixels.shape[-1] // self.input_size)
        pixels = (pixels - self.mean) / self.std
        features = self.backbone(pixels.contiguous(memory_format=torch.channels_last))
        if not self.landmark_input:
            return features
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
    """The network with the paper's loss, weighted by sample and certainty, and the metrics that are reported.

    Logged: `train/mse`, `val/mse` (whitened), `val/mse_mm2`, `val/vertex_rms` (over the inter-ocular distance), none of
    them weighted.

    Parameters
    ----------
    contract : what the outputs mean
    optimisation, augmentation : how to train
    seed : of the augmentation
    steps : how many the schedule of the learning rate spans; None where only the time is limited
    prior_variance : (n_e,) of the coefficients in squared standard deviations: errors count by `confidence_of`. None
        lets all count the same, as in the paper
    """

    def __init__(
        self,
        contract: NetworkContract,
        optimisation: Optimisation,
        augmentation: Augmentation,
        seed: int,
        steps: int | None = None,
        prior_variance: np.ndarray | None = None,
    ):
        super().__init__()
        self.steps = steps
        self.network = ExpressionNetwork.of(contract)
        self.contract = contract
        self.optimisation = optimisation
        self.augmentation = augmentation
        self.seed = seed
        variance = torch.tensor(contract.expression_std, dtype=torch.float32).square()
        self.register_buffer("expression_variance", variance, persistent=False)
        prior = None if prior_variance is None else torch.tensor(prior_variance, dtype=torch.float32)
        self.register_buffer("prior_variance", prior, persistent=False)

    def forward(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Expression (B, n_e) in standard deviations of aligned images (B, S, S, 3) and landmarks (B, 68, 2)."""
        return self.network(images, landmarks)

    def on_after_batch_transfer(self, batch: dict, dataloader_idx: int) -> dict:
        """Augment training batches, each from its own seed: a resumed run sees what an uninterrupted one would."""
        if not self.trainer.training:
            return batch
        generator = torch.Generator(self.device)
        generator.manual_seed((self.seed * 1_000_003 + self.trainer.global_step) * 4096 + self.trainer.global_rank)
        images, landmarks = augmented(batch["image"], batch["landmarks"], self.augmentation, generator)
        return {**batch, "image": images, "landmarks": landmarks}

    def training_step(self, batch: dict, batch_index: int) -> Tensor:
        """Weighted loss of a batch."""
        output = self(batch["image"], batch["landmarks"]).float()
        weight = batch["weight"]
        weighs = self.prior_variance is not None
        confidence = confidence_of(batch["uncertainty"], weight, self.prior_variance) if weighs else 1.0
        error_of = _LOSSES[self.optimisation.loss]
        loss = (weight * error_of(output, batch["expression"], confidence)).sum() / weight.sum()
        error = squared_l2(output.detach(), batch["expression"]).mean()
        self.log("train/mse", error, on_step=True, on_epoch=True, prog_bar=True, batch_size=len(weight))
        return loss

    def validation_step(self, batch: dict, batch_index: int) -> None:
        """Errors of a batch, averaged over the epoch by Lightning."""
        error = (self(batch["image"], batch["landmarks"]).float() - batch["expression"]).square()
        errors = {
            "val/mse": error.mean(),
            "val/mse_mm2": (error * self.expression_variance).mean(),
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
        per_vertex = (error * self.expression_variance).sum(dim=1) / self.contract.vertices
        return per_vertex / self.contract.interocular_distance**2

    def configure_optimizers(self) -> dict:
        """AdamW; neither biases nor normalisation layers are decayed."""
        decayed = [parameter for parameter in self.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in self.parameters() if parameter.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.optimisation.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=self.optimisation.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._learning_rate_factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _learning_rate_factor(self, step: int) -> float:
        warm_up = min(1.0, (step + 1) / max(1, self.optimisation.warm_up_steps))
        if self.optimisation.schedule == "constant":
            return warm_up
        share_of_steps = step / self.steps if self.steps else 0.0
        progress = min(1.0, max(share_of_steps, self._share_of_time()))
        return warm_up * (0.01 + 0.99 * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * progress)).item()))

    def _share_of_time(self) -> float:
        """Used part of a time budget: the learning rate has fallen when the time is up, wherever the epochs are."""
        for callback in self.trainer.callbacks:
            if isinstance(callback, pl.callbacks.Timer) and callback.time_remaining() is not None:
                used, left = callback.time_elapsed(), callback.time_remaining()
                return used / max(used + left, 1e-9)
        return 0.0


def save_network(network: ExpressionNetwork, contract: NetworkContract, folder: Path | str) -> None:
    """Write `weights.npz` and, beside it, the contract as `network.json`."""
    contract.save(Path(folder) / CONTRACT)
    weights = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
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
