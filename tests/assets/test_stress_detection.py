"""Stress detection as a stage: on a set with a manifest, and what it says where there is none."""

import csv
import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from assets.stage import skip_reason
from assets.stress_detection import detect_stress
from models.expression.shipped import model_folder

QUICK = {
    "stress_detection.protocol.folds": 2,
    "stress_detection.protocol.repeats": 1,
    "stress_detection.protocol.frame_stride": 2,
    "stress_detection.protocol.search.evaluations": 0,
    "stress_detection.protocol.calibration_folds": 0,
}


def test_without_the_set_it_says_where_it_belongs(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    result = detect_stress(workspace)
    assert "data/datasets/srd15" in result.skipped
    assert skip_reason(workspace, "stress_detection") == result.skipped


def test_videos_without_a_manifest_are_not_guessed_at(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    folder = workspace.data("datasets", "srd15")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "film.mp4").write_bytes(b"film")
    assert "put a manifest.csv (video, subject, phase, task, label)" in detect_stress(workspace).skipped


@pytest.fixture(scope="module")
def measured(new_project, tmp_path_factory):
    """A project with rendered videos of three people, one of them broken, after the stage has run."""
    from assets.morphable_model import load_model
    from models.emotion.rendered_stress_set import write_rendered_stress_set

    workspace = new_project(tmp_path_factory.mktemp("stress") / "project", **QUICK)
    shutil.copytree(model_folder("deepexp3d-small"), workspace.data("champion"))
    root = workspace.data("datasets", "srd15")
    video = replace(workspace.params.synthetic_facevid.video, frames=10, size=160, still_share=1.0, occluder_share=0.0)
    write_rendered_stress_set(root, load_model(workspace), people=4, seed=0, phases=("2", "3"), settings=video)
    (root / "broken.mp4").write_bytes(b"no film")
    with open(root / "manifest.csv", "a", newline="") as file:
        csv.writer(file).writerow(["broken.mp4", "subject00", "2", "task", "stressful"])
    return workspace, detect_stress(workspace)


def test_accuracies_are_written_and_called_synthetic(measured):
    workspace, result = measured
    metrics = json.loads(workspace.data("stress_detection", "metrics.json").read_text())
    assert metrics["synthetic"] is True
    assert result.metadata["data"] == "synthetic"
    assert set(metrics["phases"]) == {"2", "3"}
    assert set(metrics["average"]) == {"frames", "video_mean_probability", "video_majority", "video_statistics"}
    assert metrics["phases"]["3"]["videos"] == 8
    assert not any("as published" in problem for problem in metrics["problems"]), "a rendered set is not SRD'15"


def test_every_video_has_a_row_and_a_broken_one_its_reason(measured):
    workspace, result = measured
    table = pd.read_csv(workspace.data("stress_detection", "videos.csv")).set_index("video")
    assert len(table) == 17
    broken = table.loc["data/datasets/srd15/broken.mp4"]
    assert "not a video" in broken.status
    sound = table.drop("data/datasets/srd15/broken.mp4")
    assert set(sound.status) == {"ok"}
    assert set(sound.frames) == {5}
    assert result.metadata["unusable videos"] == 1


def test_the_run_is_in_mlflow(measured):
    import mlflow

    workspace, _ = measured
    client = mlflow.MlflowClient(f"sqlite:///{workspace.path('mlflow.db')}")
    experiment = client.get_experiment_by_name("stress_detection")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["data"] == "synthetic"
    assert run.data.params["protocol.folds"] == "2"
    assert "accuracy/phase 2/frames" in run.data.metrics
