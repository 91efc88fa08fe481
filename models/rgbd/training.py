"""Training of one pipeline on one division of people, and its answers for those who are tested (section 5.1).

A plain loop: what is trained is small and trained hundreds of times, on arrays that fit into memory as they are.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.rgbd.backbones import Backbone, pretrained_parameters
from models.rgbd.network_settings import EarlyStopping, RgbdHardware, RgbdTrainingSettings
from models.rgbd.networks import build_network
from models.rgbd.pipelines import CLASSES, Pipeline

# Images that are classified together.
BATCH = 256
# A loss that is not lower than the least one by this share counts as no gain.
GAIN = 0.01


@dataclass(frozen=True)
class TrainedPipeline:
    """A trained network.

    Attributes
    ----------
    pipeline : what it is
    network : ready for inference; takes the pipeline's inputs in their order, gives logits of `CLASSES`
    fusion_levels : that it was built with
    losses : mean cross-entropy of the training images over each epoch, as they went through the training
    seconds : that the training took
    """

    pipeline: Pipeline
    network: nn.Module
    fusion_levels: tuple[int, ...]
    losses: tuple[float, ...]
    seconds: float

    @property
    def epochs(self) -> int:
        """How many it was trained for."""
        return len(self.losses)

    @property
    def loss(self) -> float:
        """That of the last epoch."""
        return self.losses[-1]

    def probabilities(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """(F, 6) probabilities, in the order of `CLASSES`, of samples with inputs by name."""
        given = [torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in self.pipeline.inputs]
        device = next(self.network.parameters()).device
        answers = []
        with torch.inference_mode():
            for start in range(0, len(given[0]), BATCH):
                logits = self.network(*(one[start : start + BATCH].to(device) for one in given))
                answers.append(logits.softmax(dim=1).cpu().numpy())
        return np.concatenate(answers)


def train_pipeline(
    pipeline: Pipeline,
    inputs: Mapping[str, np.ndarray],
    labels: np.ndarray,
    settings: RgbdTrainingSettings | None = None,
    *,
    seed: int,
    people: np.ndarray | None = None,
    hardware: RgbdHardware | None = None,
    backbones: Mapping[str, Backbone] | None = None,
) -> TrainedPipeline:
    """Train a pipeline on all samples that it is given. The same seed gives the same network.

    Nothing is computed from the samples beforehand: the only statistics are those of batch normalisation.

    Parameters
    ----------
    inputs : by name, (F, ...) each: depth maps (64, 64), features (D,), or uint8 images for backbones that are trained
        on
    labels : (F,) names out of `CLASSES`
    seed : of first weights, order of the images, and people who are held back
    people : (F,) who is on the samples; only early stopping with people held back asks for it
    backbones : by name; only a training that fine-tunes them asks for them

    Raises
    ------
    ValueError
        There are too few samples, or people to hold back.
    """
    settings, hardware = settings or RgbdTrainingSettings(), hardware or RgbdHardware()
    device = resolved_device(hardware)
    begin = time.monotonic()
    targets = torch.tensor([CLASSES.index(label) for label in labels])
    given = [torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in pipeline.inputs]
    learned, watched = _held_back(people, len(targets), settings.early_stopping, seed)
    if len(learned) < 2:
        raise ValueError(f"{len(learned)} samples to learn from; batch normalisation needs two at least.")
    trunks = {
        name: backbones[name].copied_trunk()
        for name in pipeline.backbones
        if settings.fine_tune_backbones and backbones
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(pipeline, settings.fusion_levels, trunks)
    network = network.to(device, memory_format=torch.channels_last)
    run = _Run(
        network,
        _optimiser(network, settings),
        [one.to(device) for one in given],
        targets.to(device),
        resolved_precision(hardware, pipeline, settings) == "bfloat16",
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(hardware.threads)
    try:
        losses = run.fit(learned, watched, settings, torch.Generator().manual_seed(seed))
    finally:
        torch.set_num_threads(threads)
    return TrainedPipeline(pipeline, network.eval(), tuple(settings.fusion_levels), losses, time.monotonic() - begin)


def resolved_device(hardware: RgbdHardware) -> str:
    """The device that "auto" stands for here."""
    if hardware.device != "auto":
        return hardware.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def resolved_precision(hardware: RgbdHardware, pipeline: Pipeline, settings: RgbdTrainingSettings) -> str:
    """The precision that "auto" stands for here: bfloat16 halves the time of convolutions, and gains levels little."""
    if hardware.precision != "auto":
        return hardware.precision
    convolves = pipeline.convolves or (settings.fine_tune_backbones and bool(pipeline.backbones))
    if resolved_device(hardware).startswith("cuda"):
        able = torch.cuda.is_bf16_supported()
    else:
        # Without these instructions bfloat16 is emulated, and slower than float32.
        capabilities = torch.cpu.get_capabilities()
        able = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return "bfloat16" if convolves and able else "float32"


@dataclass
class _Run:
    """A network in training, and what it learns from."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    inputs: list[Tensor]
    targets: Tensor
    reduced: bool

    def fit(
        self, learned: Tensor, watched: Tensor, settings: RgbdTrainingSettings, generator: torch.Generator
    ) -> tuple[float, ...]:
        """Train; the loss of each epoch that it took."""
        stopping = settings.early_stopping
        least, least_at, best = float("inf"), 0, None
        losses: list[float] = []
        for epoch in range(1, settings.epochs + 1):
            loss = self.epoch(learned, settings.batch_size, generator)
            losses.append(loss)
            if stopping is None:
                continue
            judged = loss
            if len(watched):
                self.measure_statistics(learned, settings.batch_size)
                judged = self.loss_of(watched)
            if judged < least * (1 - GAIN):
                least, least_at = judged, epoch
                if len(watched):
                    best = {name: value.clone() for name, value in self.network.state_dict().items()}
            if loss <= stopping.enough or epoch - least_at >= stopping.patience:
                break
        if best is not None:
            self.network.load_state_dict(best)
        self.measure_statistics(learned, settings.batch_size)
        return tuple(losses)

    def measure_statistics(self, learned: Tensor, batch_size: int) -> None:
        """Give batch normalisation the means and variances of the samples that are learned from, under these weights.

        That is how its authors have it (algorithm 2 of the paper's reference [31]). Averages that follow along during
        the training lag behind weights that move by 0.003 in every step, and spoil the answers.
        """
        layers = [module for module in self.network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            # The plain mean over all batches.
            layer.momentum = None
        self.network.train()
        with torch.no_grad():
            for batch in learned.tensor_split(_batch_count(len(learned), batch_size)):
                self._loss(batch.to(self.targets.device))
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum

    def epoch(self, learned: Tensor, batch_size: int, generator: torch.Generator) -> float:
        """Go through all samples once; their mean loss on the way."""
        self.network.train()
        total = 0.0
        for batch in _batches(learned, batch_size, generator):
            loss = self._loss(batch.to(self.targets.device))
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            total = total + loss.detach() * len(batch)
        return float(total) / len(learned)

    def loss_of(self, rows: Tensor) -> float:
        """Mean loss of samples that are not learned from."""
        self.network.eval()
        with torch.inference_mode():
            return float(self._loss(rows.to(self.targets.device)))

    def _loss(self, rows: Tensor) -> Tensor:
        device = self.targets.device.type
        with torch.autocast(device, torch.bfloat16) if self.reduced else nullcontext():
            logits = self.network(*(one[rows] for one in self.inputs))
        return nn.functional.cross_entropy(logits.float(), self.targets[rows])


def _batches(rows: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows in a new order, in batches of about `size` that differ by one at most."""
    order = rows[torch.randperm(len(rows), generator=generator)]
    return iter(order.tensor_split(_batch_count(len(rows), size)))


def _batch_count(samples: int, size: int) -> int:
    return max(1, round(samples / size))


def _optimiser(network: nn.Module, settings: RgbdTrainingSettings) -> torch.optim.Optimizer:
    pretrained = pretrained_parameters(network)
    known = {id(parameter) for parameter in pretrained}
    groups = [{"params": [parameter for parameter in network.parameters() if id(parameter) not in known]}]
    if pretrained:
        groups.append({"params": pretrained, "lr": settings.backbone_learning_rate})
    return torch.optim.Adam(groups, lr=settings.learning_rate, fused=True)


def _held_back(
    people: Sequence[str] | None, count: int, stopping: EarlyStopping | None, seed: int
) -> tuple[Tensor, Tensor]:
    """Samples that are learned from, and those that tell when to stop."""
    if stopping is None or not stopping.people:
        return torch.arange(count), torch.arange(0)
    names = np.unique([] if people is None else people)
    if len(names) <= stopping.people:
        raise ValueError(f"early stopping holds {stopping.people} people back, and there are {len(names)} to train on.")
    held = np.random.default_rng([seed, 7]).choice(names, stopping.people, replace=False)
    watched = np.isin(people, held)
    return torch.from_numpy(np.flatnonzero(~watched)), torch.from_numpy(np.flatnonzero(watched))
