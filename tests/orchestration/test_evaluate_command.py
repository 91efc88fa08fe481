"""`deepexp3d evaluate`, as its users call it, on rendered people in KDEF's layout."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from models.emotion import stress_settings
from models.emotion.labels import EMOTIONS
from models.emotion.report.evaluations import read_evaluations
from models.emotion.settings import PICK_SEED, SEED, SearchSettings
from models.errors import DatasetError
from orchestration.command_line import app


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    return new_project(tmp_path_factory.mktemp("evaluate") / "project", **{"emotion_classifier.search.evaluations": 1})


@pytest.fixture(scope="module")
def kdef(project, tmp_path_factory) -> Path:
    """Three people in seven emotions, from the front, once."""
    from assets.morphable_model import load_model
    from models.emotion.datasets.rendered_layouts import RenderedLayoutSettings, write_rendered_dataset

    folder = tmp_path_factory.mktemp("sets") / "KDEF"
    settings = RenderedLayoutSettings(views=(0,), sessions=("A",))
    write_rendered_dataset("kdef", folder, load_model(project), people=3, seed=2, settings=settings)
    return folder


@pytest.fixture
def command(project, monkeypatch):
    """Function that runs `deepexp3d evaluate` with these arguments."""
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(project.root))
    monkeypatch.setenv("DEEPEXP3D_MODEL", "deepexp3d-small")
    return lambda *arguments: CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--workers", "1"])


def one_error(result) -> str:
    """The single line that a mendable error is."""
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("deepexp3d: ")]
    assert "Traceback" not in result.output
    return line


def test_a_folder_gives_a_table_and_files_and_the_same_again_from_its_folds(command, kdef, tmp_path):
    out, again = tmp_path / "out", tmp_path / "again.json"
    result = command(
        "kdef_frontal",
        "--root",
        kdef,
        "--features",
        "deepexp3d",
        "--features",
        "shared_fit",
        "--out",
        out,
        *("--repeats", 2),
    )
    assert result.exit_code == 0, result.output
    assert "KDEF, frontal: 21 rendered photographs of 3 people" in result.stdout
    assert "92.24 ± 0.70" in result.stdout
    assert all(emotion in result.stdout for emotion in EMOTIONS)
    names = {path.name for path in out.iterdir()}
    for name in ("deepexp3d-paper", "deepexp3d-subject", "shared_fit-paper", "shared_fit-subject"):
        assert {f"answers-{name}.csv", f"confusion-{name}.png"} <= names
    (figures,) = [json.loads(path.read_text()) for path in out.glob("*.json") if "folds" not in path.name]
    assert [(one["features"], one["protocol"]) for one in figures["results"]] == [
        (features, protocol) for features in ("deepexp3d", "shared_fit") for protocol in ("paper", "subject")
    ]
    assert figures["synthetic"]
    assert 0 < figures["accuracy"] <= 1
    assert figures["versions"]["network"].startswith("deepexp3d-small")

    elsewhere = Path(shutil.copytree(kdef, tmp_path / "another machine"))
    (folds,) = out.glob("*folds-subject.json")
    result = command("kdef_frontal", "--root", elsewhere, "--folds", folds, "--json", again)
    assert result.exit_code == 0, result.output
    repeated = json.loads(again.read_text())
    assert (repeated["protocol"], len(repeated["results"])) == ("subject", 1)
    assert repeated["accuracy"] == figures["results"][1]["accuracy"]
    assert repeated["confusion"] == figures["results"][1]["confusion"]
    assert (tmp_path / "again-folds-subject.json").read_bytes() == folds.read_bytes()

    ((reported,), left_out) = read_evaluations(tmp_path)
    assert (reported.benchmark, [one.by_subject for one in reported.accuracies]) == ("kdef_frontal", [True])
    assert left_out == (), "folds lie beside figures"


def test_the_list_names_every_benchmark_and_whom_to_ask(command):
    result = command("--list")
    assert result.exit_code == 0
    for name in (
        "radfd_semiprofile",
        "kdef_frontal",
        "rafdb",
        "cfee",
        "ckplus",
        "jaffe",
        "affectnet",
        "fer2013",
        "custom",
    ):
        assert name in result.stdout
    assert "kdef.se" in result.stdout


def test_without_a_folder_the_command_says_how_it_is_called(command):
    assert "--root DIR" in one_error(command("kdef_frontal"))


def test_an_unknown_benchmark_is_answered_with_those_there_are(command, kdef):
    line = one_error(command("kdeff", "--root", kdef))
    assert all(name in line for name in ("kdef_frontal", "kdef_views", "srd15", "bu3dfe"))
    assert "rafd_views" in one_error(command("rafd", "--root", kdef))


def test_a_wrong_folder_is_said_in_a_line(command, tmp_path):
    (tmp_path / "holidays").mkdir()
    (tmp_path / "holidays" / "beach.jpg").write_bytes(b"")
    line = one_error(command("kdef_frontal", "--root", tmp_path / "holidays"))
    assert "holidays" in line


def test_folds_that_cannot_be_read_are_said_in_a_line(command, kdef, tmp_path):
    (tmp_path / "folds.json").write_text("nothing")
    assert "folds.json" in one_error(command("kdef_frontal", "--root", kdef, "--folds", tmp_path / "folds.json"))


@pytest.fixture
def asked_for(monkeypatch):
    """What evaluations were asked for: each opened benchmark with the settings, none of which is computed."""
    found = []

    def compare(opened, features, protocols, **options):
        found.append((opened, list(features), list(protocols), options))
        raise DatasetError("enough is known")

    monkeypatch.setattr("models.emotion.benchmark_evaluation.compare_features", compare)
    return found


def put_photographs(root: Path, people: int = 6) -> None:
    """Grey pictures, called as KDEF's frontal ones of both sessions are."""
    for stem in (f"{session}F{person:02d}" for session in "AB" for person in range(1, people + 1)):
        (root / stem).mkdir(parents=True)
        for code in ("NE", "AN", "DI", "AF", "HA", "SA", "SU"):
            cv2.imwrite(str(root / stem / f"{stem}{code}S.JPG"), np.full((8, 8, 3), 90, np.uint8))


