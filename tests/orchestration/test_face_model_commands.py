"""`deepexp3d convert-model` and `deepexp3d export-arkit`."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from models.fitting import Reconstruction
from models.morphable_model import MorphableModel
from models.morphable_model.arkit import arkit_weights
from models.morphable_model.loaders import FORMATS
from models.morphable_model.loaders.published import MILLIMETRES
from models.morphable_model.model import SKIN
from orchestration.command_line import FaceModelFormat, Unit, app
from tests.models.morphable_model.published_faces import make_face, write_lsfm, write_plain
from tests.workspace_fixture import make_project


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def one_error(result) -> str:
    assert result.exit_code == 1, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("deepexp3d: ")]
    return line


@pytest.fixture(scope="module")
def speaking_model(small_model, tmp_path_factory):
    """Path of a model with three face units."""
    path = tmp_path_factory.mktemp("model") / "speaking.npz"
    units = np.eye(3, 28) * 30
    extras = {"unit_names": np.array(["jawOpen", "mouthSmileLeft", "mouthSmileRight"]), "units": units}
    replace(small_model, extras=extras).save(path)
    return path


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    path = tmp_path_factory.mktemp("fit") / "talk.npz"
    expression = np.zeros((4, 28))
    expression[:, 0] = [0, 15, 30, 90]
    still = np.tile(np.eye(3), (4, 1, 1))
    Reconstruction(np.zeros(157), expression, still, np.ones(4), np.zeros((4, 2)), np.zeros(4), True).save(path)
    return path


def test_the_command_knows_every_format_and_unit():
    assert [str(name) for name in FaceModelFormat] == list(FORMATS)
    assert [str(name) for name in Unit] == list(MILLIMETRES)


@pytest.mark.parametrize("command", ["convert-model", "export-arkit"])
def test_both_commands_show_examples(command):
    assert f"deepexp3d {command}" in run(command, "--help").stdout


def test_a_model_is_converted_and_drawn(tmp_path):
    face = make_face()
    source, expression = write_lsfm(face, tmp_path)
    (tmp_path / "points.json").write_text(json.dumps(face.landmarks.tolist()))
    result = run(
        *("convert-model", source, "--format", "lsfm", "--expression", expression),
        *("--landmarks", tmp_path / "points.json", "--identity-size", 4, "--expression-size", 3),
        *("--unit", "dm", "--out", tmp_path / "deep" / "model.npz", "--picture", tmp_path / "model.png"),
    )
    assert result.exit_code == 0, result.output
    assert "4 identity components hold" in result.stdout
    assert "licence: LSFM: non-commercial" in result.stdout
    model = MorphableModel.load(tmp_path / "deep" / "model.npz")
    assert (model.identity_size, model.expression_size) == (4, 3)
    assert (tmp_path / "model.png").read_bytes().startswith(b"\x89PNG")
    assert (model.material == SKIN).all()


def test_what_cannot_be_converted_is_one_line_and_leaves_nothing(tmp_path):
    source = write_plain(make_face(), tmp_path / "plain.npz", triangles=None)
    line = one_error(run("convert-model", source, "--format", "npz", "--out", tmp_path / "model.npz"))
    assert "plain.npz: has no 'triangles'" in line
    assert [path.name for path in tmp_path.iterdir()] == ["plain.npz"]


def test_a_picture_of_another_kind_is_refused(tmp_path):
    source = write_plain(make_face(), tmp_path / "plain.npz")
    arguments = ("convert-model", source, "--format", "npz", "--out", tmp_path / "model.npz")
    assert "end the name in .png" in one_error(run(*arguments, "--picture", tmp_path / "model.gif"))
    assert not (tmp_path / "model.npz").exists()


def test_a_fit_becomes_weights(fit, speaking_model, tmp_path):
    result = run("export-arkit", fit, "--out", tmp_path / "talk.csv", "--model", speaking_model, "--fps", 25)
    assert result.exit_code == 0, result.output
    assert "4 frames" in result.stdout
    assert "always 0: eyeBlinkLeft, " in result.stdout
    with open(tmp_path / "talk.csv", newline="") as file:
        jaw = [float(row["JawOpen"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(jaw, [0, 0.5, 1, 1], atol=2e-3)


def test_without_a_model_the_projects_own_is_taken(fit, speaking_model, tmp_path, monkeypatch):
    project = make_project(tmp_path / "project")
    MorphableModel.load(speaking_model).save(project.data("morphable_model", "model.npz"))
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(project.root))
    assert run("export-arkit", fit, "--out", tmp_path / "talk.csv").exit_code == 0
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(tmp_path))
    assert "params.yaml: no such file" in one_error(run("export-arkit", fit, "--out", tmp_path / "again.csv"))


def test_weights_go_to_json_too(fit, speaking_model, tmp_path):
    assert run("export-arkit", fit, "--out", tmp_path / "talk.json", "--model", speaking_model).exit_code == 0
    content = json.loads((tmp_path / "talk.json").read_text())
    model, expression = MorphableModel.load(speaking_model), Reconstruction.load(fit).expression
    np.testing.assert_allclose(content["weights"], arkit_weights(expression, model), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["nowhere.npz", "--out", "a.csv"], "nowhere.npz: no reconstruction here"),
        (["nowhere.npz", "--out", "a.txt"], "end the name in .csv or .json"),
        (["nowhere.npz", "--out", "a.csv", "--ridge", "0"], "choose one above 0"),
    ],
)
def test_what_cannot_be_exported_is_one_line(arguments, cause, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cause in one_error(run("export-arkit", *arguments))
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_units_cannot_be_exported(fit, small_model, tmp_path):
    small_model.save(tmp_path / "small.npz")
    result = run("export-arkit", fit, "--out", tmp_path / "a.csv", "--model", tmp_path / "small.npz")
    assert "'small' has no face units" in one_error(result)
