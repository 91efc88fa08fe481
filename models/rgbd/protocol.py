"""Who is learned from and who is tested (section 5.2): declared once, drawn from a seed, stored with every result.

Images are divided by person alone: nobody who is tested is seen in training.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import DatasetError
from models.rgbd.contents import Scan
from models.rgbd.pipelines import CLASSES
from models.storage import written_whole

# The third and fourth intensity of each of the six expressions, of which a set may have one alone.
INTENSITIES = (3, 4)
# One in ten is tested.
TESTED = 10
# Two to learn from and one to test.
LEAST_PEOPLE = 3
# How many people a sentence names with what they lack.
_EXAMPLES = 3


@dataclass(frozen=True)
class Protocol:
    """A way to choose people.

    Attributes
    ----------
    name, description : for readers
    people : who take part
    repeats : how often they are divided
    redrawn : whether other people take part in each repeat
    folds : whether the repeats are the folds of one cross-validation, each person tested once
    """

    name: str
    description: str
    people: int
    repeats: int
    redrawn: bool = False
    folds: bool = False


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("paper", "60 random people, the same throughout; 54 are learned from, 6 tested, 200 times", 60, 200),
        Protocol("redrawn", "60 people drawn anew each time; 54 are learned from, 6 tested, 200 times", 60, 200, True),
        Protocol("all", "all 100 people; 90 are learned from, 10 tested, 200 times", 100, 200),
        Protocol("tenfold", "60 random people in ten folds, each person tested once", 60, 10, folds=True),
    )
}


@dataclass(frozen=True)
class Division:
    """One repeat: the people who are learned from, and those who are tested."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Divisions:
    """Every repeat of a protocol.

    Attributes
    ----------
    protocol : name
    seed : that people were drawn with
    repeats : in their order
    problems : how this differs from the protocol, a sentence each
    """

    protocol: str
    seed: int
    repeats: tuple[Division, ...]
    problems: tuple[str, ...] = ()

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who takes part in any repeat, sorted."""
        return tuple(sorted({person for repeat in self.repeats for person in (*repeat.train, *repeat.test)}))

    def save(self, path: Path | str) -> None:
        """Write them as JSON."""
        rows = ",\n".join(
            "  " + json.dumps({"train": list(repeat.train), "test": list(repeat.test)}) for repeat in self.repeats
        )
        head = {"protocol": self.protocol, "seed": self.seed, "problems": list(self.problems)}
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(head)[:-1] + f', "repeats": [\n{rows}\n]}}\n')

    @classmethod
    def load(cls, path: Path | str) -> "Divisions":
        """Read what `save` wrote.

        Raises
        ------
        DatasetError
            The file is missing, holds something else, or tests people whom it learns from.
        """
        try:
            tree = json.loads(Path(path).read_text())
            repeats = tuple(
                Division(tuple(map(str, one["train"])), tuple(map(str, one["test"]))) for one in tree["repeats"]
            )
            found = cls(str(tree["protocol"]), int(tree["seed"]), repeats, tuple(map(str, tree["problems"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{path}: no readable divisions of people ({error}); give a file that an evaluation wrote."
            ) from error
        for number, repeat in enumerate(repeats, 1):
            if shared := set(repeat.train) & set(repeat.test):
                raise DatasetError(
                    f"{path}: repeat {number} tests {', '.join(sorted(shared))}, whom it learns from; draw them anew."
                )
        return found


def draw_divisions(
    subjects: Sequence[str], protocol: Protocol, *, seed: int, repeats: int | None = None, people: int | None = None
) -> Divisions:
    """Draw people. Each repeat has random numbers of its own: the first of them are the same, however many there are.

    Parameters
    ----------
    subjects : everybody there is, in any order
    protocol : see there
    seed : of everything that is drawn
    repeats, people : other numbers than the protocol's. One in ten people is tested, and one at least

    Raises
    ------
    DatasetError
        There are fewer than three people.
    """
    there = sorted(set(subjects))
    wanted = people or protocol.people
    count = min(wanted, len(there))
    if count < LEAST_PEOPLE:
        raise DatasetError(
            f"protocol '{protocol.name}': found {len(there)} people with every expression; expected {wanted}, and at "
            f"least {LEAST_PEOPLE}, to learn from two and to test one."
        )
    tested = max(1, round(count / TESTED))
    problems = []
    if count != protocol.people:
        problems.append(
            f"The protocol '{protocol.name}' takes {protocol.people} people; here {count} take part, of whom {tested} "
            f"{'is' if tested == 1 else 'are'} tested in each repeat."
        )
    fixed = _drawn(there, count, [seed])
    if protocol.folds:
        order = np.random.default_rng([seed, 1]).permutation(count)
        tests = [sorted(fixed[place] for place in part) for part in np.array_split(order, min(TESTED, count))]
        drawn = [_division(fixed, test) for test in tests[:repeats]]
    else:
        drawn = []
        for repeat in range(repeats or protocol.repeats):
            chosen = _drawn(there, count, [seed, 0, repeat]) if protocol.redrawn else fixed
            drawn.append(_division(chosen, _drawn(chosen, tested, [seed, 1, repeat])))
    if len(drawn) != protocol.repeats:
        problems.append(f"The protocol '{protocol.name}' has {protocol.repeats} repeats; these are {len(drawn)}.")
    return Divisions(protocol.name, seed, tuple(drawn), tuple(problems))


def intensities_in(subjects: np.ndarray, labels: np.ndarray, intensities: np.ndarray) -> tuple[int, ...]:
    """Those of the protocol's `INTENSITIES` that take part: at which a set's people show all six expressions.

    Sets with one scan of each expression have one intensity. A few scans of the other, which most people lack, do not
    keep all those from taking part.
    """
    people = {
        level: sum(
            set(CLASSES) <= set(labels[(subjects == person) & (intensities == level)]) for person in np.unique(subjects)
        )
        for level in INTENSITIES
    }
    most = max(people.values())
    return tuple(level for level, count in people.items() if not most or 2 * count >= most)


def complete_people(
    subjects: np.ndarray, labels: np.ndarray, intensities: np.ndarray
) -> tuple[list[str], dict[str, list[str]]]:
    """Who shows all six expressions at every intensity that takes part, and of the others what they lack: person ->
    expressions.
    """
    levels = intensities_in(subjects, labels, intensities)
    wanted = {(label, intensity) for label in CLASSES for intensity in levels}
    complete, lacking = [], {}
    for person in np.unique(subjects):
        rows = subjects == person
        shown = set(zip(labels[rows].tolist(), intensities[rows].tolist(), strict=True))
        if missing := sorted(wanted - shown):
            lacking[str(person)] = [f"{label} {intensity}" for label, intensity in missing]
        else:
            complete.append(str(person))
    return complete, lacking


def require_people(scans: Sequence[Scan], intensities: Sequence[int]) -> None:
    """Refuse scans of too few people before hours are spent on their preparation.

    Parameters
    ----------
    scans : all that there are
    intensities : those that are prepared

    Raises
    ------
    DatasetError
        Fewer than three people show every expression; the message names some with what they lack.
    """
    kept = [scan for scan in scans if scan.emotion in CLASSES and scan.intensity in intensities]
    complete, lacking = complete_people(
        np.array([scan.subject for scan in kept], str),
        np.array([scan.emotion for scan in kept], str),
        np.array([scan.intensity for scan in kept], int),
    )
    if len(complete) < LEAST_PEOPLE:
        examples = "; ".join(f"{person} lacks {', '.join(lacking[person])}" for person in list(lacking)[:_EXAMPLES])
        raise DatasetError(
            f"found {len(complete)} people with all six expressions among {len(kept)} scans of intensity "
            f"{' and '.join(map(str, intensities))}; expected at least {LEAST_PEOPLE}, to learn from two and to test "
            "one." + (f" {examples}." if examples else "")
        )


def _drawn(people: Sequence[str], count: int, seed: Sequence[int]) -> list[str]:
    chosen = np.random.default_rng(seed).choice(len(people), count, replace=False)
    return sorted(people[place] for place in chosen)


def _division(people: Sequence[str], test: Sequence[str]) -> Division:
    asked = set(test)
    return Division(tuple(person for person in people if person not in asked), tuple(sorted(asked)))
