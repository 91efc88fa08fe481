"""DVC, through its Python interface: what is out of date, recording results, and the md5 that identifies them."""

import contextlib
import errno
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from filelock import FileLock

from models.errors import DiskFullError, StorageUnreachableError
from models.storage import written_whole

if TYPE_CHECKING:
    from assets.storage import ObjectStore

LOCK = "dvc.lock"
# Name of the remote that a storage profile stands for.
REMOTE = "profile"


@contextlib.contextmanager
def _repository(root: Path, remote: Path | None = None) -> Iterator:
    """DVC's repository at `root`, one user at a time: DVC refuses, rather than waits, when another holds its lock.

    `remote` is a folder to be used in place of the default remote.
    """
    from dvc.repo import Repo

    instead = {"core": {"remote": "folder"}, "remote": {"folder": {"url": str(remote.absolute())}}} if remote else None
    # DVC takes the names of stages for those of the dvc.yaml in the current folder.
    with (
        FileLock(root / ".dvc" / "deepexp3d.lock"),
        contextlib.chdir(root),
        Repo(str(root), config=instead) as repository,
    ):
        yield repository


def record(root: Path, stages: Sequence[str]) -> None:
    """Record the outputs of stages, as they now lie in `data/`, in DVC's cache and `dvc.lock`.

    Raises
    ------
    DiskFullError
        The cache did not take all of it. `dvc.lock` is what it was.
    """
    with _repository(root) as repository, _lock_kept(root):
        for stage in stages:
            for recorded in repository.commit(stage, force=True):
                # DVC only logs what it could not copy.
                if missing := [str(out) for out in recorded.outs if out.use_cache and out.changed_cache()]:
                    raise DiskFullError(
                        f"{', '.join(missing)}: not all of it got into DVC's cache ({root / '.dvc' / 'cache'}); free "
                        "some space and run again, finished work is kept."
                    )


@contextlib.contextmanager
def _lock_kept(root: Path) -> Iterator[None]:
    """Bring `dvc.lock` back when what is done with it fails: DVC empties it before it writes it."""
    lock, copy = root / LOCK, root / ".dvc" / "tmp" / LOCK
    if copy.exists() and not (lock.exists() and lock.stat().st_size):
        # The process was killed between the two.
        copy.replace(lock)
    if lock.exists():
        with written_whole(copy) as temporary:
            shutil.copyfile(lock, temporary)
    try:
        yield
    except BaseException as error:
        # A renaming needs no space.
        copy.replace(lock) if copy.exists() else lock.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"{lock}: no space left on the disk; free some and run again, finished work is kept."
            ) from error
        raise
    copy.unlink(missing_ok=True)


def outdated(root: Path, stages: Sequence[str]) -> dict[str, list]:
    """Those of the given stages whose inputs, parameters, command or outputs differ from `dvc.lock`, and how."""
    with _repository(root) as repository:
        return repository.status(list(stages))


def output_versions(root: Path) -> dict[str, str]:
    """For each stage in `dvc.lock`, the md5 of its outputs (several joined with a comma)."""
    lock = root / LOCK
    if not lock.exists():
        return {}
    stages = yaml.safe_load(lock.read_text())["stages"]
    return {
        name: ",".join(out["md5"] for out in stage.get("outs", []) if "md5" in out) for name, stage in stages.items()
    }


def path_versions(root: Path) -> dict[str, str]:
    """The md5 of every output in `dvc.lock`, by its path."""
    lock = root / LOCK
    stages = yaml.safe_load(lock.read_text())["stages"] if lock.exists() else {}
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", []) if "md5" in out}


def use_remote(root: Path, store: "ObjectStore | None") -> None:
    """Make an object store DVC's default remote, in `.dvc/config.local`; None goes back to that of `.dvc/config`.

    What else a user has put into that file stays.
    """
    if store is None and not (root / ".dvc" / "config.local").exists():
        return
    from dvc.config import Config

    config = Config(str(root / ".dvc"))
    local = config.load_one("local")
    wanted = None
    if store is not None:
        wanted = {"url": store.dvc, "region": store.region}
        wanted |= {"endpointurl": store.endpoint} if store.endpoint else {}
    if local.get("remote", {}).get(REMOTE) == wanted:
        return
    with config.edit("local") as local:
        if wanted is not None:
            local.setdefault("remote", {})[REMOTE] = wanted
            local.setdefault("core", {})["remote"] = REMOTE
        else:
            del local["remote"][REMOTE]
            if local.get("core", {}).get("remote") == REMOTE:
                del local["core"]["remote"]


def has_remote_elsewhere(root: Path) -> bool:
    """Whether there is a default remote, and it outlives the project folder."""
    from dvc.config import NoRemoteError

    with _repository(root) as repository:
        try:
            remote = repository.cloud.get_remote()
        except NoRemoteError:
            return False
        return remote.fs.protocol != "local" or not Path(remote.path).is_relative_to(root)


def push(root: Path, remote: Path | None = None) -> int:
    """Bring everything that `dvc.lock` names into the default remote, or a folder; returns how many files were new."""
    with _repository(root, remote) as repository:
        return repository.push()


def pull(root: Path, remote: Path | None = None) -> None:
    """Bring everything that `dvc.lock` names from the default remote, or a folder, into `data/` and `reports/`."""
    with _repository(root, remote) as repository:
        repository.pull()


def remote_addresses(root: Path, path: str) -> dict[str, str]:
    """Where each file of a recorded output lies in the default remote, by its path inside the output.

    Empty where `dvc.lock` knows of no such output.

    Raises
    ------
    StorageUnreachableError
        The remote does not answer, or the output was not pushed.
    """
    from botocore.exceptions import BotoCoreError
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    version = path_versions(root).get(path)
    if version is None:
        return {}
    with _repository(root) as repository:
        remote = repository.cloud.get_remote_odb()
        try:
            tree = Tree.load(remote, HashInfo("md5", version))
        except (OSError, BotoCoreError) as error:
            raise StorageUnreachableError(
                f"{path}: not to be had from {remote.fs.unstrip_protocol(remote.path)} ({error}); run dvc push where "
                "it was made."
            ) from None
        return {"/".join(key): remote.fs.unstrip_protocol(remote.oid_to_path(file.value)) for key, _, file in tree}
