"""How photographs are split into training and test, and what is counted: declared once, stored with every result.

The paper cross-validates photographs in ten folds and does not say that a person's photographs stay together. The
protocol `BY_SUBJECT` keeps them together, tuning included: no one who is tested has been seen before.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from models.emotion.datasets.contents import Photograph
from models.errors import DatasetError
from models.packages import cache_folder
from models.storage import written_whole

# Fold of a photograph that is learned from and never asked.
LEARNED = -1
# Fold of a photograph that takes no part: the validation part where there is a test part.
HELD_OUT = -2


class Splitting(StrEnum):
    """How folds are made."""

    STRATIFIED = "stratified"
    """folds of photographs, the classes' shares kept"""
    BY_SUBJECT = "by subject"
    """the same, with all photographs of a person in one fold"""
    PUBLISHED = "published"
    """the publisher's test part is the only fold, the training part is learned from, and the validation part held out;
    where there is no test part, the validation part takes its place"""
    AS_GIVEN = "as given"
    """the published split where every photograph has one, else stratified folds"""


class Measure(StrEnum):
    """What is counted."""

    ACCURACY = "accuracy"
    """share of right answers"""
    CLASS_AVERAGE = "average of the classes' accuracies"
    """mean over the classes of the share of right answers"""


@dataclass(frozen=True)
class Protocol:
    """A way to split, and what is counted. Hyper-parameters are tuned inside the training folds, always.

    Attributes
    ----------
    name : "paper" or "subject"
    description : for readers
    splitting, measure : see there
    folds : how many, where they are not the publisher's
    repeats : how often all is split anew, where nobody asks for another number
    """

    name: str
    description: str
    splitting: Splitting
    measure: Measure = Measure.ACCURACY
    folds: int = 10
    repeats: int = 1

    @property
    def keeps_people_together(self) -> bool:
        """Whether no one is in training and test at once, nor in two folds of the tuning."""
        return self.splitting is Splitting.BY_SUBJECT


BY_SUBJECT = Protocol(
    "subject", "10 stratified folds of people: no one who is tested has been seen", Splitting.BY_SUBJECT
)


