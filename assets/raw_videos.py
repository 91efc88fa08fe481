"""Which videos there are, in which batch, and what each file is like."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pandas as pd
from filelock import FileLock

from assets.pool import each
from assets.stage import StageResult, WorkspaceResource, main, materialise, partitions_of
from assets.workspace import Workspace
from models.errors import DeepExp3DError, VideoError
from models.storage import written_whole

STAGE = "raw_videos"
SOURCES = {"synthetic": ("synthetic_facevid", "videos"), "sample": ("sample_clips",), "user": ("incoming",)}

video_batches = dg.DynamicPartitionsDefinition(name="video_batches")


@dataclass(frozen=True)
class DescribeJob:
    """One file to open: its path relative to the project folder, and whose it is."""

    root: Path
    path: str
    subject: str | None
    licence: str

    @property
    def source(self) -> str:
        return next(name for name, parts in SOURCES.items() if Path(self.path).parts[1] == parts[0])

    def __str__(self) -> str:
        return self.path


def take_in(workspace: Workspace, folder: Path | str) -> int:
    """Put a user's videos into `data/incoming` (hard links where the disk allows, else links); returns how many.

    Raises
    ------
    VideoError
        The folder does not exist, or holds no file with a video's extension.
    """
    from models.video.manifest import find_videos

    folder = Path(folder).expanduser().resolve()
    if not folder.is_dir():
        raise VideoError(f"{folder}: no such folder; give VIDEOS a folder of mp4, mov, avi, mkv or webm files.")
    videos = find_videos([folder])
    if not videos:
        raise VideoError(f"{folder}: no mp4, mov, avi, mkv or webm file in it; nothing to take in.")
    inbox = _inbox(workspace, folder)
    for source in [*videos, *folder.rglob("subjects.csv")]:
        target = inbox / source.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            target.symlink_to(source)
    for old in [path for path in inbox.rglob("*") if not path.is_dir()]:
        if not (folder / old.relative_to(inbox)).exists():
            old.unlink()
    return len(videos)


def _inbox(workspace: Workspace, folder: Path) -> Path:
    """The place of a folder in `data/incoming`: its name, or with a number where another folder has that name."""
    ledger = workspace.data("incoming", ".sources.json")
    sources = json.loads(ledger.read_text()) if ledger.exists() else {}
    number, name = 1, folder.name
    while sources.get(name, str(folder)) != str(folder):
        number += 1
        name = f"{folder.name}-{number}"
    with written_whole(ledger) as path:
        path.write_text(json.dumps(sources | {name: str(folder)}, indent=1) + "\n")
    return workspace.data("incoming", name)


def assign_batches(workspace: Workspace) -> dict[str, list[str]]:
    """Batch -> paths of its videos, relative to the project folder; new videos fill the last batch, then new ones.

    A video keeps its batch for as long as its file is there.
    """
    from models.video.manifest import find_videos

    present = [
        str(path.relative_to(workspace.root))
        for parts in SOURCES.values()
        for path in find_videos([workspace.data(*parts)] if workspace.data(*parts).exists() else [])
    ]
    # Videos of one person lie side by side, so that they come into one batch and share an identity.
    subjects = _subjects(workspace)
    present.sort(key=lambda path: (subjects.get(path, (None,))[0] or path, path))
    with _turn(workspace):
        ledger = _ledger(workspace)
        known = json.loads(ledger.read_text()) if ledger.exists() else {}
        batches = _assigned(known, present, workspace.params.raw_videos.videos_per_partition)
        if batches != known:
            with written_whole(ledger) as temporary:
                temporary.write_text(json.dumps(batches, indent=1) + "\n")
    return batches


def _assigned(known: dict[str, list[str]], present: list[str], size: int) -> dict[str, list[str]]:
    """Batches of at most `size` of the present paths, as far as can be those that are known."""
    there = set(present)
    batches = {name: [path for path in paths if path in there] for name, paths in known.items()}
    batches = {name: paths for name, paths in batches.items() if paths}
    assigned = {path for paths in batches.values() for path in paths}
    for path in present:
        if path in assigned:
            continue
        last = max(batches, default=None)
        if last is None or len(batches[last]) >= size:
            last = f"batch-{int(last.split('-')[1]) + 1 if last else 0:05d}"
            batches[last] = []
        batches[last].append(path)
    return batches


def describe_raw_videos(workspace: Workspace, batches: Sequence[str] | None = None) -> StageResult:
    """Open every video of the given batches (all by default) and write the manifest."""
    assigned = assign_batches(workspace)
    chosen = list(assigned) if batches is None else [name for name in batches if name in assigned]
    _forget(workspace, assigned)
    subjects = _subjects(workspace)
    batch_of = {path: name for name in chosen for path in assigned[name]}
    jobs = [DescribeJob(workspace.root, path, *subjects.get(path, (None, "unknown"))) for path in batch_of]
    rows: dict[str, list[dict]] = {name: [] for name in chosen}
    for job, outcome in each(describe_one, jobs, workspace.workers, "reading files"):
        if isinstance(outcome, DeepExp3DError):
            outcome = _unreadable(job, outcome)
        name = batch_of[job.path]
        rows[name].append(outcome | {"path": job.path, "partition": name})
        if len(rows[name]) == len(assigned[name]):
            _write_batch_rows(workspace, name, rows[name])
    with _turn(workspace):
        manifest = _merge(workspace, assigned)
    pending = [name for name in assigned if not _batch_rows(workspace, name).exists()]
    refused = manifest[manifest.status != "ok"]
    return StageResult(
        {
            "videos": len(manifest),
            "refused": len(refused),
            "frames": int(manifest.frames.sum()),
            "hours": float(manifest.duration.sum() / 3600),
            "by source": manifest.groupby("source").size().rename("videos").reset_index(),
            "refusals": refused[["path", "reason"]],
        },
        pending=tuple(pending),
    )


def describe_one(job: DescribeJob) -> dict:
    """One row of the manifest."""
    from models.video.manifest import describe_video

    return describe_video(job.root / job.path, source=job.source, subject=job.subject, licence=job.licence)


def manifest_path(workspace: Workspace) -> Path:
    """The file of the manifest."""
    return workspace.data(STAGE, "manifest.parquet")


def read_manifest(workspace: Workspace) -> pd.DataFrame:
    """The manifest of all videos."""
    path = manifest_path(workspace)
    if not path.exists():
        raise DeepExp3DError(f"{path}: no manifest yet; materialise raw_videos first (python -m assets.raw_videos).")
    return pd.read_parquet(path)


def videos_of(workspace: Workspace, batch: str) -> pd.DataFrame:
    """The usable videos of a batch."""
    manifest = read_manifest(workspace)
    return manifest[(manifest.partition == batch) & (manifest.status == "ok")]


def all_batches(workspace: Workspace) -> list[str]:
    """Every batch of the manifest, sorted."""
    return sorted(read_manifest(workspace).partition.unique())


def assigned_batches(workspace: Workspace) -> list[str]:
    """Every batch that videos have been assigned to, sorted, those that are not in the manifest yet too."""
    return sorted(json.loads(_ledger(workspace).read_text()))


def _unreadable(job: DescribeJob, error: DeepExp3DError) -> dict:
    """Row of a file that ended the process which opened it."""
    from models.video.manifest import COLUMNS, REFUSED, video_id

    return dict.fromkeys(COLUMNS) | {
        "video_id": video_id(job.path, job.source, None),
        "source": job.source,
        "subject": job.subject,
        "licence": job.licence,
        "status": REFUSED,
        "reason": str(error),
    }


def _turn(workspace: Workspace) -> FileLock:
    """Context: one process at a time, as runs of several batches share the ledger and the manifest."""
    lock = workspace.data(".scratch", f"{STAGE}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(lock)


def _ledger(workspace: Workspace) -> Path:
    return workspace.data(STAGE, "batches.json")


def _batch_rows(workspace: Workspace, batch: str) -> Path:
    return workspace.data(STAGE, "batches", f"{batch}.json")


def _write_batch_rows(workspace: Workspace, batch: str, rows: list[dict]) -> None:
    with written_whole(_batch_rows(workspace, batch)) as path:
        path.write_text(json.dumps(sorted(rows, key=lambda row: row["path"]), indent=1) + "\n")


def _merge(workspace: Workspace, assigned: dict[str, list[str]]) -> pd.DataFrame:
    from models.video.manifest import manifest_of

    files = [_batch_rows(workspace, name) for name in sorted(assigned)]
    rows = [row for file in files if file.exists() for row in json.loads(file.read_text())]
    if not rows:
        raise VideoError(f"{workspace.data('incoming')}: no video anywhere; add some with VIDEOS=folder make run.")
    manifest = manifest_of(rows)
    with written_whole(manifest_path(workspace)) as path:
        manifest.to_parquet(path)
    return manifest


def _forget(workspace: Workspace, assigned: dict[str, list[str]]) -> None:
    """Remove what is left of batches that no longer exist, here and in the stages that follow batch by batch."""
    for file in workspace.data(STAGE, "batches").glob("*.json"):
        if file.stem not in assigned:
            file.unlink()
            for stage in ("landmarks", "tracked_landmarks", "reconstructions"):
                shutil.rmtree(workspace.data(stage, file.stem), ignore_errors=True)


def _subjects(workspace: Workspace) -> dict[str, tuple[str | None, str]]:
    """Path -> (subject, licence), from any `subjects.csv` (file, subject, licence) beside the videos."""
    known = {}
    for parts in SOURCES.values():
        for listing in workspace.data(*parts).rglob("subjects.csv"):
            try:
                rows = pd.read_csv(listing, dtype=str, keep_default_na=False).to_dict("records")
            except pd.errors.EmptyDataError:
                continue  # A file that has only been created says nothing yet.
            if rows and "file" not in rows[0]:
                raise VideoError(f"{listing}: lacks the column file; its header must be file,subject,licence.")
            for row in rows:
                path = str((listing.parent / row["file"]).relative_to(workspace.root))
                known[path] = row.get("subject") or None, row.get("licence") or "unknown"
    return known


@dg.asset(
    name=STAGE,
    group_name="facevid",
    partitions_def=video_batches,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=["synthetic_facevid", "sample_clips"],
    kinds={"video", "dvc"},
)
def raw_videos(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Manifest of all footage: hash, codec, true timing, subject, licence, and whether each file can be used.

    Batches come from the sensor or from `make run`. A file that cannot be used keeps its row, with the reason.
    """
    return materialise(context, workspace, describe_raw_videos, partitions_of(context))


if __name__ == "__main__":
    main(STAGE, describe_raw_videos)
