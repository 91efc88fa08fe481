"""What both trainings of DeepExp3D share: the Lightning run inside an MLflow run, curves, and the results' metadata."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets import experiments
from assets.landmark_correspondence import load_detector_model
from assets.stage import StageResult, skip_reason
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.storage import written_whole

if TYPE_CHECKING:
    from assets.params import Training

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
    from pytorch_lightning.loggers import MLFlowLogger

    from models.expression.training import train

    folder = workspace.data(stage)
    shards = training_shards(workspace, stage, section.shards)
    parameters = section.model_dump(mode="json")
    with experiments.training_run(workspace, stage, synthetic=synthetic, parameters=parameters) as run:
        logger = MLFlowLogger(
            experiment_name=stage, tracking_uri=experiments.tracking_uri(workspace), run_id=run.info.run_id
        )
        result = train(
            shards,
            load_detector_model(workspace),
            section.settings(),
            folder,
            seed=section.seed,
            hardware=section.hardware,
            init_from=initial_network(workspace, section.init_from),
            teacher=None if section.teacher is None else workspace.path(section.teacher),
            logger=logger,
        )
        curves = folder / "curves.png"
        with written_whole(curves) as path:
            curves_figure(result.history).savefig(path, dpi=110)
        log_results(result.metrics, [curves, folder / "history.csv", folder / "network.json"])
        link = experiments.run_link(workspace, run)
    return StageResult(
        {
            "data": "synthetic" if synthetic else "real",
            "backbone": section.backbone,
            "images of": ", ".join(source.name for source in shards),
            "epochs": len(result.history),
            "best epoch": result.best_epoch,
            **{UNITS.get(name, name): value for name, value in result.metrics.items()},
            "curves": curves,
            "MLflow run": link,
        }
    )


def initial_network(workspace: Workspace, name: str | None) -> Path | None:
    """Folder of the network that a training starts from: a shipped one by its name, or a folder of the project."""
    from models.expression.shipped import SHIPPED_FOLDER, SHIPPED_MODELS

    if name is None:
        return None
    return SHIPPED_FOLDER / name if name in SHIPPED_MODELS else workspace.path(name)


def training_shards(workspace: Workspace, stage: str, shares: dict[str, float]) -> dict[Path, float]:
    """Folders of the stages that `stage` learns from, with their shares; those that had to be skipped are left out.

    Raises
    ------
    DeepExp3DError
        All had to be.
    """
    present = {name: share for name, share in shares.items() if share > 0 and not skip_reason(workspace, name)}
    if not present:
        raise DeepExp3DError(
            f"{stage}: none of {', '.join(shares)} has any images; name others under {stage}.shards in params.yaml."
        )
    return {workspace.data(name): share for name, share in present.items()}


def log_results(metrics: dict[str, float], files: list[Path]) -> None:
    """Final figures and files of the run that is open."""
    import mlflow

    mlflow.log_metrics({f"final/{name.replace('val/', '')}": value for name, value in metrics.items()})
    for file in files:
        mlflow.log_artifact(str(file))


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
