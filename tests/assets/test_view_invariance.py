"""View invariance as a stage: on whichever of RaFD and KDEF is there."""

import json
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from assets.stage import skip_reason
from assets.view_invariance import measure_view_invariance
from models.emotion.features import FeatureTable
from models.errors import DatasetError

ANGLES = {"FL": -90, "HL": -45, "S": 0, "HR": 45, "FR": 90}


@pytest.fixture
def project(new_project, tmp_path, monkeypatch):
    """A project whose network reads a moment's own expression, and 0.1 standard deviations a 45 degrees beside it."""
    workspace = new_project(tmp_path / "project")

    def features(name, photographs, detections, sources, *, progress):
        assert name == "deepexp3d"
        moments = sorted({photograph.moment for photograph in photographs})
        truth = np.random.default_rng(0).normal(size=(len(moments), 28))
        values = [truth[moments.index(one.moment)] + 0.1 * abs(one.view) / 45 for one in photographs]
        return FeatureTable(tuple(photograph.path for photograph in photographs), np.array(values))

    monkeypatch.setattr("models.expression.predictor.Predictor.load", lambda *_, **options: None)
    monkeypatch.setattr("models.emotion.view_evaluation.detect_photographs", lambda *_, **options: SimpleNamespace())
    monkeypatch.setattr("models.emotion.view_evaluation.compute_features", features)
    return workspace


def put_kdef(workspace, people=3):
    for person in range(1, people + 1):
        for emotion in ("NE", "HA", "SA"):
            for angle in ANGLES:
                path = workspace.data("datasets", "kdef", f"AF{person:02d}", f"AF{person:02d}{emotion}{angle}.JPG")
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), np.full((76, 56, 3), 90, np.uint8))


def test_without_either_set_it_says_where_they_belong(project):
    result = measure_view_invariance(project)
    assert "RaFD at data/datasets/rafd or KDEF at data/datasets/kdef" in result.skipped
    assert skip_reason(project, "view_invariance") == result.skipped


def test_the_angles_of_the_set_that_is_there_are_compared(project):
    measure_view_invariance(project)
    put_kdef(project)
    result = measure_view_invariance(project)
    assert skip_reason(project, "view_invariance") is None
    metrics = json.loads(project.data("view_invariance", "metrics.json").read_text())
    assert set(metrics) == {"kdef"}
    assert metrics["kdef"]["synthetic"] is False
    assert {view["view"]: round(view["mse"], 6) for view in metrics["kdef"]["views"]} == {
        -90: 0.04,
        -45: 0.01,
        45: 0.01,
        90: 0.04,
    }
    assert metrics["kdef"]["semi_profile"]["pairs"] == 18
    coefficients = pd.read_csv(project.data("view_invariance", "coefficients_kdef.csv"), index_col="coefficient")
    assert coefficients.shape == (28, 4)
    np.testing.assert_allclose(coefficients["+90"], 0.04)
    assert project.data("view_invariance", "views.png").stat().st_size > 5000
    assert len(result.metadata["by angle"]) == 4


def test_a_set_that_is_not_what_it_should_be_leaves_the_other_its_figures(project):
    put_kdef(project)
    wrong = project.data("datasets", "rafd")
    wrong.mkdir(parents=True, exist_ok=True)
    (wrong / "holiday.jpg").write_bytes(b"")
    result = measure_view_invariance(project)
    assert set(json.loads(project.data("view_invariance", "metrics.json").read_text())) == {"kdef"}
    assert "rafd" in result.metadata["RaFD was refused"]
    shutil.rmtree(project.data("datasets", "kdef"))
    with pytest.raises(DatasetError, match="rafd"):
        measure_view_invariance(project)


def test_rendered_photographs_are_called_synthetic(project):
    put_kdef(project)
    (project.data("datasets", "kdef") / "SYNTHETIC.txt").write_text("rendered\n")
    assert measure_view_invariance(project).metadata["data"] == "synthetic"
    metrics = json.loads(project.data("view_invariance", "metrics.json").read_text())
    assert metrics["kdef"]["synthetic"] is True
