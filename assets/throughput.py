"""How many frames a run of a stage went through, those of videos that it found finished left out."""

from collections.abc import Sequence

import pandas as pd

from assets.workspace import Workspace

# What tells a file from one that took its place: its inode, and when it was last changed, nanoseconds.
FileVersion = tuple[int, int]


def track_versions(workspace: Workspace, stage: str, batches: Sequence[str]) -> dict[tuple[str, str], FileVersion]:
    """(batch, track) -> the version of its file; only tracks that have one."""
    found = {}
    for batch in batches:
        for path in workspace.data(stage, batch).glob("*.npz"):
            state = path.stat()
            found[batch, path.stem] = state.st_ino, state.st_mtime_ns
    return found


def frames_done(
    workspace: Workspace, stage: str, index: pd.DataFrame, before: dict[tuple[str, str], FileVersion]
) -> int:
    """Frames of the tracks of an index whose files are others than before the stage began.

    The index itself says the same after a run that did everything and after one that found everything done: it must, to
    be the same byte by byte.
    """
    after = track_versions(workspace, stage, list(index.partition.unique()))
    made = {track for track, version in after.items() if before.get(track) != version}
    return sum(int(row.frames) for row in index.itertuples() if (row.partition, row.track_id) in made)
