"""The whole graph on a tiny configuration, in process; then DVC and Dagster must agree that it is done."""

import json
import os
import shutil
import subprocess
import sys

import dagster as dg
import pytest
import yaml

from assets import versioning
from assets.workspace import Workspace
from orchestration.backup import back_up, restore
from orchestration.pipeline import STAGE_MODULES, STEPS, stages_of
from orchestration.run import bring_up_to_date, dagster_instance
from tests.workspace_fixture import ROOT, make_project

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project in which everything has been run once, and the stages that were run."""
    folder = tmp_path_factory.mktemp("project") / "project"
    folder.mkdir()
    environment = {"DAGSTER_HOME": str(folder / ".dagster"), "DEEPEXP3D_ROOT": str(folder)}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    workspace = make_project(folder)
    yield workspace, bring_up_to_date(workspace)
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


def all_stages(workspace):
    return [f"{stage}@{key}" if key else stage for stage, keys in workspace.partitions.items() for key in keys]


def test_every_stage_runs_once(finished):
    workspace, done = finished
    assert sorted(done) == sorted(all_stages(workspace))


def test_every_asset_is_materialised_with_the_version_that_dvc_records(finished):
    workspace, _ = finished
    versions = versioning.output_versions(workspace.root)
    with dagster_instance(workspace) as instance:
        for step in STEPS:
            for stage in stages_of(step, "synthetic"):
                event = instance.get_latest_materialization_event(dg.AssetKey(stage.split("@")[0]))
                assert event is not None, stage
                if step.partitions != "benchmarks":
                    assert event.asset_materialization.tags["dagster/data_version"] == versions[stage]


def test_all_asset_checks_pass(finished):
    workspace, _ = finished
    with dagster_instance(workspace) as instance:
        records = instance.get_event_records(
            dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION), limit=500
        )
    evaluations = [record.event_log_entry.dagster_event.event_specific_data for record in records]
    assert {evaluation.asset_key.to_user_string() for evaluation in evaluations} >= set(STAGE_MODULES)
    # How good a network is that has seen forty pictures is left open; that its files are right is not.
    broken = [e for e in evaluations if not e.passed and e.severity == dg.AssetCheckSeverity.ERROR]
    assert [(e.asset_key.to_user_string(), e.description) for e in broken] == []


def test_the_report_and_its_summary_hold_what_was_measured(finished):
    workspace, _ = finished
    summary = json.loads(workspace.path("reports", "summary.json").read_text())
    assert set(summary["wall_seconds"]) == set(all_stages(workspace)) - {"results_report"}
    assert summary["wall_seconds_total"] == pytest.approx(sum(summary["wall_seconds"].values()), abs=0.01)
    assert summary["counts"]["videos_synthetic"] == 6
    assert 0 < summary["metrics"]["fit.unexplained_expression_variance"] < 1.5
    assert 0 <= summary["metrics"]["emotion.synthetic.accuracy"] <= 1
    assert 0 <= summary["metrics"]["fusion.depth.accuracy"] <= 1
    page = workspace.path("reports", "index.html").read_text()
    assert "synthetic" in page
    assert "data:image" in page


def test_training_is_in_mlflow_with_its_inputs_and_a_registered_version(finished):
    import mlflow

    workspace, _ = finished
    client = mlflow.MlflowClient(f"sqlite:///{workspace.path('mlflow.db')}")
    experiment = client.get_experiment_by_name("deepexp3d")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["data"] == "synthetic"
    assert run.data.tags["dvc_md5.data/facevid_shards"] == versioning.output_versions(workspace.root)["facevid_shards"]
    assert run.data.params["backbone"] == workspace.params.deepexp3d.backbone
    assert run.data.metrics["final/mse"] > 0
    version = client.get_model_version_by_alias("deepexp3d", "champion")
    assert version.version == client.get_model_version_by_alias("deepexp3d", "challenger").version


def test_a_second_run_does_nothing(finished):
    workspace, _ = finished
    assert bring_up_to_date(workspace) == []


def test_dvc_repro_has_nothing_to_do_after_dagster(finished):
    workspace, _ = finished
    result = dvc(workspace, "repro")
    assert "Data and pipelines are up to date" in result.stdout, result.stdout + result.stderr
    assert "Running stage" not in result.stdout


def test_a_clone_with_the_backup_has_the_same_report_and_nothing_to_do(finished, tmp_path, monkeypatch):
    """The same: every file of reports/ byte by byte, and, made anew there, every figure but the times it took."""
    workspace, _ = finished
    back_up(workspace, tmp_path / "backup")
    clone = clone_of(workspace, tmp_path / "clone")
    monkeypatch.setenv("DAGSTER_HOME", str(clone.path(".dagster")))
    monkeypatch.setenv("DEEPEXP3D_ROOT", str(clone.root))
    restore(clone, tmp_path / "backup")
    assert bytes_below(clone.path("reports")) == bytes_below(workspace.path("reports"))
    assert bring_up_to_date(clone) == []
    client = mlflow_client(clone)
    assert client.get_model_version_by_alias("deepexp3d", "champion").version
    shutil.rmtree(clone.path("reports"))
    assert bring_up_to_date(clone) == ["results_report"]
    ours, theirs = (json.loads(project.path("reports", "summary.json").read_text()) for project in (clone, workspace))
    for summary in (ours, theirs):
        for name in ("wall_seconds", "wall_seconds_total"):
            summary.pop(name)
    assert ours == theirs


def test_dagster_has_nothing_to_do_after_dvc_repro_and_learns_of_it(finished):
    workspace, _ = finished
    params = yaml.safe_load(workspace.path("params.yaml").read_text())
    params["results_report"]["overlay_videos"] = 2
    workspace.path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    workspace = Workspace.open(workspace.root)
    before = versioning.output_versions(workspace.root)["results_report"]
    result = dvc(workspace, "repro")
    # The parameter is the report's alone: nothing else may have been run.
    assert result.stdout.count("Running stage") == 0 or result.stdout.count("Running stage") == 1, result.stdout
    after = versioning.output_versions(workspace.root)["results_report"]
    assert after != before, result.stdout + result.stderr
    assert bring_up_to_date(workspace) == []
    with dagster_instance(workspace) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("results_report"))
    assert event.asset_materialization.tags["dagster/data_version"] == after


def dvc(workspace, *arguments):
    """Run DVC as a user would in the project's environment."""
    binaries = os.path.dirname(sys.executable)
    environment = os.environ | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=workspace.root, env=environment, capture_output=True, text=True
    )


def clone_of(workspace, folder):
    """What git holds of a project, cloned."""
    for name in (".gitignore", ".dvc/.gitignore"):
        shutil.copy(ROOT / name, workspace.path(name))
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "--quiet"], ["add", "."], [*author, "commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *arguments], cwd=workspace.root, check=True)
    subprocess.run(["git", "clone", "--quiet", str(workspace.root), str(folder)], check=True)
    return Workspace.open(folder)


def bytes_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mlflow_client(workspace):
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{workspace.path('mlflow.db')}")