def test_the_pipeline_evaluates_the_photographs_that_the_command_does(new_project, tmp_path, asked_for, monkeypatch):
    from assets.benchmark_images import gather_benchmark_images
    from assets.emotion_classifier import train_emotion_classifier

    workspace = new_project(tmp_path / "project")
    root = workspace.data("datasets", "kdef")
    put_photographs(root)
    gather_benchmark_images(workspace, "kdef_frontal")
    vectors = np.zeros((42, 28))
    monkeypatch.setattr("assets.emotion_classifier.load_vectors", lambda *_: vectors)
    with pytest.raises(DatasetError, match="enough is known"):
        train_emotion_classifier(workspace, "kdef_frontal")
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(workspace.root))
    CliRunner().invoke(app, ["evaluate", "kdef_frontal", "--root", str(root), "--repeats", "1"])
    (staged, *_, of_stage), (commanded, *_, of_command) = asked_for
    assert len(staged.names) == 42
    assert staged.names == commanded.names
    assert of_stage["seed"] == of_command["seed"]
    assert of_stage["settings"] == of_command["settings"]


def test_a_seed_that_is_asked_for_picks_and_splits(command, asked_for, tmp_path):
    put_photographs(tmp_path / "KDEF")
    picks = {}
    for seed in (1, 2, 1):
        command("kdef_frontal", "--root", tmp_path / "KDEF", "--seed", seed)
        opened, *_, options = asked_for.pop()
        assert options["seed"] == seed
        assert picks.setdefault(seed, opened.names) == opened.names
    assert picks[1] != picks[2]


