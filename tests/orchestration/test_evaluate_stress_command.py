"""`deepexp3d evaluate srd15`: stress in the videos of a manifest."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from models.emotion.report.evaluations import read_evaluations
from models.emotion.stress_videos import COLUMNS, VideoExpressions
from orchestration.command_line import app

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(monkeypatch):
    """Function that runs `deepexp3d evaluate` with these arguments; stressful videos are told by their names."""
    read = []

    def expressions(path, predictor, *, stride, max_side):
        read.append(path.name)
        values = np.random.default_rng(len(read)).normal(size=(6, 28)) + 2.0 * ("yes" in path.name)
        return VideoExpressions(np.arange(6), np.arange(6) / 5, values.astype(np.float32))

    monkeypatch.setenv("DEEPEXP3D_ROOT", str(ROOT))
    monkeypatch.setenv("DEEPEXP3D_MODEL", "deepexp3d-small")
    monkeypatch.setattr("models.emotion.stress_videos.video_expressions", expressions)
    monkeypatch.setattr(
        "models.expression.predictor.Predictor.load", lambda *_, **options: SimpleNamespace(expression_size=28)
    )

    def run(*arguments):
        return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])

    return SimpleNamespace(run=run, read=read)


@pytest.fixture
def videos(tmp_path):
    """Five people's videos of two phases."""
    root = tmp_path / "SRD15"
    root.mkdir()
    rows = [
        (f"{label}_{person}_{phase}.mp4", f"s{person}", phase, "task", {"yes": "stressful", "no": "neutral"}[label])
        for person in range(5)
        for phase in ("2", "4")
        for label in ("yes", "no")
    ]
    for name, *_ in rows:
        (root / name).write_text(name)
    with open(root / "manifest.csv", "w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return root


def test_a_manifest_gives_a_table_and_files_and_videos_are_read_once(command, videos, tmp_path):
    out = tmp_path / "out"
    result = command.run("srd15", "--root", videos, "--out", out, "--json", tmp_path / "stress.json", "--repeats", 1)
    assert result.exit_code == 0, result.output
    assert "Emotional recall" in result.stdout
    assert "86.70" not in result.stdout, "five people are not SRD'15's"
    assert "±" not in result.stdout, "a single repeat has no deviation"
    told = json.loads((tmp_path / "stress.json").read_text())
    assert told == json.loads((out / "metrics.json").read_text())
    assert told["average"]["video_majority"]["mean"] > 0.9
    assert (told["synthetic"], told["repeats"], told["benchmark"]) == (False, 1, "srd15")
    assert told["versions"]["network"].startswith("deepexp3d-small")
    assert told["machine"]["processors"] > 0
    ((reported,), left_out) = read_evaluations(tmp_path)
    assert (reported.stress, left_out) == (told, ())
    assert len(command.read) == 20
    command.read.clear()
    again = command.run("srd15", "--root", videos, "--out", out, "--repeats", 1)
    assert again.stdout == result.stdout
    assert command.read == []
    folds = tmp_path / "stress-folds-subject.json"
    assert folds.read_text() == (out / "metrics-folds-subject.json").read_text()
    by_folds = command.run("srd15", "--root", videos, "--out", out, "--folds", folds, "--seed", 77)
    assert by_folds.stdout == result.stdout


@pytest.mark.parametrize(
    "option", [("--protocol", "subject"), ("--without-face", "leave-out"), ("--pipeline", "depth")]
)
def test_options_for_photographs_and_scans_are_refused(command, videos, option):
    result = command.run("srd15", "--root", videos, *option)
    assert result.exit_code == 1
    assert "leave out --features, --protocol, --pipeline and --without-face" in result.stderr


def test_a_folder_without_a_manifest_is_told_in_a_line(command, tmp_path):
    result = command.run("srd15", "--root", tmp_path)
    assert result.exit_code == 1
    assert "manifest.csv: there is no such file" in result.stderr
    assert "Traceback" not in result.output
