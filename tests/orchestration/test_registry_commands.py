"""The registry from the shell: what is there, who may decide, and one line where something is wrong."""

import pytest
from typer.testing import CliRunner

from assets.model_registry import CHAMPION, champion_identity, read_trail
from orchestration.command_line import app
from tests.assets.exported_networks import make_better_challenger, network_bytes


def deepexp3d(workspace, *arguments):
    environment = {"DEEPEXP3D_ROOT": str(workspace.root), "DEEPEXP3D_MODEL": ""}
    return CliRunner().invoke(app, arguments, env=environment)


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    """A champion, version 1, and a better challenger, version 2."""
    workspace = new_project(tmp_path_factory.mktemp("commands") / "project", **{"deepexp3d.init_from": None})
    make_better_challenger(workspace)
    return workspace


def test_approving_and_rolling_back_take_one_command_each(project):
    shown = deepexp3d(project, "versions").stdout
    assert "champion    1  first by pipeline" in shown
    assert "challenger  2  better, check passed" in shown

    approved = deepexp3d(project, "approve", "2", "--reviewer", "Ada", "--reason", "sharper")
    assert approved.exit_code == 0, approved.output
    assert "version 2 is champion and in use" in approved.stdout
    assert champion_identity(project) == network_bytes(project)

    back = deepexp3d(project, "rollback", "--reviewer", "Ada", "--reason", "too sharp")
    assert "version 1 is champion and in use" in back.stdout
    assert champion_identity(project) != network_bytes(project)
    assert [entry.event for entry in read_trail(project)] == ["first", "approved", "promoted", "rolled back"]
    assert "rolled back   1  Ada: too sharp" in deepexp3d(project, "versions").stdout


def test_refusing_needs_a_reason(project):
    assert deepexp3d(project, "refuse", "1", "--reviewer", "Ada").exit_code == 2
    nameless = deepexp3d(project, "refuse", "1", "--reviewer", " ", "--reason", "why not")
    assert nameless.exit_code == 1
    assert nameless.stderr.splitlines()[-1].startswith("deepexp3d: a decision needs the reviewer's name")


def test_nothing_waits_where_everything_was_delivered(project):
    assert deepexp3d(project, "upload").stdout == "nothing waits\n"


@pytest.mark.parametrize("command", [("predict", "photo.jpg"), ("evaluate", "kdef_frontal", "--root", ".")])
def test_a_champion_that_there_is_not_is_one_line(new_project, tmp_path, command):
    empty = new_project(tmp_path / "project")
    result = deepexp3d(empty, *command, "--model", CHAMPION)
    assert result.exit_code == 1
    assert "has no champion" in result.stderr
    assert "make run" in result.stderr
