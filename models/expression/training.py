"""Training DeepExp3D: from a folder of shards to weights, a contract and a history, through any interruption."""

import csv
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint

from models.errors import ModelMismatchError
from models.expression.contract import NetworkContract
from models.expression.loading import shard_loader
from models.expression.network import (
    CONTRACT,
    WEIGHTS,
    DeepExp3D,
    ExpressionNetwork,
    load_network,
    read_weights,
    save_network,
    set_weights,
)
from models.expression.settings import Hardware, TrainingSettings
from models.expression.shards import INDEX, first_chunk, number_of_samples
from models.morphable_model.model import MorphableModel
from models.packages import sha256_of
from models.storage import written_whole

log = logging.getLogger(__name__)

HISTORY = "history.csv"
RUN = "run.json"
HISTORY_COLUMNS = [
    "epoch",
    "step",
    "input_size",
    "train/mse",
    "val/mse",
    "val/mse_mm2",
    "val/vertex_rms",
    "learning_rate",
    "seconds",
]


@dataclass(frozen=True)
class TrainingResult:
    """Where the results lie, and how good the best epoch was.

    Attributes
    ----------
    folder : holds `weights.npz`, `network.json`, `history.csv`
    contract : what the network's numbers mean
    best_epoch : counted from 0
    metrics : `val/mse` (whitened), `val/mse_mm2` and `val/vertex_rms` of that epoch
    history : a row for each epoch, by the columns of the CSV file
    """

    folder: Path
    contract: NetworkContract
    best_epoch: int
    metrics: dict[str, float]
    history: list[dict[str, float]]


def train(
    shards: Path | str | Mapping[Path | str, float],
    model: MorphableModel,
    settings: TrainingSettings,
    folder: Path | str,
    *,
    seed: int,
    hardware: Hardware | None = None,
    init_from: Path | str | None = None,
    teacher: Path | str | None = None,
    logger=None,
    callbacks: Sequence[pl.Callback] = (),
) -> TrainingResult:
    """Train on `shards/train`, choose the best epoch on `shards/val`, write the results into `folder`.

    A killed run goes on from its last checkpoint when called again with the same arguments, a finished one is not
    repeated, and one with other data or settings starts anew.

    Parameters
    ----------
    shards : folder with `train` and `val` as written by `write_shards`, or several with the share of the training that
        each one gives; validation is on all that their `val` hold
    model : the morphable model that the coefficients belong to
    settings : what to train
    folder : where results and checkpoints go
    seed : of the initial weights, the order of images and the augmentation
    hardware : where to run; what there is when left out
    init_from : folder of a trained network to start from (fine-tuning)
    teacher : folder of a trained network to learn from as well (distillation), by `loss_weights.teacher`
    logger : a Lightning logger, or several
    callbacks : further Lightning callbacks

    Raises
    ------
    ModelMismatchError
        The shards, the network to start from or the teacher do not fit.
    WeightsMissingError
        The network to start from or the teacher is missing.
    """
    folder, hardware = Path(folder), hardware or Hardware()
    mixed = dict(shards) if isinstance(shards, Mapping) else {shards: 1.0}
    shares = {Path(source): share for source, share in mixed.items() if share > 0}
    initial_weights = None if init_from is None else read_weights(init_from)
    contract = NetworkContract.of(model, settings.backbone, settings.input_size, settings.landmark_input)
    prior_variance = np.diag(model.expression_covariance) / model.expression_std**2
    networks = {"init_from": init_from, "teacher": teacher}
    run = _fingerprint(shares, contract, settings, prior_variance, seed, networks)
    checkpoints = folder / "checkpoints"
    if _same_run(folder, run):
        if (folder / WEIGHTS).exists():
            log.info("%s: already trained with this data and these settings", folder)
            return _finished(folder)
    else:
        for remains in (folder / WEIGHTS, folder / CONTRACT, folder / HISTORY):
            remains.unlink(missing_ok=True)
        shutil.rmtree(checkpoints, ignore_errors=True)
    with written_whole(folder / RUN) as temporary:
        temporary.write_text(json.dumps(run, indent=1, sort_keys=True))

    pl.seed_everything(seed, verbose=False)
    trainer = _trainer(settings, hardware, folder, checkpoints, logger, callbacks)
    module = DeepExp3D(
        contract,
        settings,
        seed,
        prior_variance=prior_variance,
        teacher=None if teacher is None else _teacher(teacher, contract),
    )
    if initial_weights is not None:
        set_weights(module.network, initial_weights, Path(init_from) / WEIGHTS)
    module.network.to(memory_format=torch.channels_last)
    loading = {"batch_size": settings.batch_size, "workers": hardware.workers, "seed": seed}
    loader = shard_loader(
        [source / "train" for source in shares],
        shuffle=True,
        input_size=module.loaded_size_at,
        shares=list(shares.values()),
        together=settings.images_per_video,
        **loading,
    )
    validation = shard_loader(
        [source / "val" for source in shares],
        shuffle=False,
        input_size=lambda number: module.validation_size(),
        **loading,
    )
    module.steps = _planned_steps(settings, loader.samples, trainer.world_size)
    last = checkpoints / "last.ckpt"
    if last.exists():
        log.info("%s: going on from the last checkpoint", folder)
    trainer.fit(module, loader, validation, ckpt_path=last if last.exists() else None, weights_only=True)
    # Lightning swallows the first interruption; what follows must not take a stopped run for a finished one.
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.is_global_zero:
        _keep_best(module, checkpoints, folder)
    trainer.strategy.barrier()
    return _finished(folder)


