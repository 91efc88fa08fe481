"""The 3DMM fitted to every whole video (section III-A)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from assets.batches import (
    chained,
    finished_file,
    is_current,
    pending_batches,
    process_batches,
    read_index,
    save_stamped,
)
from assets.landmark_correspondence import offsets_path, read_detector_errors
from assets.morphable_model import model_path
from assets.params import ReconstructionSheets
from assets.raw_videos import all_batches, read_manifest, video_batches
from assets.reconstruction_sheets import LOOKS, SheetJob, bring_sheet_up_to_date, sheet_path, sheet_table, worst_sheets
from assets.stage import ClusterResource, StageResult, WorkspaceResource, main, materialise, partitions_of
from assets.throughput import frames_done, track_versions
from assets.workspace import Workspace
from models.fitting.settings import FitSettings
from models.packages import sha256_of

if TYPE_CHECKING:
    from models.morphable_model import MorphableModel

STAGE = "reconstructions"


@dataclass(frozen=True)
class TrackedVideo:
    """A video and the tracks found in it.

    `fingerprint` covers the fits and their sheets, `fit_fingerprint` the fits alone.
    """

    video_id: str
    fingerprint: str
    fit_fingerprint: str
    path: Path
    tracks: tuple[Path, ...]


@dataclass(frozen=True)
class FitJob:
    """Videos to be fitted together: those of one person, who is the only one in each, or a single video.

    Several tracks of a single video are several people, each with an identity of their own.
    """

    videos: tuple[TrackedVideo, ...]
    folder: Path
    model: Path
    offsets: Path
    settings: FitSettings
    sheets: ReconstructionSheets

    @property
    def video_id(self) -> str:
        return self.videos[0].video_id

    @property
    def fingerprint(self) -> str:
        return self.videos[0].fingerprint

    def __str__(self) -> str:
        return ", ".join(video.video_id for video in self.videos)


def fit_reconstructions(workspace: Workspace, batches: Sequence[str] | None = None) -> StageResult:
    """Fit every track of the given batches (all by default); finished ones are kept."""
    chosen = batches or all_batches(workspace)
    before = track_versions(workspace, STAGE, chosen)
    index = process_batches(workspace, STAGE, chosen, partial(_jobs, workspace), fit_one)
    fitted = index[index.status == "ok"]
    sheets = _sheets(workspace, chosen, fitted) if len(fitted) else {}
    return StageResult(
        {
            "tracks fitted": len(fitted),
            "frames": int(fitted.frames.sum()),
            "median residual, % of inter-ocular distance": float(100 * fitted.residual.median())
            if len(fitted)
            else 0.0,
            "not converged": int((~fitted.converged.astype(bool)).sum()) if len(fitted) else 0,
            "refusals": index[index.status != "ok"][["track_id", "reason"]],
            **sheets,
        },
        pending=pending_batches(workspace, STAGE, lambda batch: _expected(workspace, batch)),
        frames_done=frames_done(workspace, STAGE, index, before),
    )


def _sheets(workspace: Workspace, batches: Sequence[str], fitted: pd.DataFrame) -> dict[str, Any]:
    """What the asset's page shows of the sheets: the worst fits as a picture, and where all of them lie."""
    sheet_of = {
        row.track_id: sheet_path(workspace.data(STAGE, row.partition, f"{row.track_id}.npz"))
        for row in fitted.itertuples()
    }
    table = sheet_table(fitted, workspace.root, sheet_of)
    picture = workspace.data(".scratch", STAGE, f"worst-{min(batches)}-{len(batches)}.jpg")
    worst = worst_sheets([sheet_of[track] for track in table.track], picture)
    return {"largest residual first": table} | ({"worst fits": worst} if worst else {})


def fit_one(job: FitJob) -> list[dict]:
    """Index rows of a job's tracks, whose fits are in their npz files when this returns."""
    import numpy as np

    from models.fitting.pruning import identity_norm
    from models.fitting.reconstruction import Reconstruction

    model = warm_model(job.model, job.offsets, _last_change(job.model), _last_change(job.offsets))
    refused = _bring_fits_up_to_date(job, model)
    rows = []
    for video in job.videos:
        for track in video.tracks:
            about = {"video_id": video.video_id, "fingerprint": video.fingerprint, "track_id": track.stem}
            if track in refused:
                rows.append(about | {"status": "refused", "reason": f"{track.stem}: {refused[track]}"})
                continue
            # What is shown and reported is what lies on the disk, whether it was made now or before.
            output = job.folder / track.name
            fit = Reconstruction.load(output)
            sheet = SheetJob(video.fingerprint, video.path, track, sheet_path(output), job.sheets)
            rows.append(
                about
                | {
                    "status": "ok",
                    "frames": len(fit.expression),
                    "residual": float(np.nanmedian(fit.residual)),
                    "identity_norm": float(identity_norm(fit.identity, model.identity_std)),
                    "converged": bool(fit.converged),
                    "identity_of": len(job.videos),
                    "no_sheet": bring_sheet_up_to_date(sheet, fit, model),
                }
            )
    return rows


