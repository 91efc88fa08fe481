"""Train, validation and test people (section III-C)."""

import dagster as dg
import pandas as pd

from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.storage import written_whole

STAGE = "facevid_splits"


def split_videos(workspace: Workspace) -> StageResult:
    """Give every kept video to the split of its person.

    Raises
    ------
    DeepExp3DError
        No video survived pruning.
    """
    from models.expression.splits import split_by_person

    videos = pd.read_parquet(workspace.data("pruned_videos", "videos.parquet"))
    kept = videos[videos.kept].copy()
    if kept.empty:
        raise DeepExp3DError(
            f"{workspace.data('pruned_videos', 'videos.parquet')}: no video survived pruning; column `reason` says why."
        )
    settings = workspace.params.facevid_splits
    assignment = split_by_person(kept.subject, settings.fractions, settings.seed)
    kept["split"] = kept.subject.map(assignment)
    with written_whole(workspace.data(STAGE, "splits.parquet")) as path:
        kept[["video_id", "source_video", "partition", "subject", "frames", "split"]].to_parquet(path)
    counts = kept.groupby("split").agg(
        videos=("video_id", "size"), people=("subject", "nunique"), frames=("frames", "sum")
    )
    return StageResult(
        {"splits": counts.reset_index()} | {f"{name} videos": int(n) for name, n in counts.videos.items()}
    )


def read_splits(workspace: Workspace) -> pd.DataFrame:
    """video_id, source_video, partition, subject, frames, split of every kept video."""
    return pd.read_parquet(workspace.data(STAGE, "splits.parquet"))


@dg.asset(name=STAGE, group_name="facevid", deps=["pruned_videos"], kinds={"pandas", "dvc"})
def facevid_splits(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """70 / 15 / 15 % of the people for training, validation and test: no person is in two of them."""
    return materialise(context, workspace, split_videos)


if __name__ == "__main__":
    main(STAGE, split_videos)
