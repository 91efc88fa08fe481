"""Emotion from expression: error-correcting output codes over support vector machines (section III-D)."""

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd

from assets.benchmark_images import benchmarks, load_benchmark
from assets.experiment_record import ExperimentRecord, experiment_record
from assets.expression_vectors import load_vectors
from assets.landmark_correspondence import load_detector_model
from assets.model_registry import CHALLENGER, CHAMPION, NETWORK_TAG, classifier_name
from assets.stage import FOLLOWS_ITS_INPUTS, StageResult, WorkspaceResource, main, materialise, skip_reason, skipped
from assets.workspace import Workspace
from models.packages import sha256_of

if TYPE_CHECKING:
    from models.emotion.benchmark_evaluation import OpenedBenchmark
    from models.emotion.benchmark_result import BenchmarkResult
    from models.emotion.features import FeatureTable

STAGE = "emotion_classifier"


def train_emotion_classifier(workspace: Workspace, benchmark: str) -> StageResult:
    """Cross-validate by each protocol with a search inside each training part, then fit the classifier for users."""
    from models.emotion.benchmark_files import confusion_picture, write_folder
    from models.emotion.evaluation import train_classifier
    from models.emotion.features import FeatureTable
    from models.emotion.persistence import save_classifier

    if reason := skip_reason(workspace, "expression_vectors", benchmark):
        return skipped(workspace, STAGE, reason, benchmark)
    settings = workspace.params.emotion_classifier
    opened = load_benchmark(workspace, benchmark)
    paths = tuple(photograph.path for photograph in opened.photographs)
    vectors = FeatureTable(paths, load_vectors(workspace, benchmark))
    found = vectors.found
    folder = workspace.data(STAGE, benchmark)
    shutil.rmtree(folder, ignore_errors=True)
    with experiment_record(
        workspace,
        f"{STAGE}@{benchmark}",
        synthetic=opened.contents.synthetic,
        parameters=settings.model_dump(mode="json"),
    ) as record:
        results = _evaluated(workspace, opened, vectors)
        classifier = train_classifier(
            vectors.values[found],
            opened.labels[found],
            opened.people[found],
            settings.search,
            seed=settings.seed,
            calibration_folds=settings.calibration_folds,
        )
        save_classifier(classifier, folder / "classifier.skops")
        write_folder(results, folder)
        _log(record, benchmark, classifier, vectors.values[found][:3], results, folder)
    return StageResult(
        {
            "data": "synthetic" if opened.contents.synthetic else "real",
            "accuracies": pd.DataFrame([_row(result) for result in results]),
            "images": results[0].photographs,
            "without a face": results[0].without_face_count,
            "photographs without a face": results[0].without_face.replace("_", " "),
            "to be known": " ".join(results[0].problems) or "nothing",
            **{f"confusion matrix, {one.features}, {one.protocol}": folder / confusion_picture(one) for one in results},
            "MLflow run": record.link,
        }
    )


def _evaluated(workspace: Workspace, opened: "OpenedBenchmark", vectors: "FeatureTable") -> list["BenchmarkResult"]:
    """The benchmark's figures of each features by each protocol, as `deepexp3d evaluate` computes them."""
    from models.emotion.benchmark_evaluation import compare_features, known_protocols
    from models.emotion.features import FITS
    from models.emotion.settings import EvaluationSettings

    settings = workspace.params.emotion_classifier
    features = [str(name) for name in settings.features]
    return list(
        compare_features(
            opened,
            features,
            known_protocols(opened),
            settings=EvaluationSettings(folds=settings.folds, repeats=settings.repeats, search=settings.search),
            seed=settings.seed,
            tables={"deepexp3d": vectors},
            model=workspace.data("champion"),
            face_model=load_detector_model(workspace) if set(features) & set(FITS) else None,
            without_face=settings.without_face,
            cache=workspace.scratch(STAGE, "landmarks") / f"{opened.benchmark.name}.npz",
            workers=workspace.workers,
        )
    )


def _row(result: "BenchmarkResult") -> dict[str, object]:
    published = result.published
    return {
        "features": result.features,
        "protocol": result.description,
        "accuracy": round(result.accuracy, 4),
        "chance": round(result.chance, 4),
        "published": None if published is None else published.accuracy / 100,
        "people": result.people,
    }


def _log(
    record: ExperimentRecord,
    benchmark: str,
    classifier,
    example: np.ndarray,
    results: Sequence["BenchmarkResult"],
    folder: Path,
) -> None:
    """Figures and files to MLflow, and the classifier into the registry."""
    import mlflow

    from models.emotion.persistence import TRUSTED
    from models.expression.runtime import NETWORK

    first = results[0]
    record.log_metrics({"accuracy": first.accuracy, "deviation": first.deviation or 0.0, "chance": first.chance})
    record.log_metrics({f"accuracy/{label}": value for label, value in first.class_accuracy.items()})
    for result in results:
        # Those of the network, which every version of the pipeline has logged, keep their names.
        beginning = "" if result.features == first.features else f"{result.features}/"
        record.log_metrics({f"{beginning}{result.protocol}/accuracy": result.accuracy})
        for attribute, groups in result.subgroups.items():
            for value, figures in groups.items():
                # Sets call groups what MLflow does not allow in a name ("70+").
                name = re.sub(r"[^\w. -]", "_", value)
                record.log_metrics({f"{beginning}{result.protocol}/{attribute}/{name}": figures["accuracy"]})
    for path in sorted(folder.iterdir()):
        if path.suffix != ".skops":
            record.log_file(path)
    record.log_model(
        "classifier",
        lambda target: mlflow.sklearn.save_model(
            classifier,
            target,
            serialization_format="skops",
            skops_trusted_types=TRUSTED,
            input_example=example,
            signature=mlflow.models.infer_signature(example, classifier.predict(example)),
            # Left to itself MLflow would load the model in a process of its own to find these out.
            pip_requirements=["scikit-learn", "skops", "numpy"],
        ),
        registered_name=classifier_name(benchmark),
        tags={
            "data": "synthetic" if first.synthetic else "real",
            NETWORK_TAG: sha256_of(record.workspace.data("champion", NETWORK)),
        },
        # A classifier goes with its network, which has been reviewed.
        aliases=[CHALLENGER, CHAMPION],
    )


@dg.asset(
    name=STAGE,
    group_name="emotion",
    partitions_def=benchmarks,
    deps=["benchmark_images", "expression_vectors", "champion", "morphable_model", "landmark_correspondence"],
    kinds={"scikitlearn", "mlflow"},
    automation_condition=FOLLOWS_ITS_INPUTS,
)
def emotion_classifier(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Seven emotions from 28 coefficients: ECOC, one versus all, SVM learners, Bayesian hyper-parameter search.

    Accuracies are those of the paper's protocol and of 10 folds by person; nothing of a test fold takes part in scaling
    or tuning. The classifier that users get is fitted to all images and stored with skops.
    """
    benchmark = context.partition_key
    return materialise(context, workspace, train_emotion_classifier, benchmark, stage=f"{STAGE}@{benchmark}")


if __name__ == "__main__":
    main(STAGE, train_emotion_classifier, sys.argv[1])
