"""The files of `deploy/`: valid, of one mind with the profiles and the pinned versions, and without secrets."""

import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from assets.storage import Storage

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = [path for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) if path.name != "dagster-values.yaml"]
# Of the operator's own kind; the pods in it are checked like any others.
CUSTOM = {"RayCluster", "Kustomization"}


def documents(path: Path) -> list[dict]:
    return list(yaml.safe_load_all(path.read_text()))


def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def pinned(package: str) -> str:
    return re.search(rf"^{package}==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]


def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(Path(sys.executable).with_name(program)), *arguments], cwd=ROOT, capture_output=True, text=True
    )


def assert_passes(result: subprocess.CompletedProcess) -> None:
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_compose_file_is_of_the_published_schema():
    assert_passes(run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"))


def test_the_dockerfile_has_nothing_to_complain_about():
    assert_passes(run("hadolint", "--no-color", "--failure-threshold", "info", "deploy/Dockerfile"))


def test_the_yaml_is_tidy():
    assert_passes(run("yamllint", "--strict", "-c", "deploy/.yamllint", "deploy"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_are_what_kubernetes_takes(path):
    kinds = [document["kind"] for document in documents(path)]
    assert kinds
    for document in documents(path):
        if document["kind"] not in CUSTOM:
            kubernetes_validate.validate(document, "1.37", strict=True)


def test_pods_of_the_ray_cluster_are_what_kubernetes_takes():
    (cluster,) = documents(DEPLOY / "kubernetes" / "ray-cluster.yaml")
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    for group in groups:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, "spec": group["template"]["spec"]}
        kubernetes_validate.validate(pod, "1.37", strict=True)
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_the_kustomization_names_every_manifest():
    (kustomization,) = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    assert set(kustomization["resources"]) == {path.name for path in MANIFESTS} - {"kustomization.yaml"}


def test_profiles_are_valid_and_name_the_services():
    cluster = Storage.model_validate(yaml.safe_load((DEPLOY / "profiles" / "cluster.yaml").read_text()))
    shared = Storage.model_validate(yaml.safe_load((DEPLOY / "profiles" / "shared.yaml").read_text()))
    services = compose()["services"]
    kubernetes = {
        document["metadata"]["name"]: document["spec"]["ports"][0]["port"]
        for path in MANIFESTS
        for document in documents(path)
        if document["kind"] == "Service"
    }
    host, port = cluster.object_store.endpoint.removeprefix("http://").split(":")
    assert {cluster.postgres.host, host} <= set(services)
    assert kubernetes[cluster.postgres.host] == cluster.postgres.port
    assert kubernetes[host] == int(port)
    published = {entry.split(":")[1] for service in services.values() for entry in service.get("ports", [])}
    assert {str(shared.postgres.port), shared.object_store.endpoint.rsplit(":", 1)[1]} <= published
    assert (shared.postgres.mlflow, shared.object_store.mlflow) == (
        cluster.postgres.mlflow,
        cluster.object_store.mlflow,
    )


def test_mlflow_is_given_the_database_and_the_store_of_the_profile():
    cluster = Storage.model_validate(yaml.safe_load((DEPLOY / "profiles" / "cluster.yaml").read_text()))
    wanted = {
        f"--backend-store-uri={cluster.postgres.address(cluster.postgres.mlflow)}",
        f"--artifacts-destination={cluster.object_store.mlflow}",
    }
    (deployment,) = [one for one in documents(DEPLOY / "kubernetes" / "mlflow.yaml") if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert wanted <= set(container["args"])
    assert wanted <= set(compose()["services"]["mlflow"]["command"])


def test_both_databases_are_made():
    sql = (DEPLOY / "postgres" / "databases.sql").read_text()
    config = documents(DEPLOY / "kubernetes" / "postgres.yaml")[0]["data"]["databases.sql"]
    for text in (sql, config):
        assert re.findall(r"CREATE DATABASE (\w+);", text) == ["dagster", "mlflow"]


def test_everything_is_published_to_this_machine_alone():
    ports = [entry for service in compose()["services"].values() for entry in service.get("ports", [])]
    assert len(ports) >= 4
    assert all(entry.startswith("127.0.0.1:") for entry in ports)


def test_no_secret_stands_in_a_file():
    secret = re.compile(r"password|secret_access_key|access_key_id", re.IGNORECASE)
    for service in compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            assert not secret.search(name) or value.startswith("${"), name
    for path in MANIFESTS:
        assert "stringData" not in path.read_text()
        assert [document for document in documents(path) if document["kind"] == "Secret"] == []
        for name, entry in re.findall(r"name: (\S*(?:PASSWORD|KEY)\S*)\n\s+(\w+):", path.read_text()):
            assert entry == "valueFrom", name


def test_versions_are_those_of_the_constraints():
    (cluster,) = documents(DEPLOY / "kubernetes" / "ray-cluster.yaml")
    assert cluster["spec"]["rayVersion"] == pinned("ray")
    assert f"--version {pinned('dagster')} " in (DEPLOY / "kubernetes" / "dagster-values.yaml").read_text()


def test_the_chart_is_given_a_launcher_and_arguments_that_exist():
    import dagster

    (values,) = documents(DEPLOY / "kubernetes" / "dagster-values.yaml")
    launcher = values["runLauncher"]["config"]["customRunLauncher"]
    assert hasattr(dagster, launcher["class"])
    (code,) = values["dagster-user-deployments"]["deployments"]
    assert code["dagsterApiGrpcArgs"] == ["--module-name", "orchestration.definitions"]
    assert code["volumes"][0]["persistentVolumeClaim"]["claimName"] == code["volumes"][0]["name"] == "project"


def test_dagster_finds_the_code_where_compose_starts_it():
    workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
    server = workspace["load_from"][0]["grpc_server"]
    command = compose()["services"][server["host"]]["command"]
    assert str(server["port"]) in command