@dataclass(frozen=True)
class Folds:
    """In which fold each photograph is tested.

    Attributes
    ----------
    protocol : name
    seed : that the folds were drawn with
    numbers : `relative_name` of a photograph -> fold in each repeat, `LEARNED` or `HELD_OUT`
    benchmark : name; None where the file does not tell
    """

    protocol: str
    seed: int
    numbers: Mapping[str, tuple[int, ...]]
    benchmark: str | None = None

    @property
    def repeats(self) -> int:
        """How often all photographs were split."""
        return len(next(iter(self.numbers.values())))

    def of(self, paths: Sequence[str]) -> np.ndarray:
        """(repeats, F) folds of paths."""
        return np.array([self.numbers[path] for path in paths], int).T

    def save(self, path: Path | str) -> None:
        """Write them as JSON."""
        lines = ",\n".join(f"  {json.dumps(name)}: {list(folds)}" for name, folds in sorted(self.numbers.items()))
        whose = "" if self.benchmark is None else f'"benchmark": {json.dumps(self.benchmark)}, '
        head = f'{{{whose}"protocol": {json.dumps(self.protocol)}, "seed": {self.seed}, "folds": {{\n'
        with written_whole(path) as temporary:
            temporary.write_text(f"{head}{lines}\n}}}}\n")

    @classmethod
    def load(cls, path: Path | str) -> "Folds":
        """Read what `save` wrote.

        Raises
        ------
        DatasetError
            The file is missing, or holds something else.
        """
        try:
            tree = json.loads(Path(path).read_text())
            numbers = {str(name): tuple(int(fold) for fold in folds) for name, folds in tree["folds"].items()}
            benchmark = tree.get("benchmark")
            found = cls(
                str(tree["protocol"]), int(tree["seed"]), numbers, None if benchmark is None else str(benchmark)
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{path}: no readable folds ({error}); give a file that an evaluation wrote.") from error
        lengths = {len(folds) for folds in numbers.values()}
        if len(lengths) != 1 or lengths == {0}:
            raise DatasetError(
                f"{path}: its photographs have different numbers of repeats; give a file as it was written."
            )
        return found


def draw_folds(
    photographs: Sequence[Photograph],
    root: Path,
    protocol: Protocol,
    *,
    repeats: int,
    seed: int,
    benchmark: str | None = None,
) -> Folds:
    """Split photographs as a protocol says; each repeat has a seed of its own. `benchmark` says what they are of.

    There are fewer folds than the protocol asks for where a class has fewer photographs, or there are fewer people.

    Raises
    ------
    DatasetError
        People or the published split are needed and not known, or there are too few photographs or people to split.
    """
    splitting = protocol.splitting
    if splitting is Splitting.AS_GIVEN:
        given = all(photograph.split is not None for photograph in photographs)
        splitting = Splitting.PUBLISHED if given else Splitting.STRATIFIED
    if splitting is Splitting.PUBLISHED:
        columns = [_published(photographs, root)] * repeats
    else:
        people = _people(photographs, root) if splitting is Splitting.BY_SUBJECT else None
        columns = [_stratified(photographs, people, root, protocol.folds, seed + repeat) for repeat in range(repeats)]
    names = [relative_name(photograph.path, root) for photograph in photographs]
    numbers = dict(zip(names, map(tuple, np.array(columns).T.tolist()), strict=True))
    return Folds(protocol.name, seed, numbers, benchmark)


def relative_name(path: Path, root: Path) -> str:
    """How a photograph is called in files that go from one machine to another, wherever the set lies there.

    That is its path under the set's root; under the project's cache, for images that are unpacked there; and else its
    way from the root, such as `../others/a.jpg`.
    """
    for folder in (root, cache_folder()):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return Path(os.path.relpath(path, root)).as_posix()


def _published(photographs: Sequence[Photograph], root: Path) -> np.ndarray:
    parts = np.array([photograph.split or "" for photograph in photographs])
    unknown = int((parts == "").sum())
    if unknown:
        raise DatasetError(
            f"{root}: the protocol takes the publisher's split, which {unknown} of {len(parts)} photographs lack; "
            "add the publisher's list, or ask for the protocol 'subject'."
        )
    asked = "test" if "test" in parts else "validation"
    for part in ("train", asked):
        if part not in parts:
            raise DatasetError(
                f"{root}: expected photographs of the part '{part}', found none; copy the set anew, with its lists."
            )
    return np.select([parts == asked, parts == "train"], [0, LEARNED], HELD_OUT)


def person_of(photograph: Photograph) -> str:
    """Who is on a photograph; who is not named counts as a person of its own."""
    return photograph.subject or f"unknown: {photograph.path}"


def _people(photographs: Sequence[Photograph], root: Path) -> np.ndarray:
    if all(photograph.subject is None for photograph in photographs):
        raise DatasetError(
            f"{root}: the protocol 'subject' must know who is on the photographs, and nothing says so; ask for the "
            "protocol 'paper', or name the people in a manifest."
        )
    return np.array([person_of(photograph) for photograph in photographs])


def _stratified(
    photographs: Sequence[Photograph], people: np.ndarray | None, root: Path, count: int, seed: int
) -> np.ndarray:
    from models.emotion.search import stratified_folds

    labels = np.array([photograph.label for photograph in photographs])
    numbers = np.full(len(labels), LEARNED)
    try:
        for number, (_, unseen) in enumerate(stratified_folds(labels, people, count, seed)):
            numbers[unseen] = number
    except ValueError as error:
        counts = ", ".join(
            f"{label} {size}" for label, size in zip(*np.unique(labels, return_counts=True), strict=True)
        )
        who = "" if people is None else f" of {len(np.unique(people))} people"
        raise DatasetError(f"{root}: {error} Found {len(labels)} photographs{who}: {counts}.") from error
    return numbers
