"""People's verdicts on fitted videos (section III-B, error pruning b): a CSV under version control."""

import csv
import io
from collections.abc import Collection
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pandas as pd
from filelock import FileLock

from assets.stage import WorkspaceResource
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.packages import sha256_of
from models.storage import written_whole

VERDICTS = ("keep", "prune")
# A line that takes the reviewer's own last verdict on the video back; what was said before it holds again.
UNDO = "undo"


@dataclass(frozen=True)
class Verdict:
    """One line of the file: what a reviewer said of a video, and when (ISO 8601)."""

    video_id: str
    verdict: str
    reason: str
    reviewer: str
    date: str


COLUMNS = [column.name for column in fields(Verdict)]


def review_path(workspace: Workspace) -> Path:
    """The file of verdicts."""
    return workspace.path("reviews", "manual_review.csv")


def read_history(workspace: Workspace) -> list[Verdict]:
    """Every line of the file, the oldest first; what was taken back and the lines that did so included.

    Raises
    ------
    DeepExp3DError
        The file is missing or no table, a column is missing, or a verdict is none of "keep", "prune" and "undo".
    """
    path = review_path(workspace)
    header = ",".join(COLUMNS)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DeepExp3DError(f"{path}: no such file; put one there that begins with the line {header}.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DeepExp3DError(f"{path}: not readable as a table ({error}); its first line must be {header}.") from None
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise DeepExp3DError(f"{path}: lacks the column {', '.join(missing)}; the header must be {header}.")
    history = [Verdict(*row) for row in table[COLUMNS].itertuples(index=False)]
    for line, said in enumerate(history, start=2):
        if said.verdict not in (*VERDICTS, UNDO):
            raise DeepExp3DError(
                f"{path}, line {line}: verdict '{said.verdict}' is neither keep nor prune; correct it."
            )
    return history


def standing(history: Collection[Verdict]) -> list[Verdict]:
    """The verdicts that were not taken back, in their order."""
    left: list[Verdict] = []
    for said in history:
        if said.verdict != UNDO:
            left.append(said)
            continue
        for place in reversed(range(len(left))):
            if (left[place].video_id, left[place].reviewer) == (said.video_id, said.reviewer):
                del left[place]
                break
    return left


def read_verdicts(workspace: Workspace) -> pd.DataFrame:
    """The last verdict on each video, of those that were not taken back.

    Raises
    ------
    DeepExp3DError
        As `read_history`.
    """
    verdicts = pd.DataFrame([astuple(said) for said in standing(read_history(workspace))], columns=COLUMNS, dtype=str)
    return verdicts.drop_duplicates("video_id", keep="last").reset_index(drop=True)


def record_verdict(
    workspace: Workspace,
    video_id: str,
    verdict: str,
    *,
    reviewer: str,
    known: Collection[str],
    reason: str = "",
    when: datetime | None = None,
) -> Verdict:
    """Add a verdict to the file. Several processes may do so at once: each waits for its turn, and no line is lost.

    Parameters
    ----------
    verdict : "keep" or "prune"
    known : ids of the videos that there are
    when : of the verdict; by default now

    Raises
    ------
    DeepExp3DError
        The video is not known, the verdict is neither keep nor prune, the reviewer has no name, or as `read_history`.
    """
    path = review_path(workspace)
    if video_id not in known:
        raise DeepExp3DError(f"{path}: '{video_id}' is none of the {len(known)} fitted videos; nothing was written.")
    if verdict not in VERDICTS:
        raise DeepExp3DError(f"{path}: verdict '{verdict}' is neither keep nor prune; nothing was written.")
    said = _line(video_id, verdict, reason, reviewer, when, path)
    with _turn(workspace):
        read_history(workspace)  # A file that is damaged is for its owner to mend, not to be written on.
        _append(path, said)
    return said


def take_back(workspace: Workspace, *, reviewer: str, when: datetime | None = None) -> Verdict | None:
    """Take back the last verdict of a reviewer that stands, by a further line; the verdict, or None without any.

    Raises
    ------
    DeepExp3DError
        The reviewer has no name, or as `read_history`.
    """
    path = review_path(workspace)
    with _turn(workspace):
        own = [said for said in standing(read_history(workspace)) if said.reviewer == _one_line(reviewer)]
        if not own:
            return None
        _append(path, _line(own[-1].video_id, UNDO, f"took back {own[-1].verdict}", reviewer, when, path))
    return own[-1]


def _line(video_id: str, verdict: str, reason: str, reviewer: str, when: datetime | None, path: Path) -> Verdict:
    name = _one_line(reviewer)
    if not name:
        raise DeepExp3DError(f"{path}: a verdict needs its reviewer's name; nothing was written.")
    date = (when or datetime.now(UTC)).isoformat(timespec="seconds")
    return Verdict(video_id, verdict, _one_line(reason), name, date)


def _one_line(text: str) -> str:
    """Text without line breaks: git compares the file line by line."""
    return " ".join(text.split())


def _turn(workspace: Workspace) -> FileLock:
    lock = workspace.data(".scratch", "manual_review.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(lock)


def _append(path: Path, said: Verdict) -> None:
    """Add a line, by way of a new file: a process that is killed here leaves no half a line."""
    content = path.read_bytes().decode()
    header = next(csv.reader(io.StringIO(content)))
    line = io.StringIO()
    ending = "\r\n" if "\r\n" in content else "\n"
    csv.DictWriter(line, header, restval="", lineterminator=ending).writerow(asdict(said))
    if not content.endswith("\n"):
        content += ending
    with written_whole(path.resolve()) as temporary:
        temporary.write_bytes((content + line.getvalue()).encode())


@dg.asset(group_name="facevid", kinds={"csv"})
def manual_review(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Verdicts on single videos, `keep` or `prune`, with reason, reviewer and date, in `reviews/manual_review.csv`.

    `deepexp3d review` writes them; git versions the file, line by line, and `pruned_videos` reads it. The last verdict
    on a video holds; a line `undo` takes the reviewer's own last one back.
    """
    project = workspace.open()
    verdicts = read_verdicts(project)
    return dg.MaterializeResult(
        metadata={name: int((verdicts.verdict == name).sum()) for name in VERDICTS}
        | {"reviewers": int(verdicts.reviewer.nunique()), "file": str(review_path(project))},
        data_version=dg.DataVersion(sha256_of(review_path(project))),
    )
