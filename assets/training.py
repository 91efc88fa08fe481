"""What both trainings of DeepExp3D share: the Lightning run inside an MLflow run, curves, and the results' metadata."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.experiment_record import ExperimentRecord, experiment_record
from assets.landmark_correspondence import load_detector_model
from assets.stage import SKIPPED, StageResult
from assets.streamed_shards import shards_folder
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.storage import written_whole

if TYPE_CHECKING:
    from assets.params import Training

# Trainings share a GPU only as far as `retraining.at_once` lets them.
TRAINING_POOL = "training"

UNITS = {
    "val/mse": "validation MSE, standard deviations",
    "val/vertex_rms": "validation vertex RMS / inter-ocular distance",
}


def train_stage(
    workspace: Workspace,
    stage: str,
    section: "Training",
    *,
    synthetic: bool,
) -> StageResult:
    """Train into `data/<stage>`, logging to MLflow; a killed training goes on from its last checkpoint."""
    from models.expression.training import train

    folder = workspace.data(stage)
    shards = training_shards(workspace, stage, section.shards)
    parameters = section.model_dump(mode="json")
    with experiment_record(workspace, stage, synthetic=synthetic, parameters=parameters) as record:
        result = train(
            shards,
            load_detector_model(workspace),
            section.settings(),
            folder,
            seed=section.seed,
            hardware=section.hardware,
            init_from=initial_network(workspace, section.init_from),
            teacher=None if section.teacher is None else workspace.path(section.teacher),
            logger=lightning_logger(record),
        )
        curves = folder / "curves.png"
        with written_whole(curves) as path:
            curves_figure(result.history).savefig(path, dpi=110)
        record.log_metrics({f"final/{name.replace('val/', '')}": value for name, value in result.metrics.items()})
        for file in (curves, folder / "history.csv", folder / "network.json"):
            record.log_file(file)
    return StageResult(
        {
            "data": "synthetic" if synthetic else "real",
            "backbone": section.backbone,
            "images of": ", ".join(source.name for source in shards),
            "epochs": len(result.history),
            "best epoch": result.best_epoch,
            **throughput(result.history, section.batch_size),
            **{UNITS.get(name, name): value for name, value in result.metrics.items()},
            "curves": curves,
            "MLflow run": record.link,
        }
    )


def throughput(history: list[dict[str, Any]], batch_size: int) -> dict[str, float]:
    """Images a second over a whole training, as its last epoch tells; nothing of one without an epoch."""
    if not history or not history[-1]["seconds"]:
        return {}
    return {"images a second": history[-1]["step"] * batch_size / history[-1]["seconds"]}


def initial_network(workspace: Workspace, name: str | None) -> Path | None:
    """Folder of the network that a training starts from: a shipped one by its name, or a folder of the project."""
    from models.expression.shipped import SHIPPED_FOLDER, SHIPPED_MODELS

    if name is None:
        return None
    return SHIPPED_FOLDER / name if name in SHIPPED_MODELS else workspace.path(name)


def training_shards(workspace: Workspace, stage: str, shares: dict[str, float]) -> dict[Path, float]:
    """Folders of the stages that `stage` learns from, with their shares; those that had to be skipped are left out.

    Images that are not in the project folder, but pushed to the object store of its storage profile, are streamed.

    Raises
    ------
    DeepExp3DError
        All had to be.
    """
    folders = {shards_folder(workspace, name): share for name, share in shares.items() if share > 0}
    present = {folder: share for folder, share in folders.items() if not (folder / SKIPPED).exists()}
    if not present:
        raise DeepExp3DError(
            f"{stage}: none of {', '.join(shares)} has any images; name others under {stage}.shards in params.yaml."
        )
    return present


def lightning_logger(record: ExperimentRecord):
    """What Lightning logs, into a record."""
    from pytorch_lightning.loggers.logger import Logger, rank_zero_experiment
    from pytorch_lightning.utilities import rank_zero_only

    class RecordLogger(Logger):
        """Metrics by step; parameters are in the record already."""

        @property
        def name(self) -> str:
            return record.folder.name

        @property
        def version(self) -> None:
            return None

        @property
        @rank_zero_experiment
        def experiment(self) -> ExperimentRecord:
            return record

        @rank_zero_only
        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            record.log_metrics(metrics, step or 0)

        def log_hyperparams(self, *arguments, **named) -> None:
            return None

    return RecordLogger()


def curves_figure(history: list[dict[str, Any]]):
    """Training and validation error over the epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    for name, label in (("train/mse", "training (augmented images)"), ("val/mse", "validation")):
        rows = [(row["epoch"] + 1, row[name]) for row in history if name in row]
        if rows:
            axes.plot(*zip(*rows, strict=True), marker="o", markersize=3, label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("MSE of e, standard deviations squared")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
