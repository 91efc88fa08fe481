"""Photographs that are there more than once, whatever they are called."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from models.emotion.datasets.contents import Photograph


def duplicates(photographs: Iterable[Photograph]) -> tuple[tuple[Photograph, ...], ...]:
    """Groups of two or more photographs whose files hold the same bytes, each sorted by path.

    Only files of the same size are read.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    by_size = defaultdict(list)
    for photograph in sorted(photographs, key=lambda photograph: photograph.path):
        by_size[photograph.path.stat().st_size].append(photograph)
    groups = defaultdict(list)
    for size, alike in by_size.items():
        if len(alike) > 1:
            for photograph in alike:
                groups[size, _digest(photograph.path)].append(photograph)
    found = (tuple(group) for group in groups.values() if len(group) > 1)
    return tuple(sorted(found, key=lambda group: group[0].path))


def _digest(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
