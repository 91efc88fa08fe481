"""What DVC has recorded survives a full disk and a killed process."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from assets import versioning
from models.errors import DiskFullError


def make_repository(folder: Path, stages: dict[str, int]) -> Path:
    """A DVC repository whose stages have one output each, of so many bytes."""
    (folder / ".dvc").mkdir(parents=True)
    config = "[core]\n    no_scm = true\n    analytics = false\n[cache]\n    type = copy\n"
    (folder / ".dvc" / "config").write_text(config)
    declared = {name: {"cmd": "true", "outs": [f"data/{name}"]} for name in stages}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": declared}))
    for name, size in stages.items():
        (folder / "data" / name).mkdir(parents=True)
        for part in range(4):
            (folder / "data" / name / f"{part}.bin").write_bytes(os.urandom(size // 4))
    return folder


@pytest.fixture
def small_disk(tmp_path):
    """Folder on a file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_loses_nothing_that_was_recorded(small_disk):
    root = make_repository(small_disk, {"small": 40_000, "large": 2_000_000})
    versioning.record(root, ["small"])
    before = (root / "dvc.lock").read_bytes()
    with pytest.raises(DiskFullError, match="run again, finished work is kept"):
        versioning.record(root, ["large"])
    assert (root / "dvc.lock").read_bytes() == before
    for path in (root / "data" / "large").iterdir():
        path.write_bytes(os.urandom(1000))
    versioning.record(root, ["large"])
    assert set(versioning.output_versions(root)) == {"small", "large"}


def test_what_the_cache_did_not_take_is_not_recorded(tmp_path, monkeypatch):
    root = make_repository(tmp_path / "project", {"stage": 4000})

    def logged_only(self, *_, **__):
        return None

    monkeypatch.setattr("dvc.output.Output.commit", logged_only)
    with pytest.raises(DiskFullError, match="data/stage: not all of it got into DVC's cache"):
        versioning.record(root, ["stage"])
    assert versioning.output_versions(root) == {}


def test_a_lock_that_was_emptied_comes_back(tmp_path, monkeypatch):
    root = make_repository(tmp_path / "project", {"one": 4000, "two": 4000})
    versioning.record(root, ["one"])
    before = versioning.output_versions(root)

    def empties(*_, **__):
        (root / "dvc.lock").write_text("")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("dvc.repo.Repo.commit", empties)
        with pytest.raises(DiskFullError, match=r"dvc\.lock: no space left on the disk"):
            versioning.record(root, ["two"])
    assert versioning.output_versions(root) == before


def test_a_lock_that_a_killed_process_left_empty_comes_back(tmp_path):
    root = make_repository(tmp_path / "project", {"one": 4000, "two": 4000})
    versioning.record(root, ["one"])
    before = versioning.output_versions(root)["one"]
    (root / ".dvc" / "tmp" / "dvc.lock").write_bytes((root / "dvc.lock").read_bytes())
    (root / "dvc.lock").write_text("")
    versioning.record(root, ["two"])
    assert versioning.output_versions(root)["one"] == before
    assert not (root / ".dvc" / "tmp" / "dvc.lock").exists()
