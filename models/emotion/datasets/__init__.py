"""Emotion data sets in their publishers' own layouts.

`read_dataset(name, root)` reads one, checks it against the published numbers and says what is missing; `DATASETS` tells
of each what it holds, how its folder looks and whom to ask for it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from models.emotion.datasets.affectnet import looks_like_affectnet, read_affectnet
from models.emotion.datasets.cfee import looks_like_cfee, read_cfee
from models.emotion.datasets.ckplus import looks_like_ckplus, read_ckplus
from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.duplicates import duplicates
from models.emotion.datasets.facts import DATASETS, DatasetFacts
from models.emotion.datasets.fer2013 import looks_like_fer2013, read_fer2013
from models.emotion.datasets.inspection import require_root
from models.emotion.datasets.jaffe import looks_like_jaffe, read_jaffe
from models.emotion.datasets.kdef import looks_like_kdef, read_kdef
from models.emotion.datasets.manifest import MANIFEST, read_manifest
from models.emotion.datasets.rafd import looks_like_rafd, read_rafd
from models.emotion.datasets.rafdb import looks_like_rafdb, read_rafdb

__all__ = ["DATASETS", "DatasetContents", "DatasetFacts", "Photograph", "duplicates", "read_dataset"]

_READERS: Mapping[str, Callable[[Path, bool], DatasetContents]] = {
    "rafd": read_rafd,
    "kdef": read_kdef,
    "rafdb": read_rafdb,
    "cfee": read_cfee,
    "ckplus": read_ckplus,
    "jaffe": read_jaffe,
    "affectnet": read_affectnet,
    "fer2013": read_fer2013,
}
_RECOGNISERS: Mapping[str, Callable[[Path], bool]] = {
    "rafd": looks_like_rafd,
    "kdef": looks_like_kdef,
    "rafdb": looks_like_rafdb,
    "cfee": looks_like_cfee,
    "ckplus": looks_like_ckplus,
    "jaffe": looks_like_jaffe,
    "affectnet": looks_like_affectnet,
    "fer2013": looks_like_fer2013,
}


def read_dataset(name: str, root: Path | str, verify: bool = False) -> DatasetContents:
    """A data set as it lies on disk, and how it differs from the published one.

    A set that was copied in part is read; what it lacks is in the contents' `problems`. A `manifest.csv` in the folder
    (see `models.emotion.datasets.manifest`) goes before the publisher's layout, whichever the set.

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
        `name` is not one of `DATASETS`.
    """
    root = Path(root)
    if name == "manifest" or (root / MANIFEST).is_file():
        require_root("manifest", root, {})
        return read_manifest(root, verify, name)
    require_root(name, root, _RECOGNISERS)
    return _READERS[name](root, verify)
