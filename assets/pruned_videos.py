"""Which videos survive, which do not, and why (section III-B)."""

import logging

import dagster as dg
import pandas as pd

from assets.batches import read_index
from assets.manual_review import read_verdicts
from assets.raw_videos import all_batches, read_manifest
from assets.stage import FOLLOWS_ITS_INPUTS, StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.storage import written_whole

log = logging.getLogger(__name__)

STAGE = "pruned_videos"

# Where a video can leave, in the order in which it meets them; the paper's counts stand beside for comparison.
REASONS = {
    "unreadable": "the file cannot be used",
    "no_face": "no face found",
    "lost_track": "face of the first frame lost",
    "refused_fit": "no fit could be computed",
    "identity_outlier": "|i| above the threshold",
    "manual": "pruned by a person",
}


def prune_videos(workspace: Workspace) -> StageResult:
    """Apply the automatic and the manual pruning; write the verdict on every video, and the funnel."""
    videos = judged_videos(workspace)
    folder = workspace.data(STAGE)
    with written_whole(folder / "videos.parquet") as path:
        videos.to_parquet(path)
    funnel = funnel_of(videos)
    with written_whole(folder / "funnel.csv") as path:
        funnel.to_csv(path, index=False)
    with written_whole(folder / "funnel.png") as path:
        funnel_figure(funnel).savefig(path, dpi=110)
    unknown = verdicts_on_unknown_videos(read_verdicts(workspace), videos)
    for row in unknown.itertuples():
        log.warning("%s: there is no such video; the verdict '%s' by %s waits for it", *row[1:4])
    return StageResult(
        {
            "videos": len(videos),
            "kept": int(videos.kept.sum()),
            "frames kept": int(videos.frames[videos.kept].sum()),
            "people kept": int(videos.subject[videos.kept].nunique()),
            # One number a step: Dagster plots numbers over time, and no tables.
            **{f"left after: {row.step}": int(row.left) for row in funnel.itertuples()},
            "funnel": funnel,
            "picture": folder / "funnel.png",
        }
        | ({"verdicts on unknown videos": unknown} if len(unknown) else {})
    )


def verdicts_on_unknown_videos(verdicts: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """Verdicts that name no video there is: misspelt, or its file is gone. They change nothing until there is one.

    Columns: video_id, verdict, reviewer, date.
    """
    known = set(videos.video_id) | set(videos.source_video)
    return verdicts.loc[~verdicts.video_id.isin(known), ["video_id", "verdict", "reviewer", "date"]]


def judged_videos(workspace: Workspace) -> pd.DataFrame:
    """One row per video or, where there are several faces, per track: kept or not, at which stage, with figures.

    Columns: video_id (of the track), source_video, partition, subject, frames, kept, stage, value, threshold, reason.
    """
    from models.fitting.pruning import outlier_threshold

    batches = all_batches(workspace)
    manifest = read_manifest(workspace)
    rows = []
    for row in manifest[manifest.status != "ok"].itertuples():
        rows.append(_row(row.video_id, row.video_id, "unreadable", row.reason))
    for stage, label in (
        ("landmarks", "no_face"),
        ("tracked_landmarks", "lost_track"),
        ("reconstructions", "refused_fit"),
    ):
        index = read_index(workspace, stage, batches)
        for row in index[index.status != "ok"].itertuples():
            rows.append(_row(row.track_id, row.video_id, label, row.reason, frames=int(row.frames)))
    fitted = read_index(workspace, "reconstructions", batches)
    fitted = fitted[fitted.status == "ok"]
    settings = workspace.params.pruning
    threshold = outlier_threshold(
        fitted.get("identity_norm", []), settings.identity_deviations, settings.identity_least
    )
    verdicts = read_verdicts(workspace).set_index("video_id")
    for row in fitted.itertuples():
        figures = {"frames": int(row.frames), "value": float(row.identity_norm), "threshold": float(threshold)}
        verdict = verdicts.verdict.get(row.track_id)
        if verdict == "prune":
            rows.append(_row(row.track_id, row.video_id, "manual", verdicts.reason[row.track_id], **figures))
        elif row.identity_norm > threshold and verdict != "keep":
            reason = f"|i| is {row.identity_norm:.2f} standard deviations, threshold {threshold:.2f}"
            rows.append(_row(row.track_id, row.video_id, "identity_outlier", reason, **figures))
        else:
            rows.append(_row(row.track_id, row.video_id, "", "", **figures))
    about = manifest.set_index("video_id")
    videos = pd.DataFrame(rows)
    videos["partition"] = videos.source_video.map(about.partition)
    # A face of unknown subject counts as a person of its own.
    videos["subject"] = videos.source_video.map(about.subject).where(
        lambda known: known.notna() & (videos.video_id == videos.source_video), videos.video_id
    )
    return videos.sort_values("video_id", ignore_index=True)


def funnel_of(videos: pd.DataFrame) -> pd.DataFrame:
    """How many videos each step removed and how many were left after it."""
    left = len(videos)
    rows = [{"step": "collected", "removed": 0, "left": left, "share removed": 0.0}]
    for stage, text in REASONS.items():
        removed = int((videos.stage == stage).sum())
        left -= removed
        rows.append({"step": text, "removed": removed, "left": left, "share removed": removed / max(len(videos), 1)})
    return pd.DataFrame(rows)


def funnel_figure(funnel: pd.DataFrame):
    """The funnel as horizontal bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.barh(funnel.step[::-1], funnel.left[::-1], color="#3b6ea5")
    axes.barh(funnel.step[::-1], funnel.removed[::-1], left=funnel.left[::-1], color="#d98c5f")
    for place, row in enumerate(funnel[::-1].itertuples()):
        axes.text(
            row.left + row.removed, place, f" {row.left}" + (f"  (-{row.removed})" if row.removed else ""), va="center"
        )
    axes.set_xlabel("videos left (blue), removed at this step (orange)")
    axes.set_xlim(0, funnel.left.max() * 1.15 + 1)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _row(video_id, source_video, stage, reason, frames=0, value=float("nan"), threshold=float("nan")) -> dict:
    return {
        "video_id": video_id,
        "source_video": source_video,
        "kept": stage == "",
        "stage": stage,
        "value": value,
        "threshold": threshold,
        "reason": reason,
        "frames": frames,
    }


@dg.asset(
    name=STAGE,
    group_name="facevid",
    deps=["reconstructions", "manual_review"],
    kinds={"pandas", "dvc"},
    automation_condition=FOLLOWS_ITS_INPUTS,
)
def pruned_videos(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """The verdict on every video: kept, or removed as lost track, identity outlier, or by a person.

    The paper kept 5,000 of 6,000: 16.7 % lost, 5 % identity outliers, 4 % by hand. A `keep` by a person overrules the
    automatic pruning.
    """
    return materialise(context, workspace, prune_videos)


if __name__ == "__main__":
    main(STAGE, prune_videos)