def _trainer(
    settings: TrainingSettings,
    hardware: Hardware,
    folder: Path,
    checkpoints: Path,
    logger,
    callbacks: Sequence[pl.Callback],
) -> pl.Trainer:
    keep_best = _BestAtFullSize(
        checkpoints, filename="best", monitor="val/mse", mode="min", save_top_k=1, enable_version_counter=False
    )
    keep_last = ModelCheckpoint(
        checkpoints,
        filename="last",
        save_top_k=1,
        every_n_train_steps=settings.checkpoint_every_steps,
        enable_version_counter=False,
    )
    # Statistics of normalisation layers are averages already, and those of smaller images must not linger.
    averaging = [EMAWeightAveraging(decay=settings.ema_decay, use_buffers=False)] if settings.ema_decay else []
    return pl.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        strategy=hardware.strategy,
        num_nodes=hardware.nodes,
        precision=_precision(hardware),
        sync_batchnorm=True,
        # The loader gives each process its own batches.
        use_distributed_sampler=False,
        max_epochs=-1 if settings.max_epochs is None else settings.max_epochs,
        max_steps=-1 if settings.max_steps is None else settings.max_steps,
        max_time=None if settings.max_minutes is None else timedelta(minutes=settings.max_minutes),
        gradient_clip_val=settings.gradient_clip,
        logger=logger or False,
        callbacks=[*callbacks, *averaging, _History(folder / HISTORY), keep_best, keep_last],
        default_root_dir=str(folder),
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _planned_steps(settings: TrainingSettings, samples: int, processes: int) -> int | None:
    """How many steps the limits allow.

    Asking Lightning for this while it sets up the optimiser would load the images before the checkpoint, and so lose
    the place within the epoch.
    """
    epoch = max(1, samples // (settings.batch_size * processes))
    limits = [settings.max_steps, settings.max_epochs and settings.max_epochs * epoch]
    return min((limit for limit in limits if limit is not None), default=None)


def _precision(hardware: Hardware) -> str:
    if hardware.precision != "auto":
        return hardware.precision
    if hardware.accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    capabilities = torch.cpu.get_capabilities()
    # Without these instructions bf16 is emulated, and slower than fp32.
    return "bf16-mixed" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "32-true"


class _BestAtFullSize(ModelCheckpoint):
    """Errors on smaller images, with which a training begins, do not compare: they choose nothing."""

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if module.validation_size() == module.contract.input_size:
            super().on_validation_end(trainer, module)


class _History(pl.Callback):
    """A row of metrics for each epoch, on disk at once, and a line in the log every so often."""

    SECONDS_BETWEEN_LINES = 15

    def __init__(self, path: Path):
        self.path = path
        self.started = self.last_line = time.monotonic()
        self.earlier_seconds = 0.0
        self.images = 0

    def state_dict(self) -> dict[str, float]:
        """How long the training has taken so far, those of its runs that were killed included."""
        return {"seconds": self._seconds()}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on counting from there."""
        self.earlier_seconds = state["seconds"]

    def _seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.started

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.started = self.last_line = time.monotonic()
        # Epochs that a checkpoint does not know of are about to be repeated.
        rows = [row for row in _read_history(self.path) if row["epoch"] < trainer.current_epoch]
        if trainer.is_global_zero:
            _write_history(self.path, rows)

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs, batch, batch_index) -> None:
        self.images += len(batch["weight"]) * trainer.world_size
        now = time.monotonic()
        if now - self.last_line >= self.SECONDS_BETWEEN_LINES:
            self.last_line = now
            rate = self.images / (now - self.started)
            log.info(
                "epoch %d, batch %d of %s: loss %.4f, %.0f images a second",
                trainer.current_epoch,
                batch_index + 1,
                trainer.num_training_batches,
                float(outputs["loss"]),
                rate,
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        metrics = trainer.callback_metrics
        values = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "input_size": module.validation_size(),
            "train/mse": float(metrics["train/mse_epoch"]),
            **{name: float(metrics[name]) for name in ("val/mse", "val/mse_mm2", "val/vertex_rms") if name in metrics},
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": self._seconds(),
        }
        _write_history(self.path, [*_read_history(self.path), values])
        log.info(
            "epoch %d: mse %.4f in training, %.4f in validation",
            trainer.current_epoch,
            values["train/mse"],
            values.get("val/mse", float("nan")),
        )


def _read_history(path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    with open(path, newline="") as file:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    return [row | {name: int(row[name]) for name in ("epoch", "step", "input_size")} for row in rows]


def _write_history(path: Path, rows: list[dict[str, float]]) -> None:
    with written_whole(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, HISTORY_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _keep_best(module: DeepExp3D, checkpoints: Path, folder: Path) -> None:
    """The best epoch's weights become the result, and the checkpoints, several times as large, go."""
    best = checkpoints / "best.ckpt"
    if best.exists():
        module.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
    save_network(module.network, module.contract, folder)
    shutil.rmtree(checkpoints, ignore_errors=True)


def _finished(folder: Path) -> TrainingResult:
    contract = NetworkContract.load(folder / CONTRACT)
    history = _read_history(folder / HISTORY)
    validated = [row for row in history if "val/mse" in row and row["input_size"] == contract.input_size]
    best = min(validated, key=lambda row: row["val/mse"]) if validated else {"epoch": -1}
    metrics = {name: value for name, value in best.items() if name.startswith("val/")}
    return TrainingResult(folder, contract, best["epoch"], metrics, history)


def _same_run(folder: Path, run: dict) -> bool:
    try:
        return json.loads((folder / RUN).read_text()) == run
    except (OSError, ValueError):
        return False


def _teacher(folder: Path | str, contract: NetworkContract) -> ExpressionNetwork:
    teacher, taught = load_network(folder)
    if taught.face_model != contract.face_model or taught.expression_std.shape != contract.expression_std.shape:
        raise ModelMismatchError(
            f"{folder}: this teacher speaks of {len(taught.expression_std)} coefficients of the face model "
            f"'{taught.face_model}', not of {len(contract.expression_std)} of '{contract.face_model}'; choose another."
        )
    return teacher


def _fingerprint(
    shares: Mapping[Path, float],
    contract: NetworkContract,
    settings: TrainingSettings,
    prior_variance: np.ndarray,
    seed: int,
    networks: Mapping[str, Path | str | None],
) -> dict:
    """All that the result depends on, as plain JSON."""
    weights = {name: None if source is None else sha256_of(Path(source) / WEIGHTS) for name, source in networks.items()}
    return json.loads(
        json.dumps(
            {
                "seed": seed,
                "data": [{"share": share, **_identity(source)} for source, share in shares.items()],
                "contract": hashlib.sha256(contract.to_json().encode()).hexdigest(),
                "settings": asdict(settings),
                "prior_variance": prior_variance.round(7).tolist(),
                **weights,
            }
        )
    )


def _identity(shards: Path) -> dict[str, str]:
    identity = {part: sha256_of(shards / part / INDEX) for part in ("train", "val") if number_of_samples(shards / part)}
    # Chunks of other pixels may have the same sizes; the first one's bytes tell them apart.
    return identity | {"first_chunk": hashlib.sha256(first_chunk(shards / "train")).hexdigest()}
