"""68 landmarks of every face in every frame (section III-B)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import dagster as dg

from assets.batches import chained, is_current, pending_batches, process_batches, save_stamped, total
from assets.params import Landmarks
from assets.raw_videos import all_batches, video_batches, videos_of
from assets.stage import ClusterResource, StageResult, WorkspaceResource, main, materialise, partitions_of
from assets.throughput import frames_done, track_versions
from assets.workspace import Workspace

STAGE = "landmarks"


@dataclass(frozen=True)
class LandmarkJob:
    """One video to find faces in."""

    video_id: str
    fingerprint: str
    video: Path
    output: Path
    settings: Landmarks
    max_frames: int

    def __str__(self) -> str:
        return self.video.name


def detect_landmarks(workspace: Workspace, batches: Sequence[str] | None = None) -> StageResult:
    """Find the faces of every usable video in the given batches (all by default); finished videos are kept."""
    chosen = batches or all_batches(workspace)
    before = track_versions(workspace, STAGE, chosen)
    index = process_batches(workspace, STAGE, chosen, partial(_jobs, workspace), landmark_one)
    refused = index[index.status != "ok"]
    return StageResult(
        {
            "backend": workspace.params.landmarks.backend,
            "frames": int(index.frames.sum()),
            "faces": total(index, "faces"),
            "videos without a face": len(refused),
            "refusals": refused[["video_id", "reason"]],
        },
        pending=pending_batches(workspace, STAGE, lambda batch: _expected(workspace, batch)),
        frames_done=frames_done(workspace, STAGE, index, before),
    )


def landmark_one(job: LandmarkJob) -> list[dict]:
    """Index row of one video, whose detections are in its npz when this returns.

    Raises
    ------
    NoFaceError
        No face in any frame.
    """
    from models.errors import NoFaceError
    from models.landmarks.video import Detections, landmark_video

    if is_current(job.output, job.fingerprint):
        found = Detections.load(job.output)
    else:
        found = landmark_video(
            job.video,
            warm_backend(job.settings),
            max_frames=job.max_frames,
            redetect_every=job.settings.redetect_every,
            max_side=job.settings.max_side,
        )
        if not len(found):
            raise NoFaceError(
                f"{job.video.name}: no face in any of {found.frame_count} frames; nothing to learn from it."
            )
        save_stamped(found.save, job.output, job.fingerprint)
    return [{"track_id": job.video_id, "status": "ok", "frames": found.frame_count, "faces": len(found)}]


@cache
def warm_backend(settings: Landmarks):
    """One detector a process: its networks take longer to load than a short clip to go through them."""
    from models.landmarks.backend import load_backend

    return load_backend(settings.backend, **settings.options(settings.backend))


def _jobs(workspace: Workspace, batch: str) -> list[LandmarkJob]:
    params = workspace.params
    fingerprints = _expected(workspace, batch)
    return [
        LandmarkJob(
            video_id=row.video_id,
            fingerprint=fingerprints[row.video_id],
            video=workspace.path(row.path),
            output=workspace.data(STAGE, batch, f"{row.video_id}.npz"),
            settings=params.landmarks,
            max_frames=params.tracking.frames_wanted,
        )
        for row in videos_of(workspace, batch).itertuples()
    ]


def _expected(workspace: Workspace, batch: str) -> dict[str, str]:
    base = workspace.fingerprint(STAGE)
    return {row.video_id: chained(base, row.sha256) for row in videos_of(workspace, batch).itertuples()}


@dg.asset(
    name=STAGE,
    group_name="facevid",
    partitions_def=video_batches,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=["raw_videos", "landmark_weights"],
    kinds={"tflite", "dvc"},
)
def landmarks(
    context: dg.AssetExecutionContext, workspace: WorkspaceResource, ray_cluster: ClusterResource
) -> dg.MaterializeResult:
    """68 points in MULTI-PIE order, box and score of every face in every frame.

    Several faces in a frame are several rows with one frame index; which of them belong together is decided by
    `tracked_landmarks`. A video without a face is recorded as refused.
    """
    return materialise(context, workspace, detect_landmarks, partitions_of(context))


if __name__ == "__main__":
    main(STAGE, detect_landmarks)
