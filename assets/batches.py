"""Stages that go batch by batch and video by video: what is done, what is left, what was refused."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from assets.pool import each
from assets.raw_videos import assigned_batches
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.storage import load_arrays, save_arrays, written_whole

COLUMNS = ["video_id", "track_id", "frames", "status", "reason", "fingerprint"]


class VideoJob(Protocol):
    """One video's share of a stage. `fingerprint` identifies everything the result is made from."""

    video_id: str
    fingerprint: str


def process_batch(
    workspace: Workspace, stage: str, batch: str, jobs: Sequence[VideoJob], work: Callable[[VideoJob], list[dict]]
) -> pd.DataFrame:
    """Do a batch's jobs and write its index: one row per result (`COLUMNS` and the stage's own figures).

    `work` returns one row per file it wrote, or found current, as `<track_id>.npz` in the batch's folder, and a row
    with another status than "ok" where there is none to write. A job that raises a domain error gets a row with
    status "refused" and the error as reason. Files that no row names are removed, also what a killed run left.
    """
    rows = []
    for job, outcome in each(work, jobs, workspace.workers, f"{batch}: {stage}"):
        if isinstance(outcome, DeepExp3DError):
            outcome = [{"track_id": job.video_id, "status": "refused", "reason": str(outcome)}]
        rows += [
            {"video_id": job.video_id, "frames": 0, "reason": "", "fingerprint": job.fingerprint} | row
            for row in outcome
        ]
    index = pd.DataFrame(rows, columns=None if rows else COLUMNS)
    index = index[COLUMNS + [name for name in index.columns if name not in COLUMNS]]
    index = index.sort_values("track_id", ignore_index=True)
    folder = workspace.data(stage, batch)
    folder.mkdir(parents=True, exist_ok=True)
    finished = {f"{track_id}.npz" for track_id in index.track_id[index.status == "ok"]}
    for file in folder.iterdir():
        if file.name not in finished:
            file.unlink()
    with written_whole(folder / "index.parquet") as path:
        index.to_parquet(path)
    return index


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


def stamp(path: Path, fingerprint: str) -> None:
    """Mark a file as finished: store in it what it was made from. A file without the mark is made anew."""
    save_arrays(path, **load_arrays(path), fingerprint=np.array(fingerprint))


def read_index(workspace: Workspace, stage: str, batches: Sequence[str]) -> pd.DataFrame:
    """The rows of the given batches' indices, with the batch in column `partition`."""
    paths = {batch: workspace.data(stage, batch, "index.parquet") for batch in batches}
    frames = [pd.read_parquet(path).assign(partition=batch) for batch, path in paths.items() if path.exists()]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*COLUMNS, "partition"])


def total(index: pd.DataFrame, figure: str) -> int:
    """Sum of one of a stage's own figures, a column that an index without a single result lacks."""
    return int(index[figure].sum()) if figure in index else 0


def pending_batches(workspace: Workspace, stage: str, expected: Callable[[str], Mapping[str, str]]) -> tuple[str, ...]:
    """Batches without an index, or whose index does not speak of exactly the videos and fingerprints that
    `expected(batch)` gives."""
    pending = []
    for batch in assigned_batches(workspace):
        index = read_index(workspace, stage, [batch])
        done = workspace.data(stage, batch, "index.parquet").exists()
        if not done or set(zip(index.video_id, index.fingerprint, strict=True)) != set(expected(batch).items()):
            pending.append(batch)
    return tuple(pending)
