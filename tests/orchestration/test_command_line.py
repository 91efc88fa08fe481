"""The command `deepexp3d`, as its users call it."""

import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import skimage.data
from typer.testing import CliRunner

from models.emotion.labels import EMOTIONS
from models.storage import load_arrays
from models.video.decoding import probe
from orchestration.command_line import app
from tests.odd_videos import encode

COLUMNS = [
    *("path", "frame", "time_s", "face", "box", "emotion"),
    *(f"p_{emotion}" for emotion in EMOTIONS),
    *(f"e_{number:02d}" for number in range(28)),
    *("yaw", "pitch", "roll", "status"),
]


@pytest.fixture(scope="module")
def network(small_model, tmp_path_factory) -> Path:
    """Folder of an exported network that has learned nothing, and of a classifier that has little."""
    import torch

    from models.emotion.ecoc import EcocSvm
    from models.emotion.persistence import save_classifier
    from models.expression.contract import NetworkContract
    from models.expression.export import export_onnx
    from models.expression.network import ExpressionNetwork, save_network

    folder = tmp_path_factory.mktemp("deepexp3d_export")
    torch.manual_seed(0)
    save_network(
        ExpressionNetwork("resnet18_half", 56, 28).eval(), NetworkContract.of(small_model, "resnet18_half", 56), folder
    )
    export_onnx(folder, folder, opset=17)
    rng = np.random.default_rng(0)
    classifier = EcocSvm().fit(rng.normal(size=(70, 28)), np.tile(EMOTIONS, 10))
    save_classifier(classifier, folder / "classifier.skops")
    return folder


@pytest.fixture(scope="module")
def photograph(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("photograph") / "astronaut.png"
    cv2.imwrite(str(path), skimage.data.astronaut()[..., ::-1])
    return path


@pytest.fixture(scope="module")
def clip(filmed, tmp_path_factory) -> Path:
    return encode(tmp_path_factory.mktemp("clip") / "talk.mp4", filmed(0)[:12])


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    return new_project(tmp_path_factory.mktemp("command_line") / "project")


@pytest.fixture
def command(project, network, monkeypatch):
    """Function that runs the command with these arguments."""
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(project.root))
    monkeypatch.setenv("DEEPEXP3D_MODEL", str(network))
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def read_table(path: Path) -> pd.DataFrame:
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".json": pd.read_json}
    return readers[path.suffix](path)


def one_error(result) -> str:
    """The single line that a mendable error is."""
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("deepexp3d: ")]
    assert "Traceback" not in result.output
    return line


def test_the_installed_command_explains_itself():
    command = Path(sys.executable).with_name("deepexp3d")
    result = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    for name in ("predict", "reconstruct", "landmarks"):
        assert name in result.stdout


@pytest.mark.parametrize("name", ["predict", "reconstruct", "landmarks"])
def test_every_command_shows_an_example(command, name):
    assert f"deepexp3d {name}" in command(name, "--help").stdout


