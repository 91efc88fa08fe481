"""Backup and restore of what git does not hold."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets import experiments, versioning
from assets.storage import PROFILE
from assets.workspace import Workspace
from orchestration.backup import CONTENTS, BackupError, back_up, main, relocate, restore
from orchestration.run import dagster_instance
from orchestration.storage import use_storage
from tests.servers import KEY, PASSWORD, without_credentials, write_profile
from tests.workspace_fixture import make_project

pytestmark = pytest.mark.timeout(300)


@dg.op
def answer():
    return 42


@dg.job
def a_job():
    answer()


@pytest.fixture
def open_at(tmp_path, monkeypatch):
    """Function of a name that makes a project there, with a DVC remote that all of them share, and steps into it."""
    without_credentials(monkeypatch, tmp_path)

    def step_into(name: str) -> Workspace:
        folder = tmp_path / name
        if not folder.exists():
            folder.mkdir()
            make_project(folder)
            stages = {"landmark_weights": {"cmd": "true", "outs": ["data/landmark_weights"]}}
            (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
            remote = "[core]\n    no_scm = true\n    remote = store\n['remote \"store\"']\n    url = ../../remote\n"
            (folder / ".dvc" / "config").write_text(remote)
        monkeypatch.setenv("DEEPEXP3D_ROOT", str(folder))
        monkeypatch.setenv("DAGSTER_HOME", str(folder / ".dagster"))
        return Workspace.open(folder)

    return step_into


def work_in(project: Workspace) -> str:
    """Leave a version of data, an MLflow run with a file and a registered model, and a Dagster run; returns its id."""
    weights = project.data("landmark_weights", "weights.json")
    weights.parent.mkdir(parents=True)
    weights.write_text("{}")
    use_storage(project, project.path(".dagster"))
    versioning.record(project.root, ["landmark_weights"])
    mlflow = experiments.connect(project, "deepexp3d")
    with mlflow.start_run() as run:
        mlflow.log_metric("mse", 0.25)
        mlflow.log_text("falling", "model/curves.txt")
    client = mlflow.MlflowClient()
    client.create_registered_model("deepexp3d")
    version = client.create_model_version("deepexp3d", f"{run.info.artifact_uri}/model", run.info.run_id).version
    client.set_registered_model_alias("deepexp3d", "champion", version)
    with dagster_instance(project) as instance:
        return a_job.execute_in_process(instance=instance).run_id


def assert_restored(project: Workspace, run_id: str) -> None:
    assert project.data("landmark_weights", "weights.json").read_text() == "{}"
    mlflow = experiments.connect(project, "deepexp3d")
    (run,) = mlflow.search_runs(experiment_names=["deepexp3d"], output_format="list")
    assert run.data.metrics == {"mse": 0.25}
    fetched = project.path("fetched")
    mlflow.artifacts.download_artifacts("models:/deepexp3d@champion", dst_path=str(fetched))
    assert [path.read_text() for path in fetched.rglob("curves.txt")] == ["falling"]
    with dagster_instance(project) as instance:
        assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.SUCCESS


def test_a_clone_elsewhere_gets_data_runs_and_models_back(open_at, tmp_path):
    project = open_at("project")
    run_id = work_in(project)
    back_up(project, tmp_path / "backup")
    clone = open_at("clone")
    restore(clone, tmp_path / "backup")
    # Nothing of the restored project may lean on where it came from.
    shutil.rmtree(project.root)
    assert_restored(clone, run_id)


def test_a_remote_inside_the_project_folder_goes_into_the_backup(open_at, tmp_path):
    project = open_at("project")
    for name in ("project", "clone"):
        config = open_at(name).path(".dvc", "config")
        config.write_text(config.read_text().replace("../../remote", "../.dvc-remote"))
    work_in(open_at("project"))
    back_up(project, tmp_path / "backup")
    assert not project.path(".dvc-remote").exists()
    clone = open_at("clone")
    restore(clone, tmp_path / "backup")
    assert clone.data("landmark_weights", "weights.json").read_text() == "{}"


def test_databases_of_a_server_come_back_into_empty_ones(open_at, tmp_path, monkeypatch, postgres, object_store):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    content = write_profile(tmp_path / "profile.yaml", postgres, object_store)
    monkeypatch.setenv(PROFILE, str(tmp_path / "profile.yaml"))
    run_id = work_in(open_at("project"))
    back_up(open_at("project"), tmp_path / "backup")
    assert {path.name for path in (tmp_path / "backup").iterdir()} == {
        *(CONTENTS, "dvc.lock", "mlflow.dump", "dagster.dump")
    }
    content["postgres"] |= {"mlflow": postgres.new_database(), "dagster": postgres.new_database()}
    (tmp_path / "profile.yaml").write_text(yaml.safe_dump(content))
    clone = open_at("clone")
    use_storage(clone, clone.path(".dagster"))
    restore(clone, tmp_path / "backup")
    assert_restored(clone, run_id)


def test_a_backup_never_overwrites_another(open_at, tmp_path):
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "file").touch()
    with pytest.raises(BackupError, match="holds something already; name a new folder"):
        back_up(open_at("project"), tmp_path / "backup")


def test_a_project_without_results_says_that_there_is_nothing_to_back_up(open_at, tmp_path, capsys):
    open_at("project")
    assert main(["backup", str(tmp_path / "backup")]) == 1
    assert "nothing to back up yet; run the pipeline first" in capsys.readouterr().err
    assert not (tmp_path / "backup").exists()


def test_a_restore_never_overwrites_results(open_at, tmp_path):
    project = open_at("project")
    work_in(project)
    back_up(project, tmp_path / "backup")
    before = project.path("mlflow.db").read_bytes()
    with pytest.raises(BackupError, match=r"mlflow\.db: is there already.*fresh clone"):
        restore(project, tmp_path / "backup")
    assert project.path("mlflow.db").read_bytes() == before


@pytest.mark.parametrize("content", [None, "not json", "{}"])
def test_what_is_no_whole_backup_is_refused(open_at, tmp_path, content):
    (tmp_path / "backup").mkdir()
    if content is not None:
        (tmp_path / "backup" / CONTENTS).write_text(content)
    with pytest.raises(BackupError, match="holds no whole backup"):
        restore(open_at("clone"), tmp_path / "backup")


def test_addresses_move_with_their_folder_and_no_others(tmp_path):
    database = tmp_path / "mlflow.db"
    texts = ["file:///old/mlartifacts/1", "file:///old/mlartifacts2/1", "s3://old/mlartifacts/1", "about file:///old"]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE runs (number INTEGER, uri VARCHAR(200))")
        connection.executemany("INSERT INTO runs VALUES (?, ?)", list(enumerate(texts)))
    relocate(database, Path("/old/mlartifacts"), Path("/new/place"))
    with closing(sqlite3.connect(database)) as connection:
        moved = [uri for (uri,) in connection.execute("SELECT uri FROM runs ORDER BY number")]
    assert moved == ["file:///new/place/1", *texts[1:]]
