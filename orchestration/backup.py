"""`make backup` and `make restore`: all that git does not hold, in one folder and DVC's remote.

DVC's remote gets every byte of `data/` and `reports/`, or the folder does where there is no remote outside of the
project folder. The folder gets MLflow's and Dagster's databases, each as it was at one moment, MLflow's files where
they lie in the project folder, and `dvc.lock`. What lies in an object store stays there: who runs it keeps it safe.
"""

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from assets import versioning
from assets.storage import Postgres
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from orchestration.storage import dagster_home, use_storage

CONTENTS = "backup.json"
ARTIFACTS = "mlartifacts"
LOCK = "dvc.lock"
RUNS = "dagster"
DATA = "dvc"


class BackupError(DeepExp3DError):
    """A backup that cannot be made, is not one, or would overwrite what is there."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, back up or restore, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.backup", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["backup", "restore"])
    parser.add_argument("folder", type=Path, help="where the backup is, or is to be")
    options = parser.parse_args(arguments)
    try:
        workspace = Workspace.open()
        use_storage(workspace, dagster_home(workspace))
        {"backup": back_up, "restore": restore}[options.action](workspace, options.folder)
    except DeepExp3DError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.action}: {options.folder}")
    return 0


def back_up(workspace: Workspace, folder: Path) -> None:
    """Push the data to DVC's remote, and write everything else that git does not hold into a new folder.

    Raises
    ------
    BackupError
        The folder holds something already, there is nothing to back up, or a database cannot be dumped.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder}: holds something already; name a new folder for every backup.")
    lock = workspace.path(LOCK)
    if not lock.exists():
        raise BackupError(f"{lock}: not there, so there is nothing to back up yet; run the pipeline first (make run).")
    folder.mkdir(parents=True, exist_ok=True)
    versioning.push(workspace.root, None if versioning.has_remote_elsewhere(workspace.root) else folder / DATA)
    shutil.copy(lock, folder / LOCK)
    for name, place in _databases(workspace).items():
        if isinstance(place, Postgres):
            _dump(place, getattr(place, name), folder / f"{name}.dump")
        elif place.exists():
            _copy_whole(place, folder / (f"{name}.db" if place.is_file() else name))
    if workspace.path(ARTIFACTS).exists():
        _copy_whole(workspace.path(ARTIFACTS), folder / ARTIFACTS)
    # Written last: a folder without it is no backup.
    (folder / CONTENTS).write_text(json.dumps({"root": str(workspace.root)}) + "\n")


def restore(workspace: Workspace, folder: Path) -> None:
    """Make a fresh clone what the backed-up project was: pull its data, and put its databases and files in place.

    Raises
    ------
    BackupError
        The folder is no whole backup, the project holds results of its own, or a database cannot be restored.
    """
    try:
        origin = json.loads((folder / CONTENTS).read_text())["root"]
    except (OSError, ValueError, KeyError) as error:
        raise BackupError(
            f"{folder}: holds no whole backup ({error}); name one that make backup has written."
        ) from None
    _refuse_to_overwrite(workspace, folder)
    shutil.copy(folder / LOCK, workspace.path(LOCK))
    versioning.pull(workspace.root, folder / DATA if (folder / DATA).exists() else None)
    for name, place in _databases(workspace).items():
        if isinstance(place, Postgres) and (folder / f"{name}.dump").exists():
            _undump(place, getattr(place, name), folder / f"{name}.dump")
        elif not isinstance(place, Postgres):
            source = next((path for path in (folder / f"{name}.db", folder / name) if path.exists()), None)
            if source is not None:
                _copy_whole(source, place)
    if (folder / ARTIFACTS).exists():
        _copy_whole(folder / ARTIFACTS, workspace.path(ARTIFACTS))
        if workspace.path("mlflow.db").exists():
            relocate(workspace.path("mlflow.db"), Path(origin, ARTIFACTS), workspace.path(ARTIFACTS))


def relocate(database: Path, old: Path, new: Path) -> None:
    """Let every address below one folder, in any text of a SQLite database, lie below another."""
    before, after = old.as_uri(), new.as_uri()
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in _text_columns(connection):
            statement = f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) WHERE instr("{column}", ?) = 1'
            connection.execute(statement, (after, len(before) + 1, before + "/"))


def _databases(workspace: Workspace) -> Mapping[str, Path | Postgres]:
    """Where MLflow's and Dagster's databases are, by the names that a profile gives them."""
    if workspace.storage.postgres is not None:
        return {"mlflow": workspace.storage.postgres, RUNS: workspace.storage.postgres}
    return {"mlflow": workspace.path("mlflow.db"), RUNS: dagster_home(workspace)}


def _refuse_to_overwrite(workspace: Workspace, folder: Path) -> None:
    lock = workspace.path(LOCK)
    own = [workspace.path("mlflow.db"), workspace.path(ARTIFACTS)]
    if lock.exists() and lock.read_bytes() != (folder / LOCK).read_bytes():
        own.append(lock)
    for path in own:
        if path.exists():
            raise BackupError(
                f"{path}: is there already, and a restore would overwrite it; restore into a fresh clone."
            )


def _copy_whole(source: Path, target: Path) -> None:
    """Copy a file or folder; databases as they were at one moment, whoever is writing."""
    if source.is_dir():
        for path in source.rglob("*"):
            if path.is_file() and not path.name.endswith((".db-wal", ".db-shm", ".db-journal")):
                _copy_whole(path, target / path.relative_to(source))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".db":
        with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(target)) as copy:
            origin.backup(copy)
    else:
        shutil.copy(source, target)


def _text_columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
            if "CHAR" in kind.upper() or "TEXT" in kind.upper():
                yield table, column


def _dump(server: Postgres, database: str, path: Path) -> None:
    _postgres_program("pg_dump", server, database, "--format=custom", "--no-owner", "--file", str(path))


def _undump(server: Postgres, database: str, path: Path) -> None:
    # Tables that a server made when it was started on the empty database are replaced by those of the backup.
    options = ("--no-owner", "--clean", "--if-exists", "--exit-on-error", str(path))
    _postgres_program("pg_restore", server, database, *options)


def _postgres_program(name: str, server: Postgres, database: str, *arguments: str) -> None:
    program = shutil.which(name)
    if program is None:
        raise BackupError(
            f"{name}: not found, and a PostgreSQL database needs it; install PostgreSQL's client programs."
        )
    where = ["--host", server.host, "--port", str(server.port), "--username", server.user, "--no-password"]
    result = subprocess.run([program, *where, "--dbname", database, *arguments], capture_output=True, text=True)
    if result.returncode:
        raise BackupError(f"{server.address(database)}: {name} failed ({result.stderr.strip()[-500:]}).")


if __name__ == "__main__":
    sys.exit(main())
