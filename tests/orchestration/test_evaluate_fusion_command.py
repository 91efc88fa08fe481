"""`deepexp3d evaluate bu3dfe`: depth and colour of scans in their publisher's layout."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from assets.depth_maps import PreparedScans
from models.rgbd.samples import AssembledSamples
from orchestration.command_line import app
from tests.models.rgbd.made_up_samples import made_up_samples


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    return new_project(tmp_path_factory.mktemp("fusion") / "project")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A scan and its photograph, as far as a look at how files begin can tell."""
    folder = tmp_path_factory.mktemp("sets") / "BU_3DFE"
    (folder / "F0001").mkdir(parents=True)
    (folder / "F0001" / "F0001_AN03WH_F3D.wrl").write_text("#VRML V2.0 utf8\n")
    cv2.imwrite(str(folder / "F0001" / "F0001_AN03WH_F2D.bmp"), np.zeros((8, 8, 3), np.uint8))
    return folder


@pytest.fixture
def command(project, monkeypatch):
    """Function that runs `deepexp3d evaluate` with these arguments; scans become pairs without being looked at."""

    def prepared(scans, *_, synthetic, **__):
        assembled = AssembledSamples(made_up_samples(4), {"mismatch": 1}, ("F0009 sad 3: is of somebody else.",))
        return PreparedScans(assembled, pd.DataFrame(), [])

    monkeypatch.setenv("DEEPEXP3D_ROOT", str(project.root))
    monkeypatch.setattr("assets.depth_maps.prepare_scans", prepared)
    return lambda *arguments: CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--workers", "1"])


def test_a_folder_gives_both_tables_and_files_and_the_same_again_from_its_divisions(command, root, tmp_path):
    out, again = tmp_path / "out", tmp_path / "again.json"
    result = command("bu3dfe", "--root", root, "--protocol", "redrawn", "--repeats", 2, "--out", out)
    assert result.exit_code == 0, result.output
    assert "84.72" in result.stdout
    assert "2D+3D features fusion+SVM [36]" in result.stdout
    assert "F0009 sad 3" in result.stdout
    figures = json.loads((out / "metrics.json").read_text())
    assert (figures["protocol"], figures["repeats"], figures["people"]) == ("redrawn", 2, 4)
    assert [one["pipeline"] for one in figures["results"]] == ["depth"]
    result = command("bu3dfe", "--root", root, "--folds", out / "metrics-divisions.json", "--json", again)
    assert result.exit_code == 0, result.output
    assert json.loads(again.read_text())["results"][0]["confusion"] == figures["results"][0]["confusion"]
    assert (tmp_path / "again-divisions.json").read_bytes() == (out / "metrics-divisions.json").read_bytes()


def test_pipelines_beyond_the_paper_learn_from_reconstructions_of_the_photographs(command, root, monkeypatch):
    def reconstructed(samples, predictor, model, **_):
        rng = np.random.default_rng(0)
        return replace(samples, expression=rng.normal(size=(len(samples), 28)).astype(np.float32)), ("One has no face.",)

    monkeypatch.setattr("models.rgbd.reconstructed_depth.with_reconstructions", reconstructed)
    result = command("bu3dfe", "--root", root, "--pipeline", "expression", "--repeats", 1)
    assert result.exit_code == 0, result.output
    assert "e alone" in result.stdout
    assert "One has no face." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--protocol", "subject"), "paper, redrawn, all, tenfold"),
        (("--protocol", "paper", "--protocol", "all"), "one of paper"),
        (("--pipeline", "colour"), "fusion_vgg19"),
        (("--features", "blendshapes"), "leave out --features"),
    ],
)
def test_what_does_not_belong_to_it_is_refused_in_a_line(command, root, arguments, told):
    result = command("bu3dfe", "--root", root, *arguments)
    assert result.exit_code == 1
    assert told in result.stderr
    assert "Traceback" not in result.output


def test_protocols_of_scans_are_refused_for_photographs(command, root):
    result = command("kdef_frontal", "--root", root, "--protocol", "tenfold")
    assert result.exit_code == 1
    assert "those of bu3dfe" in result.stderr


def test_a_wrong_folder_is_said_in_a_line(command, tmp_path):
    result = command("bu3dfe", "--root", tmp_path)
    assert result.exit_code == 1
    assert "this is not the folder of BU-3DFE" in result.stderr


def test_the_list_names_stress_and_fusion(command):
    result = command("--list")
    assert result.exit_code == 0
    for text in ("srd15, published: 87.98 %", "bu3dfe, published: 89.31 %", "Binghamton University"):
        assert text in result.stdout
