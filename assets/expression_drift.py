"""How much is new since the champion was trained: videos, and the way their expressions are distributed."""

import json

import dagster as dg
import numpy as np
import pandas as pd

from assets.model_registry import CHAMPION
from assets.morphable_model import load_model
from assets.stage import FOLLOWS_ITS_INPUTS, StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.errors import ModelMismatchError
from models.storage import load_arrays, written_whole

STAGE = "expression_drift"
# Beside an exported network: what it has learned from, as `ExpressionStatistics`.
TRAINING_DATA = "training_data.npz"
DRIFT = "drift.json"
# Frames of a video that count at most: neighbouring ones say the same.
FRAMES_PER_VIDEO = 200


def measure_drift(workspace: Workspace) -> StageResult:
    """Compare the videos that came since with those that the champion has learned from."""
    from models.expression.drift import ExpressionStatistics, drift_figure, expression_drift

    settings = workspace.params.retraining
    folder = workspace.data(STAGE)
    reference = ExpressionStatistics.load(workspace.data(CHAMPION, TRAINING_DATA))
    kept = kept_videos(workspace)
    new = kept[~kept.video_id.isin(reference.videos)]
    drift = expression_drift(reference, list(video_expressions(workspace, new).values()), seed=settings.seed)
    facts = {
        "new_videos": len(new),
        "new_frames": int(new.frames.sum()),
        "drift": drift.index,
        "chance": drift.chance,
        "exceeded": drift.exceeds(settings.drift_bound),
    }
    with written_whole(folder / DRIFT) as path:
        path.write_text(json.dumps(facts, indent=1) + "\n")
    with written_whole(folder / "drift.png") as path:
        drift_figure(drift, settings.drift_bound).savefig(path, dpi=100)
    return StageResult(
        {
            "new videos since the champion": len(new),
            "new videos that ask for a retraining": settings.new_videos,
            "new frames": facts["new_frames"],
            "drift, population stability index": drift.index,
            "drift of as many training videos by chance": drift.chance,
            "bound of the drift": settings.drift_bound,
            "by coefficient": folder / "drift.png",
        }
    )


def kept_videos(workspace: Workspace) -> pd.DataFrame:
    """The rows of `data/pruned_videos` that survived."""
    videos = pd.read_parquet(workspace.data("pruned_videos", "videos.parquet"))
    return videos[videos.kept]


def training_statistics(workspace: Workspace):
    """What `data/facevid_splits` says of the videos at hand, as `ExpressionStatistics`: of all splits, for a video that
    was held out is not new either."""
    from models.expression.drift import ExpressionStatistics

    splits = pd.read_parquet(workspace.data("facevid_splits", "splits.parquet"))
    return ExpressionStatistics.of(video_expressions(workspace, splits))


def video_expressions(workspace: Workspace, videos: pd.DataFrame) -> dict[str, np.ndarray]:
    """Fitted expressions (F, n_e) in standard deviations of videos, by name: those frames that the fit rests on.

    Raises
    ------
    ModelMismatchError
        A fit speaks of another face model.
    """
    model = load_model(workspace)
    found = {}
    for row in videos.itertuples():
        path = workspace.data("reconstructions", row.partition, f"{row.video_id}.npz")
        fit = load_arrays(path)
        if fit["expression"].shape[1] != model.expression_size:
            raise ModelMismatchError(f"{path}: {fit['expression'].shape[1]} coefficients; fit the videos again.")
        usable = np.flatnonzero(np.isfinite(fit["residual"]))
        chosen = usable[np.unique(np.linspace(0, len(usable) - 1, FRAMES_PER_VIDEO).astype(int))] if len(usable) else []
        found[row.video_id] = fit["expression"][chosen] / model.expression_std
    return found


@dg.asset(
    name=STAGE,
    group_name="registry",
    deps=["pruned_videos", "reconstructions", "champion"],
    kinds={"dvc"},
    automation_condition=FOLLOWS_ITS_INPUTS,
)
def expression_drift(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """New videos since the champion was trained, and the drift of their expressions: what a retraining waits for.

    The population stability index over the deciles of the champion's training data, beside what as many of its own
    videos would show by chance.
    """
    return materialise(context, workspace, measure_drift)


if __name__ == "__main__":
    main(STAGE, measure_drift)
