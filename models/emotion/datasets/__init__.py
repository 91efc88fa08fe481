"""Emotion data sets in their publishers' own layouts.

`read_dataset(name, root)` reads one, checks it against the published numbers and says what is missing; `DATASETS` tells
of each what it holds, how its folder looks and whom to ask for it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.duplicates import duplicates
from models.emotion.datasets.facts import DATASETS, DatasetFacts
from models.emotion.datasets.inspection import require_root
from models.emotion.datasets.kdef import looks_like_kdef, read_kdef
from models.emotion.datasets.manifest import read_manifest
from models.emotion.datasets.rafd import looks_like_rafd, read_rafd

__all__ = ["DATASETS", "DatasetContents", "DatasetFacts", "Photograph", "duplicates", "read_dataset"]

_READERS: Mapping[str, Callable[[Path, bool], DatasetContents]] = {
    "rafd": read_rafd,
    "kdef": read_kdef,
    "manifest": read_manifest,
}
_RECOGNISERS: Mapping[str, Callable[[Path], bool]] = {
    "rafd": looks_like_rafd,
    "kdef": looks_like_kdef,
}


def read_dataset(name: str, root: Path | str, verify: bool = False) -> DatasetContents:
    """A data set as it lies on disk, and how it differs from the published one.

    A set that was copied in part is read; what it lacks is in the contents' `problems`.

    Parameters
    ----------
    name : a key of `DATASETS`
    root : the set's folder
    verify : decode every image in full, which takes minutes for a large set; else only their headers are read

    Raises
    ------
    DatasetError
        The folder does not hold the set (the message says what was expected, what was found, and where the right folder
        seems to be), a table of labels cannot be read, or no photograph can be used.
    KeyError
        There is no reader of this name.
    """
    root = Path(root)
    read = _READERS[name]
    require_root(name, root, _RECOGNISERS)
    return read(root, verify)
