"""People's verdicts on fitted videos (section III-B, error pruning b): a CSV under version control."""

import dagster as dg
import pandas as pd

from assets.stage import WorkspaceResource
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.packages import sha256_of

VERDICTS = ("keep", "prune")
COLUMNS = ["video_id", "verdict", "reason", "reviewer", "date"]


def review_path(workspace: Workspace):
    return workspace.path("reviews", "manual_review.csv")


def read_verdicts(workspace: Workspace) -> pd.DataFrame:
    """The last verdict on each video.

    Raises
    ------
    DeepExp3DError
        A column is missing, or a verdict is neither "keep" nor "prune".
    """
    path = review_path(workspace)
    verdicts = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [name for name in COLUMNS if name not in verdicts.columns]:
        raise DeepExp3DError(f"{path}: lacks the column {', '.join(missing)}; the header must be {','.join(COLUMNS)}.")
    for line, row in enumerate(verdicts.itertuples(), start=2):
        if row.verdict not in VERDICTS:
            raise DeepExp3DError(f"{path}, line {line}: verdict '{row.verdict}' is neither keep nor prune; correct it.")
    return verdicts.drop_duplicates("video_id", keep="last").reset_index(drop=True)


@dg.asset(group_name="facevid", kinds={"csv"})
def manual_review(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Verdicts on single videos, `keep` or `prune`, with reason, reviewer and date, in `reviews/manual_review.csv`.

    Git versions this file, line by line; `pruned_videos` reads it. The last verdict on a video holds.
    """
    project = workspace.open()
    verdicts = read_verdicts(project)
    return dg.MaterializeResult(
        metadata={name: int((verdicts.verdict == name).sum()) for name in VERDICTS}
        | {"file": str(review_path(project))},
        data_version=dg.DataVersion(sha256_of(review_path(project))),
    )
