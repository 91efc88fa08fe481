"""One profile, and Dagster's runs, MLflow's models and DVC's bytes are on servers."""

import os
import subprocess
import sys

import dagster as dg
import pytest
import yaml

from assets import experiments, versioning
from assets.storage import PROFILE, ObjectStore, Postgres, Storage
from assets.workspace import Workspace
from models.errors import ParamsError
from orchestration.run import dagster_instance
from orchestration.storage import INSTANCE, instance_settings, use_storage, write_instance_settings
from tests.servers import KEY, PASSWORD, s3_client, without_credentials, write_profile
from tests.workspace_fixture import make_project

pytestmark = pytest.mark.timeout(300)

ON_POSTGRES = Storage(postgres=Postgres(host="db", user="deepexp3d", dagster="dagster", mlflow="mlflow"))


@pytest.fixture
def shared(tmp_path, monkeypatch, postgres, object_store):
    """A project on servers, and the content of its profile."""
    without_credentials(monkeypatch, tmp_path)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "project"
    folder.mkdir()
    project = make_project(folder)
    monkeypatch.setenv("DAGSTER_HOME", str(project.path(".dagster")))
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(project.root))
    content = write_profile(tmp_path / "shared.yaml", postgres, object_store)
    monkeypatch.setenv(PROFILE, str(tmp_path / "shared.yaml"))
    return Workspace.open(folder), content


@dg.op
def answer():
    return 42


@dg.job
def a_job():
    answer()


def objects_below(address: str, store: str) -> list[str]:
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    found = s3_client(store).list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for entry in found.get("Contents", [])]


def files_with_secrets(folder) -> list:
    secrets = [PASSWORD.encode(), *(value.encode() for value in KEY.values())]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(secret in path.read_bytes() for secret in secrets)]


def test_dagster_keeps_runs_and_events_in_postgres(shared, postgres):
    project, profile = shared
    with dagster_instance(project) as instance:
        result = a_job.execute_in_process(instance=instance)
    with dagster_instance(project) as reopened:
        assert reopened.get_run_by_id(result.run_id).status == dg.DagsterRunStatus.SUCCESS
    database = profile["postgres"]["dagster"]
    assert postgres.count(database, "runs") == 1
    assert postgres.count(database, "event_logs") > 5
    assert list(project.path(".dagster").rglob("*.db")) == []
    assert files_with_secrets(project.root) == []


def test_mlflow_keeps_runs_in_postgres_and_files_in_the_object_store(shared, postgres, object_store):
    project, profile = shared
    picture = project.path("curves.txt")
    picture.write_text("falling")
    mlflow = experiments.connect(project, "deepexp3d")
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(picture), "model")
    client = mlflow.MlflowClient()
    client.create_registered_model("deepexp3d")
    version = client.create_model_version("deepexp3d", f"{run.info.artifact_uri}/model", run.info.run_id).version
    client.set_registered_model_alias("deepexp3d", "champion", version)
    database = profile["postgres"]["mlflow"]
    assert postgres.count(database, "runs") == 1
    assert postgres.count(database, "model_versions") == 1
    kept = objects_below(profile["object_store"]["mlflow"], object_store)
    assert [key.split("/")[-1] for key in kept] == ["curves.txt"]
    mlflow.artifacts.download_artifacts("models:/deepexp3d@champion", dst_path=str(project.path("fetched")))
    assert [path.read_text() for path in project.path("fetched").rglob("curves.txt")] == ["falling"]
    assert not project.path("mlflow.db").exists()
    assert not project.path("mlartifacts").exists()
    assert files_with_secrets(project.root) == []


