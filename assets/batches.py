"""Stages that go batch by batch and video by video: what is done, what is left, what was refused."""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from assets.execution import executor_of
from assets.pool import each
from assets.raw_videos import assigned_batches
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.storage import load_arrays, save_arrays, written_whole

LOGGER = logging.getLogger(__name__)

COLUMNS = ["video_id", "track_id", "frames", "status", "reason", "fingerprint"]
INDEX = "index.parquet"
# Batches that one run has at a time: each holds a file open, of which a process may have about a thousand.
TURNS_AT_ONCE = 256


class VideoJob(Protocol):
    """One video's share of a stage. `fingerprint` identifies everything the result is made from."""

    video_id: str
    fingerprint: str


def process_batches(
    workspace: Workspace,
    stage: str,
    batches: Sequence[str],
    jobs_of: Callable[[str], Sequence[VideoJob]],
    work: Callable[[VideoJob], list[dict]],
) -> pd.DataFrame:
    """Do the jobs of several batches where `execution` says; each batch gets its index when its last job is done.

    One run at a time has a batch, whatever its stage: another waits for its turn. `jobs_of` is asked when the turn has
    come, so that it speaks of what the run before has left. A process that is killed gives its turns back.

    `work` returns one row per file it wrote, or found current, as `<track_id>.npz` in the batch's folder, and a row
    with another status than "ok" where there is none to write. A job that raises a domain error gets a row with
    status "refused" and the error as reason.

    Returns
    -------
    The rows of all these batches' indices: `COLUMNS`, the stage's own figures, and the batch as `partition`.
    """
    # In one order everywhere: of two runs that share batches, neither waits for the other for ever.
    in_order = sorted(set(batches))
    for start in range(0, len(in_order), TURNS_AT_ONCE):
        _process_together(workspace, stage, in_order[start : start + TURNS_AT_ONCE], jobs_of, work)
    return read_index(workspace, stage, batches)


def _process_together(workspace, stage, batches, jobs_of, work):
    with contextlib.ExitStack() as stack:
        turns = {batch: stack.enter_context(_turn(workspace, stage, batch)) for batch in batches}
        jobs = {batch: jobs_of(batch) for batch in batches}
        left = {batch: len(batch_jobs) for batch, batch_jobs in jobs.items()}
        rows: dict[str, list[dict]] = {batch: [] for batch in batches}
        pairs = [_BatchJob(batch, job) for batch, batch_jobs in jobs.items() for job in batch_jobs]
        for (batch, job), outcome in each(partial(_without_batch, work), pairs, executor_of(workspace, stage), stage):
            rows[batch] += _rows(job, outcome)
            left[batch] -= 1
            if not left[batch]:
                _write_index(workspace.data(stage, batch), rows[batch])
                turns[batch].release()
                refused = sum(row["status"] != "ok" for row in rows[batch])
                done = sum(not number for number in left.values())
                LOGGER.info("%s: %s done, %d refused (%d of %d batches)", stage, batch, refused, done, len(jobs))
        for batch, batch_jobs in jobs.items():
            if not batch_jobs:
                _write_index(workspace.data(stage, batch), [])


