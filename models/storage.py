"""Writing results so that a killed process leaves either the whole file or none."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.errors import DiskFullError, OutputError


@contextlib.contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path` (same suffix); rename it into place when the block ends well.

    Raises
    ------
    DiskFullError
        The disk is full. The temporary file is removed, as after any other error.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # mkstemp makes a file that only its owner reads; results are as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"{path}: no space left on the disk; free some and run again, finished work is kept."
            ) from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def require_writable(path: Path | str, *, folder: bool = False) -> None:
    """Refuse a place for a file, or a folder of files, before hours are spent on what belongs there.

    Raises
    ------
    OutputError
        Something else has the name, a part of the path is a file, or nothing may be written there.
    """
    path = Path(path)
    if path.exists() and path.is_dir() is not folder:
        found, wanted = ("file", "folder") if folder else ("folder", "file")
        raise OutputError(f"{path}: is a {found}, and a {wanted} is to be written; give another name.")
    place = path if folder else path.parent
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise OutputError(f"{path}: {place} is a file, and no folder; give another place.")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OutputError(
            f"{path}: nothing can be written to {place} ({error.strerror}); give another place."
        ) from error


def save_arrays(path: Path | str, **arrays: np.ndarray) -> None:
    """Write an uncompressed npz whose bytes depend on the arrays alone."""
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def load_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Read an npz without unpickling anything."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