def test_dvc_pushes_to_the_object_store_and_a_fresh_clone_pulls_the_same_bytes(shared, tmp_path, object_store):
    project, profile = shared
    weights = project.data("landmark_weights", "weights.json")
    weights.parent.mkdir(parents=True)
    weights.write_text('{"detector": "one"}')
    use_storage(project, project.path(".dagster"))
    versioning.record(project.root, ["landmark_weights"])
    run(project.root, "dvc", "push", "landmark_weights")
    assert len(objects_below(profile["object_store"]["dvc"], object_store)) == 2

    project.path(".gitignore").write_text("/data/*\n/.dagster/\n__pycache__/\n")
    project.path(".dvc", ".gitignore").write_text("/config.local\n/tmp\n/cache\n/*.lock\n")
    git(project.root, "init", "--quiet")
    git(project.root, "add", ".")
    git(project.root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "all")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(project.root), str(clone))
    assert not (clone / "data" / "landmark_weights").exists()
    environment = {"DEEPEXP3D_ROOT": str(clone), "DAGSTER_HOME": str(clone / ".dagster"), "PYTHONPATH": os.getcwd()}
    said = run(clone, "orchestration.storage", **environment)
    assert profile["object_store"]["dvc"] in said
    run(clone, "dvc", "pull", "landmark_weights")
    assert (clone / "data" / "landmark_weights" / "weights.json").read_bytes() == weights.read_bytes()


def test_without_a_profile_again_the_project_is_on_its_own(shared, monkeypatch):
    project, profile = shared
    home = project.path(".dagster")
    use_storage(project, home)
    assert profile["object_store"]["dvc"] in project.path(".dvc", "config.local").read_text()
    assert profile["postgres"]["dagster"] in (home / INSTANCE).read_text()
    monkeypatch.delenv(PROFILE)
    alone = Workspace.open(project.root)
    use_storage(alone, home)
    assert profile["object_store"]["dvc"] not in project.path(".dvc", "config.local").read_text()
    assert "storage" not in yaml.safe_load((home / INSTANCE).read_text())
    assert experiments.tracking_uri(alone) == f"sqlite:///{project.path('mlflow.db')}"


def test_what_a_user_has_set_for_dvc_stays(tmp_path):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    local = tmp_path / ".dvc" / "config.local"
    local.write_text("[core]\n    check_update = false\n['remote \"mine\"']\n    url = /mine\n")
    versioning.use_remote(tmp_path, ObjectStore(dvc="s3://bucket/dvc", mlflow="s3://bucket/mlflow"))
    assert "s3://bucket/dvc" in local.read_text()
    versioning.use_remote(tmp_path, None)
    assert "s3://bucket/dvc" not in local.read_text()
    assert "check_update = false" in local.read_text()
    assert "/mine" in local.read_text()


def test_dagster_settings_of_ones_own_are_never_overwritten(tmp_path):
    own = tmp_path / INSTANCE
    own.write_text("python_logs:\n  python_log_level: INFO\n")
    with pytest.raises(ParamsError, match=r"dagster\.yaml: is your own(.|\n)*storage:\n  postgres:"):
        write_instance_settings(own, ON_POSTGRES)
    write_instance_settings(own, Storage())
    assert own.read_text() == "python_logs:\n  python_log_level: INFO\n"
    with_storage = own.read_text() + yaml.safe_dump({"storage": instance_settings(ON_POSTGRES)["storage"]})
    own.write_text(with_storage)
    write_instance_settings(own, ON_POSTGRES)
    assert own.read_text() == with_storage


def test_settings_of_an_earlier_release_follow_the_profile(tmp_path):
    path = tmp_path / INSTANCE
    path.write_text(yaml.safe_dump({"telemetry": {"enabled": False}, "nux": {"enabled": False}}))
    write_instance_settings(path, ON_POSTGRES)
    assert yaml.safe_load(path.read_text()) == instance_settings(ON_POSTGRES)
    write_instance_settings(path, Storage())
    assert "storage" not in yaml.safe_load(path.read_text())


@pytest.mark.parametrize("missing", ["PGPASSWORD", "AWS_SECRET_ACCESS_KEY"])
def test_a_run_without_credentials_says_which_before_it_does_anything(shared, missing):
    project, _ = shared
    environment = {name: value for name, value in os.environ.items() if name != missing}
    environment |= {"PYTHONPATH": os.getcwd()}
    result = subprocess.run(
        [sys.executable, "-m", "orchestration.run"], cwd=project.root, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert missing in result.stderr
    assert "Traceback" not in result.stderr
    assert {path.name for path in project.path("data").iterdir()} <= {"incoming", "datasets"}


def run(folder, module: str, *arguments: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def git(folder, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