@contextlib.contextmanager
def _turn(workspace: Workspace, stage: str, batch: str) -> Iterator[FileLock]:
    """One run at a time may read and write what belongs to a batch.

    All stages share the lock of a batch, as each reads what the one before has written. The lock is the kernel's, which
    takes it back from a process that is killed; two threads have one each.
    """
    path = workspace.data(".scratch", "batches", f"{batch}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        LOGGER.info("%s: %s waits for another run that works on it", stage, batch)
        lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


class _BatchJob(NamedTuple):
    batch: str
    job: VideoJob

    def __str__(self) -> str:
        return str(self.job)


def _without_batch(work: Callable[[VideoJob], list[dict]], pair: _BatchJob) -> list[dict]:
    return work(pair.job)


def _rows(job: VideoJob, outcome: list[dict] | DeepExp3DError) -> list[dict]:
    if isinstance(outcome, DeepExp3DError):
        outcome = [{"track_id": job.video_id, "status": "refused", "reason": str(outcome)}]
    common = {"video_id": job.video_id, "frames": 0, "reason": "", "fingerprint": job.fingerprint}
    return [common | row for row in outcome]


def _write_index(folder: Path, rows: list[dict]) -> None:
    """Write a batch's index, and remove files of tracks that it does not name, also what a killed run left.

    There is an index at any time once there was one: without it, a stage that follows would take the batch for empty.
    """
    # Sorted before it is a table, whose columns would else follow the order in which the videos were finished.
    index = pd.DataFrame(sorted(rows, key=lambda row: row["track_id"]), columns=None if rows else COLUMNS)
    index = index[COLUMNS + [name for name in index.columns if name not in COLUMNS]]
    finished = set(index.track_id[index.status == "ok"])
    for file in folder.glob("*"):
        if file.name != INDEX and file.stem not in finished:
            file.unlink()
    with written_whole(folder / INDEX) as path:
        index.to_parquet(path)


def chained(*fingerprints: str) -> str:
    """One fingerprint of several: a stage's own and those of what it is given."""
    return hashlib.sha256("|".join(fingerprints).encode()).hexdigest()


def is_current(path: Path, fingerprint: str) -> bool:
    """Whether a finished file was made from just these inputs."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return "fingerprint" in archive.files and str(archive["fingerprint"]) == fingerprint
    except (OSError, ValueError, EOFError, BadZipFile):
        return False


def save_stamped(save: Callable[[Path], None], path: Path, fingerprint: str) -> None:
    """Let `save` write an npz, and put it at `path` together with its mark: there is never one without the other."""
    # A name of its own: a worker that was given up for lost may be at the same video still.
    unmarked = path.with_name(f".{path.stem}-{uuid4().hex}{path.suffix}")
    try:
        save(unmarked)
        save_arrays(path, **load_arrays(unmarked), fingerprint=np.array(fingerprint))
    finally:
        unmarked.unlink(missing_ok=True)


def stamp(path: Path, fingerprint: str) -> None:
    """Mark a file as finished: store in it what it was made from. A file without the mark is made anew."""
    save_arrays(path, **load_arrays(path), fingerprint=np.array(fingerprint))


def read_index(workspace: Workspace, stage: str, batches: Sequence[str]) -> pd.DataFrame:
    """The rows of the given batches' indices, with the batch in column `partition`."""
    paths = {batch: workspace.data(stage, batch, INDEX) for batch in batches}
    frames = [pd.read_parquet(path).assign(partition=batch) for batch, path in paths.items() if path.exists()]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*COLUMNS, "partition"])


def total(index: pd.DataFrame, figure: str) -> int:
    """Sum of one of a stage's own figures, a column that an index without a single result lacks."""
    return int(index[figure].sum()) if figure in index else 0


def finished_file(workspace: Workspace, stage: str, batch: str, track_id: str) -> Path:
    """The file of a track that a batch's index calls finished.

    Raises
    ------
    DeepExp3DError
        It is gone. No video is to blame, and a batch without it must not be taken for done.
    """
    path = workspace.data(stage, batch, f"{track_id}.npz")
    if not path.exists():
        raise DeepExp3DError(f"{path}: the batch's index names it, and it is gone; make {stage} again (make run).")
    return path


def pending_batches(workspace: Workspace, stage: str, expected: Callable[[str], Mapping[str, str]]) -> tuple[str, ...]:
    """Batches without an index, whose index does not speak of exactly the videos and fingerprints that
    `expected(batch)` gives, or which lack a file that their index calls finished."""
    pending = []
    for batch in assigned_batches(workspace):
        folder = workspace.data(stage, batch)
        index = read_index(workspace, stage, [batch])
        named = {f"{track_id}.npz" for track_id in index.track_id[index.status == "ok"]}
        done = (folder / INDEX).exists() and named <= {file.name for file in folder.iterdir()}
        if not done or set(zip(index.video_id, index.fingerprint, strict=True)) != set(expected(batch).items()):
            pending.append(batch)
    return tuple(pending)
