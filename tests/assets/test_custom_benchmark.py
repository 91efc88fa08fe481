"""A user's own labelled images as a benchmark: from a folder to the table that the classifier is trained on."""

import cv2
import numpy as np
import pandas as pd
import pytest

from assets.benchmark_images import gather_benchmark_images
from assets.stage import skip_reason
from models.errors import DatasetError


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


def test_a_licensed_set_that_is_there_but_not_read_yet_is_not_said_to_be_absent(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    (workspace.data("datasets", "kdef") / "AF01").mkdir(parents=True)
    result = gather_benchmark_images(workspace, "kdef_frontal")
    assert "no reader for KDEF" in result.skipped