def test_seeds_without_a_project_are_those_of_the_projects_parameters():
    from assets.params import load_params

    params = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
    assert (params.benchmark_images.seed, params.emotion_classifier.seed) == (PICK_SEED, SEED)
    assert params.stress_detection.seed == stress_settings.SEED
    assert params.stress_detection.protocol == stress_settings.StressSettings()
    assert params.emotion_classifier.search == SearchSettings()


def test_outside_of_a_project_the_defaults_hold(asked_for, tmp_path, monkeypatch):
    put_photographs(tmp_path / "KDEF")
    monkeypatch.delenv("DEEPEXP3D_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["evaluate", "kdef_frontal", "--root", "KDEF", "--workers", "1"])
    assert "enough is known" in one_error(result)
    (opened, features, *_, options) = asked_for[0]
    assert (opened.seed, options["seed"]) == (PICK_SEED, SEED)
    assert options["settings"].search == SearchSettings()
    assert (features, options["without_face"]) == (["deepexp3d"], "leave_out")


def test_features_and_the_policy_are_the_projects_where_nobody_asks(new_project, asked_for, tmp_path, monkeypatch):
    put_photographs(tmp_path / "KDEF")
    changes = {"emotion_classifier.features": ["deepexp3d", "blendshapes"], "emotion_classifier.without_face": "wrong"}
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(new_project(tmp_path / "project", **changes).root))
    for more in ((), ("--features", "image_fit", "--without-face", "leave-out")):
        CliRunner().invoke(app, ["evaluate", "kdef_frontal", "--root", str(tmp_path / "KDEF"), "--workers", "1", *more])
    asked = [(features, options["without_face"]) for _, features, *_, options in asked_for]
    assert asked == [(["deepexp3d", "blendshapes"], "wrong"), (["image_fit"], "leave_out")]


@pytest.mark.parametrize("place", ["folder", "file/below.json"])
def test_a_place_for_figures_that_is_of_no_use_is_refused_before_the_work(command, asked_for, tmp_path, place):
    put_photographs(tmp_path / "KDEF")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    line = one_error(command("kdef_frontal", "--root", tmp_path / "KDEF", "--json", tmp_path / place))
    assert place in line
    assert asked_for == []


def test_a_file_in_place_of_the_results_folder_is_refused_before_the_work(command, asked_for, tmp_path):
    put_photographs(tmp_path / "KDEF")
    (tmp_path / "results").write_text("")
    line = one_error(command("kdef_frontal", "--root", tmp_path / "KDEF", "--out", tmp_path / "results"))
    assert "results: is a file, and a folder is to be written" in line
    assert asked_for == []


def test_figures_that_cannot_be_written_in_the_end_are_on_the_screen_already(command, monkeypatch, tmp_path):
    put_photographs(tmp_path / "KDEF")
    monkeypatch.setattr("models.emotion.benchmark_evaluation.compare_features", lambda *_, **__: ["figures"])
    monkeypatch.setattr("models.emotion.benchmark_tables.results_text", lambda results: "the table")

    def broken(results, path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("models.emotion.benchmark_files.write_figures", broken)
    result = command("kdef_frontal", "--root", tmp_path / "KDEF", "--json", tmp_path / "figures.json")
    assert "figures.json: cannot be written (Permission denied)" in one_error(result)
    assert "the table" in result.stdout


@pytest.mark.parametrize("benchmark", ["kdef_frontal", "srd15"])
def test_recorded_landmarks_are_refused_in_a_line(command, tmp_path, benchmark):
    put_photographs(tmp_path / "KDEF", people=4)
    (tmp_path / "KDEF" / "SRD15").mkdir()
    (tmp_path / "KDEF" / "SRD15" / "manifest.csv").write_text("video,subject,phase,task,label\na.mp4,s1,2,t,stress\n")
    root = tmp_path / "KDEF" / ("SRD15" if benchmark == "srd15" else "")
    line = one_error(command(benchmark, "--root", root, "--backend", "recorded"))
    assert "choose the backend mediapipe or face-alignment" in line
