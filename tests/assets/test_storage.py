"""Storage profiles: what they may say, and what is said where a server, a password or a key is missing."""

import pytest
import yaml

from assets.storage import PROFILE, Storage, check_storage, create_buckets, load_storage
from models.errors import CredentialsMissingError, ParamsError, StorageUnreachableError
from tests.servers import KEY, PASSWORD, free_port, new_bucket, without_credentials, write_profile

VALID = {
    "postgres": {"host": "db", "user": "deepexp3d", "dagster": "dagster", "mlflow": "mlflow"},
    "object_store": {"endpoint": "http://store:8333", "dvc": "s3://deepexp3d/dvc", "mlflow": "s3://deepexp3d/mlflow"},
}


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """Path of the profile that is asked for; there is no file yet."""
    without_credentials(monkeypatch, tmp_path)
    path = tmp_path / "deploy" / "profiles" / "mine.yaml"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv(PROFILE, "mine")
    return path


def changed(section: str, **values) -> str:
    return yaml.safe_dump(VALID | {section: VALID[section] | values})


def test_without_a_profile_everything_stays_in_the_project_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(PROFILE, raising=False)
    assert load_storage(tmp_path) == Storage(postgres=None, object_store=None)
    assert check_storage(load_storage(tmp_path)) == []


def test_a_profile_is_named_by_its_file_or_given_as_a_path(profile, tmp_path, monkeypatch):
    profile.write_text(yaml.safe_dump(VALID))
    by_name = load_storage(tmp_path)
    monkeypatch.setenv(PROFILE, str(profile))
    assert load_storage(tmp_path) == by_name
    assert by_name.postgres.address("mlflow") == "postgresql+psycopg2://deepexp3d@db:5432/mlflow"


def test_a_profile_that_does_not_exist_is_named_beside_those_that_do(profile, tmp_path):
    (profile.parent / "shared.yaml").write_text("")
    with pytest.raises(ParamsError, match=r"mine\.yaml: no such file.*DEEPEXP3D_PROFILE.*has: shared"):
        load_storage(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("postgres", password="hidden-word"), "unknown key 'postgres.password'; a profile holds no passwords"),
        (changed("object_store", secret="hidden-word"), "unknown key 'object_store.secret'"),
        (changed("postgres", user="deepexp3d:hidden-word"), r"postgres\.user"),
        (changed("object_store", endpoint="https://key:hidden-word@store"), r"object_store\.endpoint"),
        (changed("object_store", dvc="/folder"), r"object_store\.dvc"),
        (changed("postgres", port="many"), r"postgres\.port"),
        ("postgres: [", "not readable as YAML"),
    ],
)
def test_a_profile_with_a_secret_or_a_mistake_is_refused_without_repeating_it(profile, tmp_path, text, message):
    profile.write_text(text)
    with pytest.raises(ParamsError, match=message) as raised:
        load_storage(tmp_path)
    assert "hidden-word" not in str(raised.value)


def test_what_answers_is_told(profile, tmp_path, monkeypatch, postgres, object_store):
    write_profile(profile, postgres, object_store)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    lines = check_storage(load_storage(tmp_path))
    assert [line.split(":")[0] for line in lines] == ["dagster", "mlflow", "dvc", "mlflow"]
    assert PASSWORD not in "".join(lines)


def test_a_missing_password_names_the_variable_and_the_file(profile, tmp_path, postgres):
    write_profile(profile, postgres)
    with pytest.raises(CredentialsMissingError, match=r"deepexp3d@127.*PGPASSWORD.*~/\.pgpass"):
        check_storage(load_storage(tmp_path))


def test_a_password_of_the_file_will_do(profile, tmp_path, monkeypatch, postgres):
    write_profile(profile, postgres)
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"127.0.0.1:{postgres.port}:*:deepexp3d:{PASSWORD}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    assert len(check_storage(load_storage(tmp_path))) == 2


def test_a_wrong_password_is_told_from_a_missing_one(profile, tmp_path, monkeypatch, postgres):
    write_profile(profile, postgres)
    monkeypatch.setenv("PGPASSWORD", "another-word")
    with pytest.raises(CredentialsMissingError, match=r"PGPASSWORD.*is not this user's") as raised:
        check_storage(load_storage(tmp_path))
    assert "another-word" not in str(raised.value)


def test_a_missing_database_is_named_with_the_cure(profile, tmp_path, monkeypatch, postgres):
    content = write_profile(profile, postgres)
    content["postgres"]["mlflow"] = "elsewhere"
    profile.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with pytest.raises(StorageUnreachableError, match="/elsewhere: the server has no such database; make it"):
        check_storage(load_storage(tmp_path))


def test_a_database_server_that_is_down_is_named(profile, tmp_path):
    port = free_port()
    profile.write_text(yaml.safe_dump({"postgres": VALID["postgres"] | {"host": "127.0.0.1", "port": port}}))
    with pytest.raises(StorageUnreachableError, match=rf":{port}/dagster: cannot be reached"):
        check_storage(load_storage(tmp_path))


@pytest.mark.parametrize("given", [[], ["AWS_ACCESS_KEY_ID"], ["AWS_SECRET_ACCESS_KEY"]])
def test_a_missing_key_names_both_variables(profile, tmp_path, monkeypatch, object_store, given):
    write_profile(profile, object_store=object_store)
    for name in given:
        monkeypatch.setenv(name, KEY[name])
    with pytest.raises(CredentialsMissingError, match=r"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        check_storage(load_storage(tmp_path))


def test_a_key_that_the_store_refuses_is_told_from_a_missing_one(profile, tmp_path, monkeypatch, object_store):
    import requests

    write_profile(profile, object_store=object_store)
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    requests.post(f"{object_store}/moto-api/reset-auth", data="0", timeout=30)
    try:
        with pytest.raises(CredentialsMissingError, match=r"refuses the key in AWS_ACCESS_KEY_ID"):
            check_storage(load_storage(tmp_path))
    finally:
        requests.post(f"{object_store}/moto-api/reset-auth", data="inf", timeout=30)


def test_a_missing_bucket_is_named_with_the_cure(profile, tmp_path, monkeypatch, object_store):
    content = write_profile(profile, object_store=object_store)
    content["object_store"]["mlflow"] = "s3://elsewhere/mlflow"
    profile.write_text(yaml.safe_dump(content))
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageUnreachableError, match="no bucket 'elsewhere'"):
        check_storage(load_storage(tmp_path))


def test_missing_buckets_are_made_when_asked_for(profile, tmp_path, monkeypatch, object_store):
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    addresses = {"dvc": "s3://made-for-dvc/data", "mlflow": f"s3://{new_bucket(object_store)}/mlflow"}
    profile.write_text(yaml.safe_dump({"object_store": {"endpoint": object_store} | addresses}))
    storage = load_storage(tmp_path)
    for _ in range(2):
        create_buckets(storage.object_store)
        assert len(check_storage(storage)) == 2


def test_a_store_that_is_down_is_named(profile, tmp_path, monkeypatch, object_store):
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    address = f"s3://{new_bucket(object_store)}/data"
    endpoint = f"http://127.0.0.1:{free_port()}"
    content = {"object_store": {"endpoint": endpoint, "dvc": address, "mlflow": address}}
    profile.write_text(yaml.safe_dump(content))
    with pytest.raises(StorageUnreachableError, match=r"s3://.*cannot be reached.*endpoint"):
        check_storage(load_storage(tmp_path))
