"""The files of `deploy/`: valid, of one mind with the profiles and the pinned versions, and without secrets."""

import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from assets.storage import Storage
from orchestration.storage import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = [path for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) if path.name != "dagster-values.yaml"]
# Of the operator's own kind; the pods in it are checked like any others.
CUSTOM = {"RayCluster", "Kustomization"}


def of_names(required: dict, optional: dict | None = None) -> dict:
    """Schema of an object that has these names, some of them in any case, and no others."""
    properties = required | (optional or {})
    return {"type": "object", "required": [*required], "properties": properties, "additionalProperties": False}


COUNT, TEXT = {"type": "integer", "minimum": 0}, {"type": "string"}
START_PARAMETERS = {"type": "object", "additionalProperties": TEXT}
# What ray.io/v1 requires, and of what it allows the names that are used here: no package has the operator's own schema.
# The pods and the autoscaler's variables in it are checked as Kubernetes' own.
RAY_CLUSTER = of_names(
    {"apiVersion": {"const": "ray.io/v1"}, "kind": {"const": "RayCluster"}, "metadata": of_names({"name": TEXT})}
    | {
        "spec": of_names(
            {"headGroupSpec": of_names({"template": {"type": "object"}}, {"rayStartParams": START_PARAMETERS})},
            {
                "rayVersion": TEXT,
                "enableInTreeAutoscaling": {"type": "boolean"},
                "autoscalerOptions": of_names({}, {"env": {"type": "array"}}),
                "workerGroupSpecs": {
                    "type": "array",
                    "items": of_names(
                        {"groupName": TEXT, "minReplicas": COUNT, "maxReplicas": COUNT, "template": {"type": "object"}},
                        {"replicas": COUNT, "rayStartParams": START_PARAMETERS},
                    ),
                },
            },
        )
    }
)


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


def ray_cluster() -> dict:
    (cluster,) = documents(DEPLOY / "kubernetes" / "ray-cluster.yaml")
    return cluster["spec"]


def ray_pods() -> list[dict]:
    """The specifications of its pods; the autoscaler, a container that the operator adds to the head's, by itself."""
    groups = [ray_cluster()["headGroupSpec"], *ray_cluster()["workerGroupSpecs"]]
    autoscaler = {"name": "autoscaler", "image": "deepexp3d", "env": ray_cluster()["autoscalerOptions"]["env"]}
    return [group["template"]["spec"] for group in groups] + [{"containers": [autoscaler]}]


def test_the_ray_cluster_is_what_its_operator_takes():
    (cluster,) = documents(DEPLOY / "kubernetes" / "ray-cluster.yaml")
    jsonschema.validate(cluster, RAY_CLUSTER)
    groups = ray_cluster()["workerGroupSpecs"]
    assert len({group["groupName"] for group in groups}) == len(groups)
    assert all(group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] for group in groups)


def test_pods_of_the_ray_cluster_are_what_kubernetes_takes():
    for spec in ray_pods():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, "spec": spec}
        kubernetes_validate.validate(pod, "1.37", strict=True)


def test_whatever_speaks_to_ray_shows_the_token_of_the_secret():
    wanted = [
        {"name": "RAY_AUTH_MODE", "value": "token"},
        {"name": "RAY_AUTH_TOKEN", "valueFrom": {"secretKeyRef": {"name": "deepexp3d", "key": "RAY_AUTH_TOKEN"}}},
    ]
    (values,) = documents(DEPLOY / "kubernetes" / "dagster-values.yaml")
    (code,) = values["dagster-user-deployments"]["deployments"]
    containers = [container for pod in ray_pods() for container in pod["containers"]]
    for container in [*containers, code]:
        assert [entry for entry in container["env"] if entry["name"].startswith("RAY_AUTH")] == wanted, container[
            "name"
        ]


def test_the_guide_makes_every_key_of_the_secret_that_is_asked_for():
    guide = (ROOT / "docs" / "operations.md").read_text()
    texts = [path.read_text() for path in (DEPLOY / "kubernetes").glob("*.yaml")]
    asked_for = {key for text in texts for key in re.findall(r"secretKeyRef: \{name: deepexp3d, key: ([\w-]+)\}", text)}
    assert {"PGPASSWORD", "RAY_AUTH_TOKEN"} <= asked_for
    assert [key for key in asked_for if f"--from-literal={key}=" not in guide] == []


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
    secret = re.compile(r"password|secret_access_key|access_key_id|token", re.IGNORECASE)
    for service in compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            assert not secret.search(name) or value.startswith("${"), name
    for path in MANIFESTS:
        assert "stringData" not in path.read_text()
        assert [document for document in documents(path) if document["kind"] == "Secret"] == []
        for name, entry in re.findall(r"name: (\S*(?:PASSWORD|KEY|TOKEN)\S*)\n\s+(\w+):", path.read_text()):
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


def test_the_chart_s_instance_frees_places_of_killed_runs_and_looks_at_freshness():
    (values,) = documents(DEPLOY / "kubernetes" / "dagster-values.yaml")
    monitoring = values["dagsterDaemon"]["runMonitoring"]
    assert monitoring["enabled"] == SETTINGS["run_monitoring"]["enabled"]
    assert monitoring["freeSlotsAfterRunEndSeconds"] == SETTINGS["run_monitoring"]["free_slots_after_run_end_seconds"]
    # The chart knows the rest of Dagster's settings by their own names.
    assert values["additionalInstanceConfig"] == {"freshness": SETTINGS["freshness"]}


def test_both_deployments_set_up_storage_and_with_it_the_limit_of_trainings():
    prepare = compose()["services"]["prepare"]["command"]
    job = next(one for one in documents(DEPLOY / "kubernetes" / "project.yaml") if one["kind"] == "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    for command in (prepare, container["command"]):
        assert "-m orchestration.storage --create-buckets" in " ".join(command)


def test_dagster_finds_the_code_where_compose_starts_it():
    workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
    server = workspace["load_from"][0]["grpc_server"]
    command = compose()["services"][server["host"]]["command"]
    assert str(server["port"]) in command
