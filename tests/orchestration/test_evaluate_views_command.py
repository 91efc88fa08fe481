"""`deepexp3d evaluate kdef_views`: expression of the same moment from several angles."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from models.emotion.report.evaluations import read_evaluations
from orchestration.command_line import app


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    return new_project(tmp_path_factory.mktemp("views") / "project")


@pytest.fixture(scope="module")
def kdef(project, tmp_path_factory):
    """Two people in seven emotions, from the front and from both sides."""
    from assets.morphable_model import load_model
    from models.emotion.datasets.rendered_layouts import RenderedLayoutSettings, write_rendered_dataset

    folder = tmp_path_factory.mktemp("sets") / "KDEF"
    settings = RenderedLayoutSettings(views=(-45, 0, 45), sessions=("A",))
    write_rendered_dataset("kdef", folder, load_model(project), people=2, seed=2, settings=settings)
    return folder


@pytest.fixture
def command(project, monkeypatch):
    """Function that runs `deepexp3d evaluate` with these arguments."""
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(project.root))
    monkeypatch.setenv("DEEPEXP3D_MODEL", "deepexp3d-small")
    return lambda *arguments: CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--workers", "1"])


def test_angles_of_a_folder_give_a_table_and_files(command, kdef, tmp_path):
    out, file = tmp_path / "out", tmp_path / "views.json"
    result = command("kdef_views", "--root", kdef, "--out", out, "--json", file)
    assert result.exit_code == 0, result.output
    assert "KDEF, turned against frontal: 42 rendered photographs" in result.stdout
    figures = json.loads(file.read_text())
    assert (figures["benchmark"], figures["synthetic"], figures["complete"]) == ("kdef_views", True, False)
    assert [view["view"] for view in figures["views"]] == [-45, 45]
    assert figures["semi_profile"]["pairs"] == 28 - 2 * figures["without_face"]
    assert figures["published"] is None
    assert figures["versions"]["network"].startswith("deepexp3d-small")
    assert f"{figures['semi_profile']['mse']:.3f}" in result.stdout
    ((reported,), left_out) = read_evaluations(tmp_path)
    assert (set(reported.views), left_out) == ({"kdef"}, ())
    again = json.loads((out / "metrics.json").read_text())
    assert again == figures
    table = pd.read_csv(out / "coefficients.csv", index_col="coefficient")
    np.testing.assert_allclose(table.mean(), [view["mse"] for view in figures["views"]])
    assert (out / "views.png").stat().st_size > 5000


def test_the_stage_gives_the_figures_of_the_command(command, project, kdef, tmp_path, monkeypatch):
    from assets.view_invariance import measure_view_invariance
    from models.expression.shipped import model_folder

    monkeypatch.setattr("assets.view_invariance.dataset_root", lambda _, name: kdef if name == "kdef" else None)
    project.data("champion").parent.mkdir(parents=True, exist_ok=True)
    project.data("champion").symlink_to(model_folder("deepexp3d-small"))
    measure_view_invariance(project)
    metrics = json.loads(project.data("view_invariance", "metrics.json").read_text())["kdef"]
    assert command("kdef_views", "--root", kdef, "--json", tmp_path / "views.json").exit_code == 0
    figures = json.loads((tmp_path / "views.json").read_text())
    assert metrics["views"] == figures["views"]
    assert set(metrics) == set(figures)


def test_what_makes_no_sense_of_angles_is_refused(command, kdef):
    result = command("kdef_views", "--root", kdef, "--protocol", "subject")
    assert result.exit_code == 1
    assert "kdef_views: compares all angles of the set" in result.stderr


def test_a_set_of_frontal_photographs_is_said_to_lack_angles(command, kdef, tmp_path):
    for path in kdef.rglob("*"):
        if path.is_file() and not path.stem.endswith(("HL", "HR")):
            target = tmp_path / "frontal" / path.relative_to(kdef)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    result = command("kdef_views", "--root", tmp_path / "frontal")
    assert result.exit_code == 1
    assert "Add the other angles" in result.stderr


def test_the_list_names_comparisons_of_angles(command):
    listed = command("--list").stdout
    assert "  kdef_views\n" in listed
    assert "  rafd_views, published: 0.008, of unknown unit\n" in listed
