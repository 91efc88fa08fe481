"""The 3DMM fitted to every whole video (section III-A)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from assets.batches import chained, is_current, pending_batches, process_batches, read_index, save_stamped
from assets.landmark_correspondence import offsets_path, read_detector_errors
from assets.morphable_model import model_path
from assets.raw_videos import all_batches, video_batches
from assets.stage import StageResult, WorkspaceResource, main, materialise, partitions_of
from assets.workspace import Workspace
from models.fitting.settings import FitSettings
from models.packages import sha256_of

STAGE = "reconstructions"


@dataclass(frozen=True)
class FitJob:
    """The tracks of one video, each to be fitted with an identity of its own."""

    video_id: str
    fingerprint: str
    tracks: tuple[Path, ...]
    folder: Path
    model: Path
    offsets: Path
    settings: FitSettings

    def __str__(self) -> str:
        return self.video_id


def fit_reconstructions(workspace: Workspace, batches: Sequence[str] | None = None) -> StageResult:
    """Fit every track of the given batches (all by default); finished ones are kept."""
    chosen = batches or all_batches(workspace)
    index = process_batches(workspace, STAGE, {batch: _jobs(workspace, batch) for batch in chosen}, fit_one)
    fitted = index[index.status == "ok"]
    return StageResult(
        {
            "tracks fitted": len(fitted),
            "frames": int(fitted.frames.sum()),
            "median residual, % of inter-ocular distance": float(100 * fitted.residual.median())
            if len(fitted)
            else 0.0,
            "not converged": int((~fitted.converged.astype(bool)).sum()) if len(fitted) else 0,
            "refusals": index[index.status != "ok"][["track_id", "reason"]],
        },
        pending=pending_batches(workspace, STAGE, lambda batch: _expected(workspace, batch)),
    )


def fit_one(job: FitJob) -> list[dict]:
    """Index rows of one video's tracks, whose fits are in their npz files when this returns."""
    import numpy as np

    from models.errors import FittingError
    from models.fitting.pruning import identity_norm
    from models.fitting.reconstruction import Reconstruction
    from models.fitting.whole_video import fit_video
    from models.morphable_model import MorphableModel
    from models.storage import load_arrays

    model = MorphableModel.load(job.model).with_detector(read_detector_errors(job.offsets))
    rows = []
    for track in job.tracks:
        output = job.folder / track.name
        if is_current(output, job.fingerprint):
            fit = Reconstruction.load(output)
        else:
            arrays = load_arrays(track)
            try:
                fit = fit_video(arrays["landmarks"], model, job.settings, timestamps=arrays["timestamps"])
            except FittingError as error:
                rows.append({"track_id": track.stem, "status": "refused", "reason": f"{track.stem}: {error}"})
                continue
            save_stamped(fit.save, output, job.fingerprint)
        rows.append(
            {
                "track_id": track.stem,
                "status": "ok",
                "frames": len(fit.expression),
                "residual": float(np.median(fit.residual)),
                "identity_norm": float(identity_norm(fit.identity, model.identity_std)),
                "converged": bool(fit.converged),
            }
        )
    return rows


def _jobs(workspace: Workspace, batch: str) -> list[FitJob]:
    tracked = read_index(workspace, "tracked_landmarks", [batch])
    tracked = tracked[tracked.status == "ok"]
    return [
        FitJob(
            video_id=video_id,
            fingerprint=fingerprint,
            tracks=tuple(
                workspace.data("tracked_landmarks", batch, f"{track}.npz")
                for track in tracked.track_id[tracked.video_id == video_id]
            ),
            folder=workspace.data(STAGE, batch),
            model=model_path(workspace),
            offsets=offsets_path(workspace),
            settings=workspace.params.reconstruction,
        )
        for video_id, fingerprint in _expected(workspace, batch).items()
    ]


def _expected(workspace: Workspace, batch: str) -> dict[str, str]:
    tracked = read_index(workspace, "tracked_landmarks", [batch])
    base = workspace.fingerprint(STAGE, sha256_of(model_path(workspace)), sha256_of(offsets_path(workspace)))
    return {row.video_id: chained(base, row.fingerprint) for row in tracked[tracked.status == "ok"].itertuples()}


@dg.asset(
    name=STAGE,
    group_name="facevid",
    partitions_def=video_batches,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=["tracked_landmarks", "morphable_model", "landmark_correspondence"],
    kinds={"numpy", "dvc"},
)
def reconstructions(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Identity of the person, and expression and camera of every frame: the pseudo ground truth of FaceVid.

    One identity is shared by all frames of a track, so that what changes over time can only be expression and pose.
    """
    return materialise(context, workspace, fit_reconstructions, partitions_of(context))


if __name__ == "__main__":
    main(STAGE, fit_reconstructions)
