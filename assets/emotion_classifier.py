"""Emotion from expression: error-correcting output codes over support vector machines (section III-D)."""

import json
import sys

import dagster as dg
import numpy as np
import pandas as pd

from assets import experiments
from assets.benchmark_images import benchmarks
from assets.stage import SKIPPED, StageResult, WorkspaceResource, main, materialise, skip_reason, skipped
from assets.workspace import Workspace
from models.storage import written_whole

STAGE = "emotion_classifier"


def train_emotion_classifier(workspace: Workspace, benchmark: str) -> StageResult:
    """Cross-validate by person with a search inside each training part, then fit the classifier for users."""
    from models.emotion.confusion_figure import confusion_figure
    from models.emotion.evaluation import EvaluationSettings, cross_validate, train_classifier
    from models.emotion.persistence import save_classifier

    if reason := skip_reason(workspace, "expression_vectors", benchmark):
        return skipped(workspace, STAGE, reason, benchmark)
    settings = workspace.params.emotion_classifier
    features, labels, people = _data(workspace, benchmark)
    stage = f"{STAGE}@{benchmark}"
    synthetic = benchmark == "synthetic"
    folder = workspace.data(STAGE, benchmark)
    (folder / SKIPPED).unlink(missing_ok=True)
    with experiments.training_run(
        workspace, stage, synthetic=synthetic, parameters=settings.model_dump(mode="json")
    ) as run:
        protocol = EvaluationSettings(folds=settings.folds, repeats=settings.repeats, search=settings.search)
        result = cross_validate(features, labels, people, protocol, seed=settings.seed)
        classifier = train_classifier(
            features, labels, people, settings.search, seed=settings.seed, calibration_folds=settings.calibration_folds
        )
        save_classifier(classifier, folder / "classifier.skops")
        metrics = {
            "accuracy": result.accuracy,
            "deviation": result.accuracy_deviation,
            "chance": result.chance,
            "images": len(labels),
            "people": len(np.unique(people)),
            "labels": list(result.labels),
            "class_accuracy": dict(zip(result.labels, result.class_accuracy.tolist(), strict=True)),
            "confusion": result.confusion.tolist(),
            "protocol": f"{settings.folds} folds by person, repeated {settings.repeats} times, tuned inside the folds",
            "synthetic": synthetic,
        }
        with written_whole(folder / "metrics.json") as path:
            path.write_text(json.dumps(metrics, indent=1) + "\n")
        picture = folder / "confusion.png"
        with written_whole(picture) as path:
            confusion_figure(result.confusion, result.labels).savefig(path, dpi=110)
        _log(workspace, benchmark, classifier, features, metrics, folder)
        link = experiments.run_link(workspace, run)
    return StageResult(
        {
            "data": "synthetic" if synthetic else "real",
            "accuracy": result.accuracy,
            "deviation": result.accuracy_deviation,
            "chance": result.chance,
            "images": len(labels),
            "confusion matrix": picture,
            "MLflow run": link,
        }
    )


def _data(workspace: Workspace, benchmark: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (F, 28), labels (F,) and people (F,) of the images in which a face was found."""
    table = pd.read_parquet(workspace.data("expression_vectors", benchmark, "vectors.parquet"))
    features = table.filter(like="e_").to_numpy()
    found = np.isfinite(features).all(axis=1)
    return features[found], table.label.to_numpy(str)[found], table.subject.to_numpy(str)[found]


def _log(workspace: Workspace, benchmark: str, classifier, features: np.ndarray, metrics: dict, folder) -> None:
    """Figures and files to MLflow, and the classifier into the registry."""
    import mlflow

    from models.emotion.persistence import TRUSTED

    mlflow.log_metrics({name: metrics[name] for name in ("accuracy", "deviation", "chance")})
    mlflow.log_metrics({f"accuracy/{label}": value for label, value in metrics["class_accuracy"].items()})
    for name in ("confusion.png", "metrics.json"):
        mlflow.log_artifact(str(folder / name))
    model = mlflow.sklearn.log_model(
        classifier,
        name="classifier",
        serialization_format="skops",
        skops_trusted_types=TRUSTED,
        input_example=features[:3],
        signature=mlflow.models.infer_signature(features[:3], classifier.predict(features[:3])),
        # Left to itself MLflow would load the model in a process of its own to find these out.
        pip_requirements=["scikit-learn", "skops", "numpy"],
    )
    tags = {"data": "synthetic" if metrics["synthetic"] else "real"}
    experiments.register(mlflow, f"emotion-{benchmark}", model.model_uri, tags)


@dg.asset(
    name=STAGE,
    group_name="emotion",
    partitions_def=benchmarks,
    deps=["expression_vectors"],
    kinds={"scikitlearn", "mlflow"},
)
def emotion_classifier(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Seven emotions from 28 coefficients: ECOC, one versus all, SVM learners, Bayesian hyper-parameter search.

    The accuracy is that of 10 folds by person; nothing of a test fold takes part in scaling or tuning. The classifier
    that users get is fitted to all images and stored with skops.
    """
    benchmark = context.partition_key
    return materialise(context, workspace, train_emotion_classifier, benchmark, stage=f"{STAGE}@{benchmark}")


if __name__ == "__main__":
    main(STAGE, train_emotion_classifier, sys.argv[1])
