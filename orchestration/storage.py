"""`make storage`: point Dagster and DVC at what the storage profile names, and see whether it can be reached."""

import argparse
import os
import sys
from pathlib import Path

import dagster as dg
import yaml

from assets import versioning
from assets.storage import PROFILE, Storage, check_storage, create_buckets
from assets.training import TRAINING_POOL
from assets.workspace import Workspace
from models.errors import DeepExp3DError, ParamsError
from models.storage import written_whole

INSTANCE = "dagster.yaml"
HEADING = "# Written from the storage profile, and again when that changes. Without this line it is yours, and stays.\n"
QUIET = {"telemetry": {"enabled": False}, "nux": {"enabled": False}}
# Of a run that was killed, the place in a pool is free again after a minute; stale champions are marked.
SETTINGS = QUIET | {
    "run_monitoring": {"enabled": True, "free_slots_after_run_end_seconds": 60},
    "freshness": {"enabled": True},
}


def main(arguments: list[str] | None = None) -> int:
    """Set everything up as the profile says, print where things are kept, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.storage", description=__doc__.splitlines()[0])
    parser.add_argument("--create-buckets", action="store_true", help="make buckets that the object store lacks")
    options = parser.parse_args(arguments)
    try:
        workspace = Workspace.open()
        if options.create_buckets and workspace.storage.object_store is not None:
            create_buckets(workspace.storage.object_store)
        home = dagster_home(workspace)
        lines = use_storage(workspace, home)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            limit_trainings(instance, workspace)
    except DeepExp3DError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines) if lines else f"everything in {workspace.root}; {PROFILE} names another place")
    return 0


def dagster_home(workspace: Workspace) -> Path:
    """`DAGSTER_HOME`, by default `.dagster` in the project folder."""
    return Path(os.environ.get("DAGSTER_HOME") or workspace.path(".dagster"))


def use_storage(workspace: Workspace, home: Path) -> list[str]:
    """Write Dagster's settings into `home` and DVC's into `.dvc/config.local`, after everything has answered.

    Returns
    -------
    A line about each place that is not the project folder.

    Raises
    ------
    CredentialsMissingError, StorageUnreachableError
        As of `assets.storage.check_storage`.
    ParamsError
        Dagster's settings are the user's own, and keep runs elsewhere.
    """
    lines = check_storage(workspace.storage)
    write_instance_settings(home / INSTANCE, workspace.storage)
    versioning.use_remote(workspace.root, workspace.storage.object_store)
    return lines


def limit_trainings(instance: dg.DagsterInstance, workspace: Workspace) -> None:
    """Let `retraining.at_once` trainings run at a time, whoever starts them.

    The limit is kept beside the runs: it holds for every process that has the same storage, until it is set again.
    """
    instance.event_log_storage.set_concurrency_slots(TRAINING_POOL, workspace.params.retraining.at_once)


def instance_settings(storage: Storage) -> dict:
    """The content of `dagster.yaml`. No password is in it: PostgreSQL's client looks for that itself."""
    if storage.postgres is None:
        return SETTINGS
    address = storage.postgres.address(storage.postgres.dagster)
    return SETTINGS | {"storage": {"postgres": {"postgres_url": address}}}


def write_instance_settings(path: Path, storage: Storage) -> None:
    """Write Dagster's settings, unless the file is the user's own."""
    wanted = instance_settings(storage)
    text = path.read_text() if path.exists() else HEADING
    found = yaml.safe_load(text) or {}
    if text.startswith(HEADING) or found == QUIET:
        if found != wanted:
            with written_whole(path) as temporary:
                temporary.write_text(HEADING + yaml.safe_dump(wanted))
    elif storage.postgres is not None and found.get("storage") != wanted["storage"]:
        raise ParamsError(
            f"{path}: is your own, and does not keep runs where {PROFILE} says; remove it, or put into it:\n"
            + yaml.safe_dump({"storage": wanted["storage"]})
        )


if __name__ == "__main__":
    sys.exit(main())
