"""Emotion benchmarks: a user's own images, and rendered stand-ins for the sets that are not at hand."""

import json
import shutil

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest

from assets import experiments
from assets.benchmark_images import gather_benchmark_images, load_benchmark
from assets.emotion_classifier import train_emotion_classifier
from assets.expression_vectors import predict_expression_vectors
from assets.rendered_benchmarks import render_benchmarks
from assets.stage import skip_reason
from models.errors import DatasetError
from models.expression.shipped import SHIPPED_FOLDER


@pytest.fixture(scope="module")
def evaluated(new_project, tmp_path_factory):
    """A project in which the stand-in for KDEF has gone the whole way to a classifier, by the small network."""
    workspace = new_project(
        tmp_path_factory.mktemp("benchmark") / "project",
        **{
            "rendered_benchmarks.people": {"kdef": 4, "rafdb": 8},
            "emotion_classifier.features": ["deepexp3d", "shared_fit"],
            "emotion_classifier.without_face": "wrong",
        },
    )
    shutil.copytree(SHIPPED_FOLDER / "deepexp3d-small", workspace.data("champion"))
    render_benchmarks(workspace)
    for benchmark in ("kdef_frontal", "rafdb"):
        for stage in (gather_benchmark_images, predict_expression_vectors, train_emotion_classifier):
            stage(workspace, benchmark)
    return workspace


def put_images(workspace, layout):
    for name in layout:
        path = workspace.data("datasets", "custom", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((64, 64, 3), 90, np.uint8))


def test_without_images_it_says_where_they_belong(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    result = gather_benchmark_images(workspace, "custom")
    assert "data/datasets/custom" in result.skipped
    assert skip_reason(workspace, "benchmark_images", "custom") == result.skipped


def test_folders_of_emotions_become_a_table_of_paths_people_and_labels(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    gather_benchmark_images(workspace, "custom")
    put_images(workspace, ["happy/anna__1.png", "happy/ben__1.png", "sad/anna__2.png"])
    result = gather_benchmark_images(workspace, "custom")
    table = pd.read_parquet(workspace.data("benchmark_images", "custom", "images.parquet"))
    assert list(table.label) == ["happy", "happy", "sad"]
    assert list(table.subject) == ["anna", "ben", "anna"]
    assert all(workspace.path(path).exists() for path in table.path)
    assert result.metadata["data"] == "real"
    assert skip_reason(workspace, "benchmark_images", "custom") is None, "an earlier skip is taken back"


def test_a_folder_of_an_unknown_emotion_is_named(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    put_images(workspace, ["joyride/anna__1.png"])
    with pytest.raises(DatasetError, match="joyride"):
        gather_benchmark_images(workspace, "custom")


def test_a_folder_that_does_not_hold_its_set_is_refused_with_what_was_expected(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    (workspace.data("datasets", "kdef") / "AF01").mkdir(parents=True)
    with pytest.raises(DatasetError, match="AF01"):
        gather_benchmark_images(workspace, "kdef_frontal")


def test_a_stand_in_serves_until_the_set_is_there(evaluated):
    """And says what it is; what was gathered comes back as the benchmark that it is."""
    stand_in = load_benchmark(evaluated, "kdef_frontal")
    assert stand_in.contents.synthetic
    assert len(stand_in.photographs) == 4 * 7
    assert {photograph.view for photograph in stand_in.photographs} == {0.0}
    assert all(photograph.path.is_file() for photograph in stand_in.photographs)
    assert stand_in.benchmark.published.accuracy == 92.24
    assert "data/datasets/cfee" in gather_benchmark_images(evaluated, "cfee").skipped


def test_groups_that_the_set_names_are_told_apart_in_mlflow(evaluated):
    """Whatever characters their names have."""
    metrics = json.loads(evaluated.data("emotion_classifier", "rafdb", "metrics.json").read_text())
    groups = metrics["subgroups"]["age"]
    client = mlflow.MlflowClient(experiments.tracking_uri(evaluated))
    (experiment,) = [one for one in client.search_experiments() if one.name == "emotion_classifier"]
    runs = client.search_runs([experiment.experiment_id], "attributes.run_name = 'emotion_classifier@rafdb'")
    logged = [name for name in runs[0].data.metrics if name.startswith("paper/age/")]
    assert len(logged) == len(groups) > 1


def test_both_protocols_are_judged_and_said_to_be_of_rendered_people(evaluated):
    metrics = json.loads(evaluated.data("emotion_classifier", "kdef_frontal", "metrics.json").read_text())
    assert [(result["features"], result["protocol"], result["by_subject"]) for result in metrics["results"]] == [
        ("deepexp3d", "paper", False),
        ("deepexp3d", "subject", True),
        ("shared_fit", "paper", False),
        ("shared_fit", "subject", True),
    ]
    assert {result["without_face"] for result in metrics["results"]} == {"wrong"}
    assert metrics["synthetic"]
    assert {"confusion-deepexp3d-paper.png", "metrics-folds-subject.json", "classifier.skops"} <= {
        path.name for path in evaluated.data("emotion_classifier", "kdef_frontal").iterdir()
    }
