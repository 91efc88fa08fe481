"""A database server and an object store for tests, on loopback, gone when the tests are."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

USER, PASSWORD = "deepexp3d", "not-in-any-file"
KEY = {"AWS_ACCESS_KEY_ID": "key-of-tests", "AWS_SECRET_ACCESS_KEY": "secret-of-tests"}


@dataclass(frozen=True)
class PostgresServer:
    """Where a server listens; its user's password is `PASSWORD`."""

    port: int

    def connect(self, database: str):
        import psycopg2

        return psycopg2.connect(host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database)

    def new_database(self) -> str:
        """Name of a database that nobody else uses."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        connection = self.connect("postgres")
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        return name

    def count(self, database: str, table: str) -> int:
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")
            return cursor.fetchone()[0]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A new server in a temporary folder; the test is skipped where there is no PostgreSQL."""
    programs = _postgres_programs()
    # PostgreSQL refuses to run as root, and pytest's folders belong to their user alone.
    folder = Path(tempfile.mkdtemp(prefix="deepexp3d-postgres-"))
    user = _unprivileged_user()
    if user is not None:
        shutil.chown(folder, user)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    data, port = folder / "data", free_port()
    initialise = [programs / "initdb", "-D", data, "-U", USER, "--pwfile", folder / "password", "-A", "scram-sha-256"]
    subprocess.run([*initialise, "--no-sync", "-E", "UTF8", "--locale", "C"], user=user, cwd=folder, check=True)
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
    command = [programs / "postgres", "-D", data]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    server = subprocess.Popen(command, user=user, cwd=folder)
    try:
        _wait_for_port(port, server)
        yield PostgresServer(port)
    finally:
        # At once, whoever is still connected.
        server.send_signal(signal.SIGINT)
        server.wait(60)
        shutil.rmtree(folder)


@contextlib.contextmanager
def object_store_server() -> Iterator[str]:
    """Address of moto's server, which keeps everything in memory and takes any key."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def new_bucket(address: str) -> str:
    """Name of an empty bucket that nobody else uses."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3_client(address).create_bucket(Bucket=name)
    return name


def s3_client(address: str):
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=KEY["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEY["AWS_SECRET_ACCESS_KEY"],
    )


def without_credentials(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Leave no password and no key where a client looks for one."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "PG", "MLFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PGPASSFILE", str(folder / "no.pgpass"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no.credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "no.config"))


def write_profile(path: Path, postgres: PostgresServer | None = None, object_store: str | None = None) -> dict:
    """A storage profile with databases and a bucket of its own; returns its content."""
    profile = {}
    if postgres is not None:
        profile["postgres"] = {"host": "127.0.0.1", "port": postgres.port, "user": USER}
        profile["postgres"] |= {"dagster": postgres.new_database(), "mlflow": postgres.new_database()}
    if object_store is not None:
        bucket = new_bucket(object_store)
        profile["object_store"] = {"endpoint": object_store, "dvc": f"s3://{bucket}/dvc"}
        profile["object_store"]["mlflow"] = f"s3://{bucket}/mlflow"
    path.write_text(yaml.safe_dump(profile))
    return profile


def _postgres_programs() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("no PostgreSQL on this machine (Debian's package: postgresql)")
    return folders[-1]


def _unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _wait_for_port(port: int, server: subprocess.Popen, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL does not listen on port {port}.")
