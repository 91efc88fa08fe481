"""Where results are kept: in the project folder, or in a database server and an object store that machines share.

A profile names servers, databases and buckets, and never a secret. `DEEPEXP3D_PROFILE` names the profile: a file of
`deploy/profiles` without its ending, or a path. Without it everything stays in the project folder.
Passwords and keys come from where PostgreSQL's and Amazon's own clients look for them.
"""

import os
import re
from pathlib import Path
from typing import Annotated

import pydantic
import yaml
from pydantic import Field

from models.errors import CredentialsMissingError, ParamsError, StorageUnreachableError

PROFILE = "DEEPEXP3D_PROFILE"
PROFILES = Path("deploy", "profiles")

S3Address = Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/[^\s/]+)*$")]


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Postgres(_Section):
    """A PostgreSQL server with a database for Dagster and one for MLflow."""

    host: str = Field(min_length=1)
    port: int = Field(5432, ge=1, le=65535)
    user: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="a name alone: the password has no place in a file")
    dagster: str = Field(min_length=1)
    mlflow: str = Field(min_length=1)

    def address(self, database: str) -> str:
        """For SQLAlchemy. PostgreSQL's own client below it adds the password from `PGPASSWORD` or `~/.pgpass`."""
        return f"postgresql+psycopg2://{self.user}@{self.host}:{self.port}/{database}"


class ObjectStore(_Section):
    """An S3-compatible store. Without an `endpoint` that of `AWS_ENDPOINT_URL`, or Amazon's."""

    endpoint: str | None = Field(None, pattern=r"^https?://[^/@\s]+/?$")
    region: str = "us-east-1"
    dvc: S3Address
    mlflow: S3Address
    streaming_cache_gb: float = Field(100, gt=0, description="disk that streamed training images may take")

    @property
    def client_options(self) -> dict[str, str]:
        """What a boto3 client takes."""
        endpoint = {"endpoint_url": self.endpoint} if self.endpoint else {}
        return {"region_name": self.region} | endpoint


class Storage(_Section):
    """A profile. What it leaves out stays in the project folder."""

    postgres: Postgres | None = None
    object_store: ObjectStore | None = None


def load_storage(root: Path) -> Storage:
    """The profile that `DEEPEXP3D_PROFILE` names, in a project folder.

    Raises
    ------
    ParamsError
        There is no such profile, or it holds an unknown key or a value of the wrong form.
    """
    name = os.environ.get(PROFILE, "")
    if not name:
        return Storage()
    path = root / (name if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml")
    try:
        return Storage.model_validate(yaml.safe_load(path.read_text()) or {})
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in (root / PROFILES).glob("*.yaml"))) or "none"
        raise ParamsError(f"{path}: no such file, which {PROFILE} asks for; {PROFILES} has: {known}.") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not readable as YAML ({error}).") from None
    except pydantic.ValidationError as error:
        raise ParamsError("; ".join(_in_words(path, problem) for problem in error.errors())) from None


def _in_words(path: Path, problem: dict) -> str:
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        # The value may be the secret that does not belong here.
        return f"{path}: unknown key '{name}'; a profile holds no passwords or keys: see docs/operations.md"
    return f"{path}: {name}: {problem['msg']}"


def check_storage(storage: Storage) -> list[str]:
    """Connect to everything that a profile names; returns a line about each.

    Raises
    ------
    CredentialsMissingError
        A server wants a password or a key, and there is none, or another.
    StorageUnreachableError
        A server does not answer, or a database or bucket does not exist.
    """
    lines = []
    if storage.postgres:
        for purpose in ("dagster", "mlflow"):
            check_postgres(storage.postgres, database := getattr(storage.postgres, purpose))
            lines.append(f"{purpose}: {storage.postgres.address(database)}")
    if storage.object_store:
        for purpose in ("dvc", "mlflow"):
            address = getattr(storage.object_store, purpose)
            check_bucket(storage.object_store, address)
            lines.append(f"{purpose}: {address} at {storage.object_store.endpoint or 'the default endpoint'}")
    return lines


def create_buckets(store: ObjectStore) -> None:
    """Make the buckets that a store does not have yet, with the key of `check_storage`."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.client("s3", **store.client_options)
        present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for name in {_bucket(store.dvc), _bucket(store.mlflow)} - present:
            client.create_bucket(Bucket=name)
    except (BotoCoreError, ClientError) as error:
        raise StorageUnreachableError(
            f"{store.dvc}, {store.mlflow}: buckets cannot be made ({error}); make them with the store's own tools."
        ) from None


def check_postgres(server: Postgres, database: str) -> None:
    """Connect to a database once; errors as of `check_storage`."""
    import psycopg2

    address = server.address(database)
    try:
        psycopg2.connect(
            host=server.host, port=server.port, user=server.user, dbname=database, connect_timeout=10
        ).close()
    except psycopg2.OperationalError as error:
        text = " ".join(str(error).split())
        if "no password supplied" in text:
            raise CredentialsMissingError(
                f"{address}: the server wants a password; set PGPASSWORD, or add a line to ~/.pgpass (or to the file "
                "that PGPASSFILE names)."
            ) from None
        if "authentication failed" in text:
            raise CredentialsMissingError(
                f"{address}: the password in PGPASSWORD or ~/.pgpass is not this user's; correct it."
            ) from None
        if re.search(r'database ".*" does not exist', text):
            raise StorageUnreachableError(
                f"{address}: the server has no such database; make it with createdb, or name another in the profile."
            ) from None
        raise StorageUnreachableError(
            f"{address}: cannot be reached ({text}); start the server, or correct the profile."
        ) from None


def check_bucket(store: ObjectStore, address: str) -> None:
    """Ask for a bucket once; errors as of `check_storage`."""
    import boto3
    from botocore import exceptions
    from botocore.config import Config

    bucket = _bucket(address)
    patience = Config(connect_timeout=10, read_timeout=20, retries={"total_max_attempts": 2})
    missing = (
        f"{address}: no key for the object store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile "
        "of ~/.aws/credentials in AWS_PROFILE."
    )
    try:
        session = boto3.Session()
        if session.get_credentials() is None:
            raise CredentialsMissingError(missing)
        session.client("s3", config=patience, **store.client_options).head_bucket(Bucket=bucket)
    except (exceptions.PartialCredentialsError, exceptions.NoCredentialsError, exceptions.ProfileNotFound) as error:
        raise CredentialsMissingError(f"{missing} ({error})") from None
    except exceptions.ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status in (401, 403):
            raise CredentialsMissingError(
                f"{address}: the store refuses the key in AWS_ACCESS_KEY_ID (or AWS_PROFILE); correct it, or let it "
                "read and write this bucket."
            ) from None
        raise StorageUnreachableError(
            f"{address}: the store has no bucket '{bucket}' (status {status}); make it, or name another in the profile."
        ) from None
    except exceptions.BotoCoreError as error:
        raise StorageUnreachableError(
            f"{address}: cannot be reached ({error}); start the store, or correct the profile's endpoint."
        ) from None


def _bucket(address: str) -> str:
    return address.removeprefix("s3://").split("/")[0]
