"""`deepexp3d evaluate bu3dfe`: depth and colour of scans in their publisher's layout."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from assets.depth_maps import PreparedScans
from models.rgbd.network_settings import RgbdTrainingSettings
from models.rgbd.pipelines import PAPER_PIPELINES
from models.rgbd.samples import AssembledSamples
from orchestration.command_line import app
from orchestration.fusion_command import _pipelines, _settings
from tests.models.rgbd.made_up_samples import made_up_samples

# As the registration of two scans is told.
PAIRS = pd.DataFrame(
    {
        "scan": ["F0001 angry 3", "F0009 sad 3"],
        "status": ["ok", "mismatch"],
        "error_px": np.nan,
        "remark": ["without texture coordinates: used with the photograph alone", np.nan],
        **{name: [0.1, np.nan] for name in ("information_start", "information_after", "moved_px")},
    }
)


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    return new_project(tmp_path_factory.mktemp("fusion") / "project")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Scans and photographs of three people, as far as a look at how files begin can tell."""
    folder = tmp_path_factory.mktemp("sets") / "BU_3DFE"
    for person in ("F0001", "F0002", "M0001"):
        (folder / person).mkdir(parents=True)
        for code in ("AN", "DI", "FE", "HA", "SA", "SU"):
            (folder / person / f"{person}_{code}03WH_F3D.wrl").write_text("#VRML V2.0 utf8\n")
            cv2.imwrite(str(folder / person / f"{person}_{code}03WH_F2D.bmp"), np.zeros((8, 8, 3), np.uint8))
    return folder


@pytest.fixture
def command(project, monkeypatch):
    """Function that runs `deepexp3d evaluate` with these arguments; scans become pairs without being looked at."""

    def prepared(scans, *_, synthetic, **__):
        samples = replace(made_up_samples(4), synthetic=synthetic)
        assembled = AssembledSamples(samples, {"mismatch": 1}, ("F0009 sad 3: is of somebody else.",))
        return PreparedScans(assembled, PAIRS, [np.zeros((20, 60, 3), np.uint8)])

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
    assert "used with the photograph alone (1): F0001 angry 3." in result.stdout
    figures = json.loads((out / "metrics.json").read_text())
    assert (figures["protocol"], figures["repeats"], figures["people"]) == ("redrawn", 2, 4)
    assert [one["pipeline"] for one in figures["results"]] == ["depth"]
    result = command("bu3dfe", "--root", root, "--folds", out / "metrics-divisions.json", "--json", again)
    assert result.exit_code == 0, result.output
    assert json.loads(again.read_text())["results"][0]["confusion"] == figures["results"][0]["confusion"]
    assert (tmp_path / "again-divisions.json").read_bytes() == (out / "metrics-divisions.json").read_bytes()
    assert len(pd.read_csv(out / "pairs.csv")) == 2
    for picture in ("overlays.jpg", "registration.png", "confusion-depth.png"):
        assert cv2.imread(str(out / picture)) is not None


def test_several_protocols_are_compared_in_one_table(command, root, tmp_path):
    out = tmp_path / "out"
    result = command("bu3dfe", "--root", root, "--protocol", "all", "--protocol", "paper", "--repeats", 2, "--out", out)
    assert result.exit_code == 0, result.output
    assert "all: all 100 people" in result.stdout
    figures = json.loads((out / "metrics.json").read_text())
    assert [(row["pipeline"], row["protocol"]) for row in figures["comparison"]] == [
        ("depth", "all"),
        ("depth", "paper"),
    ]
    for protocol in ("all", "paper"):
        assert json.loads((out / f"metrics-{protocol}-divisions.json").read_text())["protocol"] == protocol
        assert (out / protocol / "confusion-depth.png").is_file()


def test_epochs_and_repeats_are_as_asked_for_and_told_in_words_and_figures(command, root, tmp_path):
    result = command(
        *("bu3dfe", "--root", root, "--paper", "--pipeline", "depth", "--repeats", 1, "--epochs", 2),
        *("--json", tmp_path / "figures.json"),
    )
    assert result.exit_code == 0, result.output
    assert "1 repeats (the paper: 200)" in result.stdout
    assert "2 at most (the paper: 1000)" in result.stdout
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["extent"]["epochs_most"] == 2
    # Beside what was asked for, the training is the paper's.
    assert figures["settings"]["training"]["batch_size"] == 64
    assert figures["settings"]["training"]["early_stopping"] is None


def test_the_papers_extent_is_its_repeats_epochs_and_pipelines(project):
    settings = _settings(project.params, paper=True, repeats=None, epochs=None, seed=None)
    assert (settings.protocol, settings.repeats, settings.people) == ("paper", None, None)
    assert settings.training == RgbdTrainingSettings()
    assert _pipelines(project.params, paper=True) == list(PAPER_PIPELINES)


def test_rendered_people_never_stand_beside_published_figures(command, root, tmp_path):
    rendered = tmp_path / "rendered"
    shutil.copytree(root, rendered)
    (rendered / "SYNTHETIC.txt").touch()
    result = command("bu3dfe", "--root", rendered, "--repeats", 1)
    assert result.exit_code == 0, result.output
    assert "nothing published can be compared" in result.stdout
    for published in ("84.72", "89.31", "83.60"):
        assert published not in result.stdout


def test_pipelines_beyond_the_paper_learn_from_reconstructions_of_the_photographs(command, root, monkeypatch):
    def reconstructed(samples, predictor, model, **_):
        rng = np.random.default_rng(0)
        return replace(samples, expression=rng.normal(size=(len(samples), 28)).astype(np.float32)), (
            "One has no face.",
        )

    monkeypatch.setattr("models.rgbd.reconstructed_depth.with_reconstructions", reconstructed)
    result = command("bu3dfe", "--root", root, "--pipeline", "expression", "--repeats", 1)
    assert result.exit_code == 0, result.output
    assert "e alone" in result.stdout
    assert "One has no face." in result.stdout


def test_too_few_people_are_told_before_any_scan_is_prepared(command, root, tmp_path):
    shutil.copytree(root, tmp_path / "two", ignore=shutil.ignore_patterns("M0001", "F0002_SA*"))
    result = command("bu3dfe", "--root", tmp_path / "two")
    assert result.exit_code == 1
    assert "found 1 people with all six expressions" in result.output
    assert "F0002 lacks sad 3" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--protocol", "subject"), "paper, redrawn, all, tenfold"),
        (("--protocol", "paper", "--protocol", "all", "--folds", "divisions.json"), "of one protocol"),
        (("--pipeline", "depth", "--pipeline", "colour"), "no pipeline is called colour; choose of depth_resnet50"),
        (("--features", "blendshapes"), "leave out --features"),
    ],
)
def test_what_does_not_belong_to_it_is_refused_in_a_line(command, root, arguments, told):
    result = command("bu3dfe", "--root", root, *arguments)
    assert result.exit_code == 1
    assert told in result.stderr
    assert "Traceback" not in result.output


def test_protocols_of_scans_are_refused_for_photographs(command, root):
    for option in (("--protocol", "tenfold"), ("--paper",), ("--epochs", 3)):
        result = command("kdef_frontal", "--root", root, *option)
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
