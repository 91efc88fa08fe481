"""The 3DMM fitted to every whole video (section III-A)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from assets.batches import chained, is_current, pending_batches, process_batches, read_index, save_stamped
from assets.landmark_correspondence import offsets_path, read_offsets
from assets.morphable_model import model_path
from assets.params import ReconstructionSheets
from assets.raw_videos import all_batches, read_manifest, video_batches
from assets.reconstruction_sheets import LOOKS, SheetJob, bring_sheet_up_to_date, sheet_path, sheet_table, worst_sheets
from assets.stage import StageResult, WorkspaceResource, main, materialise, partitions_of
from assets.workspace import Workspace
from models.fitting.settings import FitSettings
from models.packages import sha256_of

STAGE = "reconstructions"


@dataclass(frozen=True)
class FitJob:
    """The tracks of one video, each to be fitted with an identity of its own.

    `fingerprint` covers the fits and their sheets, `fit_fingerprint` the fits alone.
    """

    video_id: str
    fingerprint: str
    fit_fingerprint: str
    video: Path
    tracks: tuple[Path, ...]
    folder: Path
    model: Path
    offsets: Path
    settings: FitSettings
    sheets: ReconstructionSheets

    def __str__(self) -> str:
        return self.video_id


def fit_reconstructions(workspace: Workspace, batches: Sequence[str] | None = None) -> StageResult:
    """Fit every track of the given batches (all by default); finished ones are kept."""
    chosen = batches or all_batches(workspace)
    index = process_batches(workspace, STAGE, {batch: _jobs(workspace, batch) for batch in chosen}, fit_one)
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
    """Index rows of one video's tracks, whose fits are in their npz files when this returns."""
    import numpy as np

    from models.errors import FittingError
    from models.fitting.pruning import identity_norm
    from models.fitting.reconstruction import Reconstruction
    from models.fitting.whole_video import fit_video
    from models.morphable_model import MorphableModel
    from models.storage import load_arrays

    model = MorphableModel.load(job.model).with_landmark_offsets(read_offsets(job.offsets))
    rows = []
    for track in job.tracks:
        output = job.folder / track.name
        if not is_current(output, job.fit_fingerprint):
            arrays = load_arrays(track)
            try:
                fit = fit_video(arrays["landmarks"], model, job.settings, timestamps=arrays["timestamps"])
            except FittingError as error:
                rows.append({"track_id": track.stem, "status": "refused", "reason": f"{track.stem}: {error}"})
                continue
            save_stamped(fit.save, output, job.fit_fingerprint)
        # What is shown and reported is what lies on the disk, whether it was made now or before.
        fit = Reconstruction.load(output)
        sheet = SheetJob(job.fingerprint, job.video, track, sheet_path(output), job.sheets)
        rows.append(
            {
                "track_id": track.stem,
                "status": "ok",
                "frames": len(fit.expression),
                "residual": float(np.median(fit.residual)),
                "identity_norm": float(identity_norm(fit.identity, model.identity_std)),
                "converged": bool(fit.converged),
                "no_sheet": bring_sheet_up_to_date(sheet, fit, model),
            }
        )
    return rows


def _jobs(workspace: Workspace, batch: str) -> list[FitJob]:
    tracked = read_index(workspace, "tracked_landmarks", [batch])
    tracked = tracked[tracked.status == "ok"]
    videos = read_manifest(workspace).set_index("video_id").path
    fit_fingerprints = _fit_fingerprints(workspace, batch)
    return [
        FitJob(
            video_id=video_id,
            fingerprint=fingerprint,
            fit_fingerprint=fit_fingerprints[video_id],
            video=workspace.path(videos[video_id]),
            tracks=tuple(
                workspace.data("tracked_landmarks", batch, f"{track}.npz")
                for track in tracked.track_id[tracked.video_id == video_id]
            ),
            folder=workspace.data(STAGE, batch),
            model=model_path(workspace),
            offsets=offsets_path(workspace),
            settings=workspace.params.reconstruction,
            sheets=workspace.params.reconstruction_sheets,
        )
        for video_id, fingerprint in _expected(workspace, batch).items()
    ]


def _expected(workspace: Workspace, batch: str) -> dict[str, str]:
    looks = workspace.fingerprint(STAGE)
    return {video_id: chained(looks, fit) for video_id, fit in _fit_fingerprints(workspace, batch).items()}


def _fit_fingerprints(workspace: Workspace, batch: str) -> dict[str, str]:
    """Of each video what its fits are made from; how their sheets look is no part of it."""
    tracked = read_index(workspace, "tracked_landmarks", [batch])
    inputs = sha256_of(model_path(workspace)), sha256_of(offsets_path(workspace))
    base = workspace.fingerprint(STAGE, *inputs, apart_from=LOOKS)
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
    Beside each fit lies a contact sheet to judge it by; the worst fits are shown here.
    """
    return materialise(context, workspace, fit_reconstructions, partitions_of(context))


if __name__ == "__main__":
    main(STAGE, fit_reconstructions)
