"""What every reader does alike: find the folder, note what is wrong, leave out what cannot be opened, count."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS, DatasetFacts
from models.errors import DatasetError, ImageError
from models.expression.images import HEIF_SUFFIXES, IMAGE_SUFFIXES, read_image

# How many file names a sentence names before it only counts them.
_NAMED = 5


@dataclass
class Inspection:
    """What a reader has noted of one folder so far.

    Attributes
    ----------
    facts, root : of which set, where
    photographs : found so far; none of them has been opened
    left_out : reason -> images
    problems : sentences
    doubled : files whose image is there already
    """

    facts: DatasetFacts
    root: Path
    photographs: list[Photograph] = field(default_factory=list)
    left_out: Counter = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    doubled: list[Path] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def is_first(self, name: str, path: Path) -> bool:
        """Whether no image of this name was there before; else `path` is noted as doubled."""
        if name in self._names:
            self.doubled.append(path)
            return False
        self._names.add(name)
        return True

    def note(self, what: str, names: Iterable[str | Path]) -> None:
        """Note a problem of some files, "Images without a label (2): a.jpg, b.jpg."; nothing where there are none."""
        if names := [str(name) for name in names]:
            self.problems.append(f"{what} ({len(names)}): {named(names)}.")

    def contents(self, verify: bool) -> DatasetContents:
        """Leave out what cannot be opened, compare the rest with the published numbers, and sort it.

        Raises
        ------
        DatasetError
            Nothing is left.
        """
        self.note(
            "Images that are there twice, of which only the first counts", (self._shown(path) for path in self.doubled)
        )
        unreadable = {
            photograph.path: reason for photograph in self.photographs if (reason := damage(photograph.path, verify))
        }
        readable = [photograph for photograph in self.photographs if photograph.path not in unreadable]
        if unreadable:
            self.left_out["unreadable"] += len(unreadable)
            self.note(
                "Images that cannot be opened",
                (f"{self._shown(path)} ({reason})" for path, reason in sorted(unreadable.items())),
            )
        if not readable:
            raise DatasetError(
                f"{self.root}: holds no photograph of {self.facts.title} that can be used. "
                + (" ".join(self.problems) or "It is empty.")
                + f" Expected files such as {self.facts.example}."
            )
        self.problems += differences(self.facts, readable, self.left_out)
        return DatasetContents(
            name=self.facts.name,
            root=self.root,
            photographs=tuple(sorted(readable, key=lambda photograph: photograph.path)),
            left_out={reason: count for reason, count in sorted(self.left_out.items()) if count},
            problems=tuple(self.problems),
        )

    def _shown(self, path: Path) -> Path:
        """A path as a sentence names it."""
        return path.relative_to(self.root) if path.is_relative_to(self.root) else path


def named(names: list[str]) -> str:
    """The first few of many names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def images_below(folder: Path) -> Iterator[Path]:
    """The image files of a folder and its subfolders, sorted; hidden ones and what archives of a Mac leave are not."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield Path(parent, name)


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones; empty where it is none or may not be read."""
    try:
        return sorted(
            path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__MACOSX"))
        )
    except OSError:
        return []


def files_in(folder: Path) -> list[Path]:
    """The files in a folder, sorted, without hidden ones; empty where it is none or may not be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError:
        return []


def damage(path: Path, verify: bool) -> str | None:
    """Why an image file cannot be used; None where it can. Only its header is read unless `verify` decodes it all."""
    try:
        if path.stat().st_size == 0:
            return "empty"
        if verify:
            read_image(path)
            return None
        return None if path.suffix.lower() in HEIF_SUFFIXES or _has_header(path) else "no image"
    except ImageError as error:
        return str(error).removeprefix(f"{path}: ")
    except OSError as error:
        return error.strerror or "cannot be read"


def _has_header(path: Path) -> bool:
    import cv2
    from PIL import Image

    try:
        with Image.open(path):
            return True
    except Image.UnidentifiedImageError:
        # Kinds of TIFF that Pillow does not know.
        return cv2.haveImageReader(str(path))
    except (SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return False


def differences(facts: DatasetFacts, photographs: Iterable[Photograph], left_out: Counter) -> list[str]:
    """How photographs differ in number from what is published, a sentence for each difference."""
    photographs = list(photographs)
    found = Counter(photograph.label for photograph in photographs)
    sentences = []
    expected_images = sum(facts.labels.values())
    if facts.labels and len(photographs) != expected_images:
        sentences.append(
            f"{_missing(expected_images - len(photographs))}: {expected_images} images of the seven emotions are "
            f"published, {len(photographs)} were found."
        )
        classes = [
            f"{label} {found[label]} of {count}" for label, count in facts.labels.items() if found[label] != count
        ]
        sentences.append(f"Classes that differ from the published numbers: {', '.join(classes)}.")
    subjects = {photograph.subject for photograph in photographs}
    if facts.subjects is not None and len(subjects) != facts.subjects:
        sentences.append(f"{facts.subjects} subjects are published, {len(subjects)} were found.")
    splits = Counter(photograph.split for photograph in photographs)
    for split, count in facts.splits.items():
        if splits[split] != count:
            sentences.append(f"{count} images of the split '{split}' are published, {splits[split]} were found.")
    for reason, count in facts.left_out.items():
        if left_out[reason] != count:
            sentences.append(f"{count} images that show {reason} are published, {left_out[reason]} were found.")
    return sentences


def _missing(count: int) -> str:
    images = "image is" if abs(count) == 1 else "images are"
    return f"{count} {images} missing" if count > 0 else f"{-count} {images} too many"


def require_root(name: str, root: Path, recognisers: Mapping[str, Callable[[Path], bool]]) -> None:
    """Refuse a folder that is not the root of a data set, and say where the right one seems to be.

    Parameters
    ----------
    name : of the set
    recognisers : for every set with a layout of its own, whether a folder looks like its root

    Raises
    ------
    DatasetError
        There is no such folder, or it does not look like the set.
    """
    facts = DATASETS[name]
    if not root.is_dir():
        raise DatasetError(
            f"{root}: there is no such folder; give the one of {facts.title}, in which {facts.example} lies. The set "
            f"comes from {facts.source}."
        )
    if name not in recognisers or recognisers[name](root):
        return
    nearby = next((folder for folder in _nearby(root) if recognisers[name](folder)), None)
    others = [other for other, looks_like in recognisers.items() if other != name and looks_like(root)]
    if nearby is not None:
        cure = f"The right folder seems to be {nearby}."
    elif others:
        cure = f"It looks like {DATASETS[others[0]].title}: read it as '{others[0]}'."
    else:
        cure = f"Expected layout: {facts.layout}"
    raise DatasetError(
        f"{root}: this is not the folder of {facts.title}. Expected {facts.example} in it, found {_summary(root)}. "
        + cure
    )


def _nearby(root: Path) -> Iterator[Path]:
    """Folders a step or two below or above."""
    below = subfolders(root)
    yield from below
    for folder in below:
        yield from subfolders(folder)
    yield from list(root.absolute().parents)[:2]


def _summary(folder: Path) -> str:
    folders = [path.name for path in subfolders(folder)]
    files = [path.name for path in files_in(folder)]
    parts = []
    if folders:
        parts.append(f"folders {named(folders)}")
    if files:
        parts.append(f"files {named(files)}")
    return "; ".join(parts) or "nothing"
