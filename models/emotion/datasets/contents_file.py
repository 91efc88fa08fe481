"""What a data set holds, as a JSON file: read once, and known to all later steps without the set's own layout."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.errors import DatasetError
from models.storage import written_whole


def save_contents(contents: DatasetContents, path: Path | str) -> None:
    """Write contents; paths of photographs are relative to the set's root, and the root is not part of the file."""
    rows = [
        asdict(photograph) | {"path": _way(photograph.path, contents.root), "attributes": dict(photograph.attributes)}
        for photograph in contents.photographs
    ]
    tree = {
        "name": contents.name,
        "left_out": dict(contents.left_out),
        "problems": list(contents.problems),
        "photographs": rows,
    }
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(tree, indent=1) + "\n")


def load_contents(path: Path | str, root: Path) -> DatasetContents:
    """Read what `save_contents` wrote, of a set that lies at `root`.

    Raises
    ------
    DatasetError
        The file is missing, or holds something else.
    """
    try:
        tree = json.loads(Path(path).read_text())
        photographs = tuple(Photograph(**row | {"path": _place(root, row["path"])}) for row in tree["photographs"])
        return DatasetContents(tree["name"], root, photographs, tree["left_out"], tuple(tree["problems"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: no readable contents of a data set ({error}); gather them again.") from error


def _way(path: Path, root: Path) -> str:
    """How to get from the root to a photograph, which may lie beside it."""
    return Path(os.path.relpath(path, root)).as_posix()


def _place(root: Path, way: str) -> Path:
    return Path(os.path.normpath(root / way))
