"""Stress from facial video (section IV-B, Table IV)."""

import json
from dataclasses import replace

import dagster as dg
import pandas as pd
from tqdm import tqdm

from assets.experiment_record import ExperimentRecord, experiment_record
from assets.rendered_benchmarks import dataset_root
from assets.stage import FOLLOWS_ITS_INPUTS, SKIPPED, StageResult, WorkspaceResource, main, materialise, skip, skipped
from assets.workspace import Workspace
from models.emotion.datasets.contents import SYNTHETIC
from models.emotion.stress_videos import COLUMNS, MANIFEST
from models.packages import sha256_of
from models.storage import written_whole

STAGE = "stress_detection"
FOLDER = "srd15"


def detect_stress(workspace: Workspace) -> StageResult:
    """Read the videos of the manifest and cross-validate by subject; without a manifest, say what is needed."""
    from models.emotion.benchmark_result import library_versions, machine, network_in_words
    from models.emotion.stress import LEVELS, evaluate_stress
    from models.expression.predictor import Predictor
    from models.expression.runtime import NETWORK

    root = dataset_root(workspace, FOLDER)
    if root is None:
        return skip(workspace, STAGE, "SRD'15", FOLDER)
    if not (root / MANIFEST).is_file():
        columns = ", ".join(COLUMNS)
        reason = f"skipped: put a {MANIFEST} ({columns}) at data/datasets/{FOLDER} (see docs/stress.md)"
        return skipped(workspace, STAGE, reason)
    settings = workspace.params.stress_detection
    synthetic = (root / SYNTHETIC).is_file()
    folder = workspace.data(STAGE)
    (folder / SKIPPED).unlink(missing_ok=True)
    network = workspace.data("champion")
    with experiment_record(
        workspace, STAGE, synthetic=synthetic, parameters=settings.model_dump(mode="json")
    ) as record:
        result = evaluate_stress(
            root,
            settings=settings.protocol,
            seed=settings.seed,
            predictor=Predictor.load(network, features_only=True),
            progress=lambda items, name, total: tqdm(items, desc=name, total=total, mininterval=1.0),
            cache=workspace.scratch(STAGE, sha256_of(network / NETWORK)),
            workers=workspace.workers,
        )
        versions = {"landmarks": "mediapipe"} | library_versions() | {"network": network_in_words(network)}
        metrics = replace(result, versions=versions, machine=machine(workspace.workers)).to_json()
        result.drawn.save(folder / "folds.json")
        with written_whole(folder / "metrics.json") as path:
            path.write_text(json.dumps(metrics, indent=1) + "\n")
        with written_whole(folder / "videos.csv") as path:
            _videos(workspace, result).to_csv(path, index=False)
        _log(record, metrics, folder)
    accuracies = pd.DataFrame(
        [
            {"phase": row["title"]} | {LEVELS[level]: value["mean"] for level, value in row["accuracy"].items()}
            for row in metrics["phases"].values()
        ]
    )
    return StageResult(
        {
            "data": "synthetic" if synthetic else "real",
            "accuracy of frames, average over the phases": metrics["average"]["frames"]["mean"],
            "accuracy": accuracies,
            "videos": metrics["videos"],
            "unusable videos": len(metrics["unusable_videos"]),
            "what to know": "; ".join(metrics["problems"]) or "nothing unusual",
            "MLflow run": record.link,
        }
    )


def _videos(workspace: Workspace, result) -> pd.DataFrame:
    """A row for each video: what the manifest says, how many frames were looked at, and what became of it."""
    return pd.DataFrame(
        [
            {
                "video": reading.video.path.relative_to(workspace.root),
                "subject": reading.video.subject,
                "phase": reading.video.phase,
                "task": reading.video.task,
                "label": "stressful" if reading.video.stressful else "non-stressful",
                "frames": 0 if reading.expressions is None else len(reading.expressions.frames),
                "frames_with_a_face": 0 if reading.expressions is None else int(reading.expressions.found.sum()),
                "status": reading.status,
            }
            for reading in result.readings
        ]
    )


def _log(record: ExperimentRecord, metrics: dict, folder) -> None:
    for phase, row in metrics["phases"].items():
        record.log_metrics({f"accuracy/phase {phase}/{name}": one["mean"] for name, one in row["accuracy"].items()})
    record.log_metrics({f"accuracy/{name}": one["mean"] for name, one in metrics["average"].items()})
    for name in ("metrics.json", "videos.csv"):
        record.log_file(folder / name)


@dg.asset(
    name=STAGE,
    group_name="emotion",
    deps=["champion", "rendered_benchmarks"],
    kinds={"scikitlearn", "mlflow"},
    automation_condition=FOLLOWS_ITS_INPUTS,
)
def stress_detection(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Stress in video: 5 folds by subject, 10 repeats, accuracy of frames and of videos in each phase (Table IV).

    Runs on SRD'15, or any other set in the form of its manifest, and until it is there on rendered people.
    """
    return materialise(context, workspace, detect_stress)


if __name__ == "__main__":
    main(STAGE, detect_stress)
