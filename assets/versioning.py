"""DVC, through its Python interface: what is out of date, recording results, and the md5 that identifies them."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from filelock import FileLock


@contextlib.contextmanager
def _repository(root: Path) -> Iterator:
    """DVC's repository at `root`, one user at a time: DVC refuses, rather than waits, when another holds its lock."""
    from dvc.repo import Repo

    # DVC takes the names of stages for those of the dvc.yaml in the current folder.
    with FileLock(root / ".dvc" / "deepexp3d.lock"), contextlib.chdir(root), Repo(str(root)) as repository:
        yield repository


def record(root: Path, stages: Sequence[str]) -> None:
    """Record the outputs of stages, as they now lie in `data/`, in DVC's cache and `dvc.lock`."""
    with _repository(root) as repository:
        for stage in stages:
            repository.commit(stage, force=True)


def outdated(root: Path, stages: Sequence[str]) -> dict[str, list]:
    """Those of the given stages whose inputs, parameters, command or outputs differ from `dvc.lock`, and how."""
    with _repository(root) as repository:
        return repository.status(list(stages))


def output_versions(root: Path) -> dict[str, str]:
    """For each stage in `dvc.lock`, the md5 of its outputs (several joined with a comma)."""
    lock = root / "dvc.lock"
    if not lock.exists():
        return {}
    stages = yaml.safe_load(lock.read_text())["stages"]
    return {
        name: ",".join(out["md5"] for out in stage.get("outs", []) if "md5" in out) for name, stage in stages.items()
    }


def path_versions(root: Path) -> dict[str, str]:
    """The md5 of every output in `dvc.lock`, by its path."""
    lock = root / "dvc.lock"
    stages = yaml.safe_load(lock.read_text())["stages"] if lock.exists() else {}
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", []) if "md5" in out}