@lru_cache(maxsize=1)
def warm_model(model: Path, offsets: Path, *_changed: int | None) -> "MorphableModel":
    """One face model a process, for as long as its files do not change: to load and check it takes longer than to find
    that a video is done."""
    from models.morphable_model import MorphableModel

    return MorphableModel.load(model).with_detector(read_detector_errors(offsets))


def _last_change(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def _bring_fits_up_to_date(job: FitJob, model: "MorphableModel") -> dict[Path, Exception]:
    """Fit what is not fitted yet; the tracks that cannot be, with the reason."""
    from models.errors import FittingError
    from models.fitting import Clip, fit_clips
    from models.storage import load_arrays

    stamps = {track: video.fit_fingerprint for video in job.videos for track in video.tracks}
    if all(is_current(job.folder / track.name, stamp) for track, stamp in stamps.items()):
        return {}
    clips = {}
    for track in stamps:
        arrays = load_arrays(track)
        # Landmarks filled in from their neighbours are no observation: the fit has a better prior over time.
        clips[track] = Clip(arrays["landmarks"], arrays["timestamps"], weights=~arrays["interpolated"])
    together = [list(clips)] if len(job.videos) > 1 else [[track] for track in clips]
    refused = {}
    while together:
        tracks = together.pop()
        try:
            fits = fit_clips([clips[track] for track in tracks], model, job.settings)
        except FittingError as error:
            # A clip that cannot be fitted must not cost the person's other ones: each is tried by itself.
            if len(tracks) > 1:
                together += [[track] for track in tracks]
            else:
                refused[tracks[0]] = error
            continue
        for track, fit in zip(tracks, fits, strict=True):
            save_stamped(fit.save, job.folder / track.name, stamps[track])
    return refused


def _jobs(workspace: Workspace, batch: str) -> list[FitJob]:
    tracked = _tracked(workspace, batch)
    paths = read_manifest(workspace).set_index("video_id").path
    fit_fingerprints, fingerprints = _fit_fingerprints(workspace, batch), _expected(workspace, batch)
    videos = {
        video_id: TrackedVideo(
            video_id=video_id,
            fingerprint=fingerprints[video_id],
            fit_fingerprint=fit_fingerprints[video_id],
            path=workspace.path(paths[video_id]),
            tracks=tuple(finished_file(workspace, "tracked_landmarks", batch, track) for track in tracks),
        )
        for video_id, tracks in tracked.groupby("video_id").track_id
    }
    return [
        FitJob(
            videos=tuple(videos[video_id] for video_id in together),
            folder=workspace.data(STAGE, batch),
            model=model_path(workspace),
            offsets=offsets_path(workspace),
            settings=workspace.params.reconstruction,
            sheets=workspace.params.reconstruction_sheets,
        )
        for together in _videos_by_person(workspace, tracked)
    ]


def _tracked(workspace: Workspace, batch: str) -> pd.DataFrame:
    tracked = read_index(workspace, "tracked_landmarks", [batch])
    return tracked[tracked.status == "ok"]


def _videos_by_person(workspace: Workspace, tracked: pd.DataFrame) -> list[list[str]]:
    """Video ids that share an identity: of one named subject, with a single track each; others on their own."""
    subjects = read_manifest(workspace).set_index("video_id").subject
    tracks = tracked.groupby("video_id").size()
    together: dict[str, list[str]] = {}
    for video_id in sorted(tracks.index):
        subject = subjects[video_id]
        known = tracks[video_id] == 1 and isinstance(subject, str)
        together.setdefault(f"subject {subject}" if known else f"video {video_id}", []).append(video_id)
    return list(together.values())


def _expected(workspace: Workspace, batch: str) -> dict[str, str]:
    looks = workspace.fingerprint(STAGE)
    return {video_id: chained(looks, fit) for video_id, fit in _fit_fingerprints(workspace, batch).items()}


def _fit_fingerprints(workspace: Workspace, batch: str) -> dict[str, str]:
    """Of each video what its fits are made from, other videos of the person included; the look of sheets is not."""
    tracked = _tracked(workspace, batch)
    inputs = sha256_of(model_path(workspace)), sha256_of(offsets_path(workspace))
    base = workspace.fingerprint(STAGE, *inputs, apart_from=LOOKS)
    of_tracks = dict(zip(tracked.video_id, tracked.fingerprint, strict=True))
    return {
        video_id: chained(base, *(of_tracks[other] for other in together))
        for together in _videos_by_person(workspace, tracked)
        for video_id in together
    }


@dg.asset(
    name=STAGE,
    group_name="facevid",
    partitions_def=video_batches,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=["tracked_landmarks", "morphable_model", "landmark_correspondence"],
    kinds={"numpy", "dvc"},
)
def reconstructions(
    context: dg.AssetExecutionContext, workspace: WorkspaceResource, ray_cluster: ClusterResource
) -> dg.MaterializeResult:
    """Identity of the person, and expression and camera of every frame: the pseudo ground truth of FaceVid.

    One identity is shared by all frames of a track, and by the videos of one `subject` within a batch, so that what
    changes over time can only be expression and pose.
    Beside each fit lies a contact sheet to judge it by; the worst fits are shown here.
    """
    return materialise(context, workspace, fit_reconstructions, partitions_of(context))


if __name__ == "__main__":
    main(STAGE, fit_reconstructions)
