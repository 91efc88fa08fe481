"""The faces of the first frame, followed and smoothed (section III-B)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import dagster as dg

from assets.batches import chained, finished_file, pending_batches, process_batches, read_index, total
from assets.params import Smoothing, Tracking
from assets.raw_videos import all_batches, video_batches
from assets.stage import ClusterResource, StageResult, WorkspaceResource, main, materialise, partitions_of
from assets.throughput import frames_done, track_versions
from assets.workspace import Workspace

STAGE = "tracked_landmarks"


@dataclass(frozen=True)
class TrackJob:
    """The detections of one video, to be sorted into tracks."""

    video_id: str
    fingerprint: str
    detections: Path
    folder: Path
    tracking: Tracking
    smoothing: Smoothing

    def __str__(self) -> str:
        return self.video_id


def track_landmarks(workspace: Workspace, batches: Sequence[str] | None = None) -> StageResult:
    """Track and smooth every video of the given batches (all by default)."""
    chosen = batches or all_batches(workspace)
    before = track_versions(workspace, STAGE, chosen)
    index = process_batches(workspace, STAGE, chosen, partial(_jobs, workspace), track_one)
    lost = index[index.status != "ok"]
    return StageResult(
        {
            "tracks": len(index),
            "lost": len(lost),
            "frames": int(index.frames[index.status == "ok"].sum()),
            "false detections removed": total(index, "false_detections"),
            "frames filled in": total(index, "interpolated"),
            "lost tracks": lost[["track_id", "reason"]],
        },
        pending=pending_batches(workspace, STAGE, lambda batch: _expected(workspace, batch)),
        frames_done=frames_done(workspace, STAGE, index, before),
    )


def track_one(job: TrackJob) -> list[dict]:
    """Index rows of one video: a row per face of its first frame."""
    from models.landmarks.smoothing import smooth
    from models.landmarks.tracking import track_first_frame_faces
    from models.landmarks.video import Detections
    from models.storage import save_arrays

    result = track_first_frame_faces(
        Detections.load(job.detections),
        frames_wanted=job.tracking.frames_wanted,
        lost_after=job.tracking.lost_after,
        margin=job.tracking.margin,
    )
    rows = []
    for lost in result.lost:
        rows.append(
            {
                "track_id": _track_id(job, lost.face),
                "status": "lost_track",
                "reason": lost.reason,
                "frames": lost.tracked,
            }
        )
    for track in result.tracks:
        smoothed = smooth(track.landmarks, track.timestamps, cutoff_hz=job.smoothing.cutoff_hz)
        track_id = _track_id(job, track.face)
        save_arrays(
            job.folder / f"{track_id}.npz",
            landmarks=smoothed.landmarks,
            boxes=track.boxes,
            score=track.score,
            frame_index=track.frame_index,
            timestamps=track.timestamps,
            interpolated=smoothed.interpolated,
            fingerprint=job.fingerprint,
        )
        filled = int(smoothed.interpolated.sum())
        rows.append({"track_id": track_id, "status": "ok", "frames": len(track), "interpolated": filled})
    rows[0]["false_detections"] = result.false_detections
    return rows


def _track_id(job: TrackJob, face: int) -> str:
    """The largest face of the first frame carries the video's own name."""
    return job.video_id if face <= 0 else f"{job.video_id}-face{face + 1}"


def _jobs(workspace: Workspace, batch: str) -> list[TrackJob]:
    return [
        TrackJob(
            video_id=video_id,
            fingerprint=fingerprint,
            detections=finished_file(workspace, "landmarks", batch, video_id),
            folder=workspace.data(STAGE, batch),
            tracking=workspace.params.tracking,
            smoothing=workspace.params.smoothing,
        )
        for video_id, fingerprint in _expected(workspace, batch).items()
    ]


def _expected(workspace: Workspace, batch: str) -> dict[str, str]:
    found = read_index(workspace, "landmarks", [batch])
    base = workspace.fingerprint(STAGE)
    usable = found[found.status == "ok"]
    return {row.video_id: chained(base, row.fingerprint) for row in usable.itertuples()}


@dg.asset(
    name=STAGE,
    group_name="facevid",
    partitions_def=video_batches,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=["landmarks"],
    kinds={"scipy", "dvc"},
)
def tracked_landmarks(
    context: dg.AssetExecutionContext, workspace: WorkspaceResource, ray_cluster: ClusterResource
) -> dg.MaterializeResult:
    """One smooth track per face of the first frame; false detections removed, short gaps filled by cubic splines.

    A face stays while its box stays within half its width of where it was; a track without its face for K
    consecutive frames, before F frames are reached, is lost, and `pruned_videos` counts it.
    """
    return materialise(context, workspace, track_landmarks, partitions_of(context))


if __name__ == "__main__":
    main(STAGE, track_landmarks)