def test_a_photograph_gives_a_row_with_everything(command, photograph):
    result = command("predict", photograph)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(io.StringIO(result.stdout))
    assert list(table.columns) == COLUMNS
    (row,) = table.itertuples()
    assert (row.path, row.frame, row.face) == (str(photograph), 0, 0)
    assert row.emotion in EMOTIONS


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_tables_of_every_kind_hold_the_agreed_columns(command, photograph, tmp_path, suffix):
    out = tmp_path / "deep" / f"table{suffix}"
    result = command("predict", photograph, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"{out}: 1 rows" in result.stdout
    table = read_table(out)
    assert list(table.columns) == COLUMNS
    assert table[[f"p_{emotion}" for emotion in EMOTIONS]].sum(axis=1)[0] == pytest.approx(1)
    assert np.isfinite(table.filter(like="e_").to_numpy(float)).all()


def test_features_alone_need_no_classifier(command, network, photograph, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "network.onnx").write_bytes((network / "network.onnx").read_bytes())
    assert "no emotion classifier" in one_error(command("predict", photograph, "--model", bare))
    result = command("predict", photograph, "--model", bare, "--features-only", "--out", tmp_path / "table.json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "table.json").read_text())
    assert row["emotion"] is None
    assert [name for name in row if name.startswith("p_")] == []
    assert len([name for name in row if name.startswith("e_")]) == 28


def test_a_bad_file_among_good_ones_is_named_and_left_out(command, photograph, tmp_path, caplog):
    folder = tmp_path / "photographs"
    folder.mkdir()
    (folder / "a.png").write_bytes(photograph.read_bytes())
    (folder / "b.jpg").write_bytes(b"no picture")
    result = command("predict", folder, "--out", tmp_path / "table.csv")
    assert result.exit_code == 0, result.output
    table = read_table(tmp_path / "table.csv")
    assert table.path.tolist() == [str(folder / "a.png"), str(folder / "b.jpg")]
    assert table.status[0] == "ok"
    assert "b.jpg: is no image" in table.status[1]
    assert "b.jpg" in caplog.text


def test_a_video_is_predicted_frame_by_frame_and_drawn(command, clip, tmp_path):
    result = command("predict", clip, "--out", tmp_path / "talk.csv", "--overlay", tmp_path / "drawn.mp4")
    assert result.exit_code == 0, result.output
    table = read_table(tmp_path / "talk.csv")
    assert table.frame.tolist() == list(range(12))
    assert (table.face == 0).all()
    assert probe(tmp_path / "drawn.mp4").frames == 12


def test_a_person_s_own_rest_is_taken_off(command, clip, photograph, tmp_path):
    assert command("predict", photograph, "--neutral", photograph, "--out", tmp_path / "same.csv").exit_code == 0
    same = read_table(tmp_path / "same.csv")
    assert same.filter(like="e_").abs().max(axis=None) < 1e-6
    plain, rest = tmp_path / "plain.csv", tmp_path / "rest.csv"
    options = ["--calibrate", "rest", "--smooth", "--batch", 3, "--threads", 1]
    assert command("predict", clip, "--out", plain).exit_code == 0
    result = command("predict", clip, "--out", rest, *options)
    assert result.exit_code == 0, result.output
    sizes = [read_table(path).filter(like="e_").abs().mean(axis=None) for path in (plain, rest)]
    assert sizes[1] < 0.5 * sizes[0]


def test_a_neutral_photograph_without_a_face_is_one_line(command, photograph, tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((90, 90, 3), 128, np.uint8))
    line = one_error(command("predict", photograph, "--neutral", tmp_path / "wall.png"))
    assert "wall.png: no face is found in the neutral photograph" in line


def test_rows_for_a_terminal_fit_into_a_line(photograph, capsys):
    from orchestration.command_line import _print_briefly

    row = {
        "path": "a" * 90,
        "frame": 0,
        "face": None,
        "emotion": None,
        "yaw": float("nan"),
        "pitch": -3.25,
        "roll": 1.0,
    }
    _print_briefly([{**row, "status": "no face"}])
    head, line = capsys.readouterr().out.splitlines()
    assert len(line) < 90
    assert line.endswith("no face")
    assert "nan" not in line
    assert "None" not in line
    assert head.split()[0] == "path"


def test_a_model_that_did_not_come_along_is_named(command, photograph, monkeypatch, tmp_path):
    monkeypatch.setattr("models.expression.shipped.SHIPPED_FOLDER", tmp_path)
    line = one_error(command("predict", photograph, "--model", "deepexp3d-small"))
    assert "did not come with the installation" in line


def test_a_picture_is_drawn(command, photograph, tmp_path):
    assert command("predict", photograph, "--overlay", tmp_path / "drawn.png").exit_code == 0
    drawn = cv2.imread(str(tmp_path / "drawn.png"))[..., ::-1]
    assert 0 < (drawn != skimage.data.astronaut()).any(-1).mean() < 0.6


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["predict", "nowhere.jpg"], "nowhere.jpg"),
        (["predict", "nowhere.mp4"], "nowhere.mp4: there is no such file"),
        (["reconstruct", "nowhere.mp4", "--out", "a.npz"], "nowhere.mp4: there is no such file"),
        (["landmarks", "nowhere.mp4", "--out", "a.npz"], "nowhere.mp4: there is no such file"),
        (["predict", "nowhere.jpg", "--model", "elsewhere"], "elsewhere"),
    ],
)
def test_what_is_not_there_is_one_line_and_a_failure(command, arguments, cause, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cause in one_error(command(*arguments))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_of_table_is_refused_before_any_work(command, tmp_path):
    line = one_error(command("predict", "nowhere.jpg", "--out", tmp_path / "table.xlsx"))
    assert "unknown kind of table '.xlsx'" in line


def test_outside_a_project_the_cure_is_named(command, clip, tmp_path, monkeypatch):
    monkeypatch.delenv("DEEPEXP3D_ROOT")
    monkeypatch.chdir(tmp_path)
    assert "no params.yaml here or above" in one_error(command("landmarks", clip, "--out", tmp_path / "a.npz"))


def test_landmarks_of_a_video_and_of_a_photograph(command, clip, photograph, tmp_path):
    assert command("landmarks", clip, "--out", tmp_path / "talk.npz").exit_code == 0
    found = load_arrays(tmp_path / "talk.npz")
    assert found["landmarks"].shape == (12, 68, 2)
    assert found["frame_index"].tolist() == list(range(12))
    assert command("landmarks", photograph, "--out", tmp_path / "photograph.npz").exit_code == 0
    assert load_arrays(tmp_path / "photograph.npz")["landmarks"].shape == (1, 68, 2)


def test_landmarks_of_a_folder_are_a_file_each_and_a_bad_video_is_named(command, clip, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "good.mp4").write_bytes(clip.read_bytes())
    (folder / "bad.mp4").write_bytes(b"no video")
    result = command("landmarks", folder, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.npz"]
    assert "bad.mp4: is not a video" in result.stderr
    (tmp_path / "empty").mkdir()
    assert "empty: no mp4" in one_error(command("landmarks", tmp_path / "empty", "--out", tmp_path / "out"))


def test_a_video_is_reconstructed_and_drawn(command, clip, tmp_path):
    result = command("reconstruct", clip, "--out", tmp_path / "talk.npz", "--overlay", tmp_path / "fit.mp4")
    assert result.exit_code == 0, result.output
    fit = load_arrays(tmp_path / "talk.npz")
    assert {name: fit[name].shape for name in ("identity", "expression", "rotation", "scale", "translation")} == {
        "identity": (157,),
        "expression": (12, 28),
        "rotation": (12, 3, 3),
        "scale": (12,),
        "translation": (12, 2),
    }
    assert np.median(fit["residual"]) < 0.05
    assert "12 frames, median residual" in result.stdout
    assert probe(tmp_path / "fit.mp4").frames == 12


def test_a_video_without_a_face_cannot_be_reconstructed(command, tmp_path):
    grey = encode(tmp_path / "grey.mp4", [np.full((192, 192, 3), 110, np.uint8)] * 6)
    line = one_error(command("reconstruct", grey, "--out", tmp_path / "grey.npz"))
    assert "grey.mp4: no face in the first frame" in line
    assert not (tmp_path / "grey.npz").exists()
