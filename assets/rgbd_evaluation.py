"""Tables 1 and 2 of the fusion paper (section 5)."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from assets.depth_maps import SAMPLES, TABLE
from assets.experiment_record import ExperimentRecord, experiment_record
from assets.rgbd_networks import feature_folder, own_deepexp3d, progress_bar, rgbd_hardware, weight_files
from assets.stage import StageResult, WorkspaceResource, main, materialise, skip_reason, skipped
from assets.training import TRAINING_POOL
from assets.workspace import Workspace
from models.storage import written_whole

if TYPE_CHECKING:
    from models.rgbd.result import RgbdResult

STAGE = "rgbd_evaluation"
METRICS = "metrics.json"
DIVISIONS = "divisions.json"


def evaluate_pipelines(workspace: Workspace) -> StageResult:
    """Train and test each pipeline on every division of people; finished repeats of a killed run are kept."""
    from models.rgbd.evaluation import evaluate_rgbd
    from models.rgbd.protocol import LEAST_PEOPLE, complete_people
    from models.rgbd.reconstructed_depth import reconstruction_problems
    from models.rgbd.samples import RgbdSamples

    if reason := skip_reason(workspace, "rgbd_networks"):
        return skipped(workspace, STAGE, reason)
    samples = RgbdSamples.load(workspace.data("depth_maps", SAMPLES))
    complete, lacking = complete_people(samples.subjects, samples.labels, samples.intensities)
    if len(complete) < LEAST_PEOPLE:
        left_out = " ".join(_left_out(workspace))
        reason = (
            f"skipped: of {len(complete) + len(lacking)} people {len(complete)} have all expressions, and "
            f"{LEAST_PEOPLE} are needed to learn from two and test one. {left_out} See data/depth_maps/{TABLE}"
        )
        return skipped(workspace, STAGE, reason)
    networks, settings = workspace.params.rgbd_networks, workspace.params.rgbd_evaluation
    folder, kept = workspace.data(STAGE), feature_folder(workspace)
    with experiment_record(
        workspace, STAGE, synthetic=samples.synthetic, parameters=settings.model_dump(mode="json")
    ) as record:
        result = evaluate_rgbd(
            samples,
            pipelines=networks.pipelines,
            settings=settings.settings(networks.training),
            hardware=rgbd_hardware(workspace),
            weights=weight_files(workspace),
            download=networks.download,
            deepexp3d=own_deepexp3d(workspace),
            folder=kept,
            problems=(*_left_out(workspace), *reconstruction_problems(samples)),
            progress=progress_bar,
        )
        shutil.rmtree(folder, ignore_errors=True)
        result.write(folder / METRICS)
        with written_whole(folder / DIVISIONS) as path:
            shutil.copyfile(kept / DIVISIONS, path)
        pictures = write_confusions(result, folder)
        _log(record, result, [folder / METRICS, folder / DIVISIONS, *pictures.values()])
    return StageResult(
        {
            "data": "synthetic" if result.synthetic else "real",
            "protocol": result.description,
            "people": result.people,
            **result.extent,
            "accuracy, %": _accuracies(result),
            "differences in points": _differences(result),
            "to be known": " ".join(result.problems) or "nothing",
            **{f"confusion matrix, {title}": picture for title, picture in pictures.items()},
            "MLflow run": record.link,
        }
    )


def write_confusions(result: "RgbdResult", folder: Path) -> dict[str, Path]:
    """A confusion matrix for each pipeline as a picture; title -> file."""
    from models.emotion.confusion_figure import confusion_figure
    from models.rgbd.pipelines import CLASSES

    pictures = {}
    for one in result.results:
        pictures[one.title] = folder / f"confusion-{one.pipeline}.png"
        with written_whole(pictures[one.title]) as path:
            confusion_figure(one.confusion, CLASSES, one.title).savefig(path, dpi=110)
    return pictures


def _left_out(workspace: Workspace) -> list[str]:
    """What a reader must know of the scans that could not be prepared."""
    table = pd.read_csv(workspace.data("depth_maps", TABLE))
    counts = table.status[table.status != "ok"].value_counts()
    if counts.empty:
        return []
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return [f"{counts.sum()} of {len(table)} scans were left out: {reasons}."]


def _accuracies(result: "RgbdResult") -> pd.DataFrame:
    """Table 1; published figures beside those of real people alone."""
    rows = [
        {
            "approach": row.approach,
            **({} if result.synthetic else {"published": row.published}),
            "measured": row.measured,
            "deviation": row.deviation,
            "note": row.note,
        }
        for row in result.table_1()
    ]
    return pd.DataFrame(rows)


def _differences(result: "RgbdResult") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "first": one.first[0],
                "second": one.second[0],
                "difference": 100 * one.difference,
                "low": 100 * one.low,
                "high": 100 * one.high,
            }
            for one in result.differences
        ],
        columns=["first", "second", "difference", "low", "high"],
    )


def _log(record: ExperimentRecord, result: "RgbdResult", files: list[Path]) -> None:
    for one in result.results:
        figures = {"accuracy": one.accuracy, "deviation": one.deviation or 0.0, "projected_hours": one.projected_hours}
        figures |= {f"accuracy/{name}": value for name, value in one.class_accuracy.items()}
        record.log_metrics({f"{one.pipeline}/{name}": value for name, value in figures.items()})
    record.log_metrics({f"{one.first[0]} less {one.second[0]}": one.difference for one in result.differences})
    for file in files:
        record.log_file(file)


@dg.asset(
    name=STAGE,
    group_name="rgbd",
    deps=["depth_maps", "rgbd_networks", "deepexp3d"],
    kinds={"pytorch", "mlflow"},
    pool=TRAINING_POOL,
)
def rgbd_evaluation(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Accuracy of depth, colour and fusion on people whom no training has seen: 54 of 60 are learned from, 6 tested.

    The paper repeats that 200 times. Every fusion is compared with what it is made of, on the same divisions.
    """
    return materialise(context, workspace, evaluate_pipelines)


if __name__ == "__main__":
    main(STAGE, evaluate_pipelines)
