"""Train, validation and test splits by person (section III-C: 70 % / 15 % / 15 %), never one person in two of them."""

import hashlib
from collections.abc import Mapping, Sequence

SPLITS = ("train", "val", "test")


def split_by_person(people: Sequence[str], fractions: Mapping[str, float], seed: int) -> dict[str, str]:
    """Assign every person to a split.

    The order of `people` does not matter, and repeated names count once. People are ordered by a hash of their name
    and the seed, and that order is cut at the fractions; with three or more people no split is left empty.

    Parameters
    ----------
    people : names; a video of unknown subject counts as a person of its own
    fractions : share of each of "train", "val" and "test", summing to 1
    seed : another seed gives another assignment

    Returns
    -------
    person -> "train", "val" or "test"
    """
    unique = sorted(set(people), key=lambda person: hashlib.sha256(f"{seed}:{person}".encode()).digest())
    held_out = {name: round(len(unique) * fractions[name]) for name in ("val", "test")}
    if len(unique) >= len(SPLITS):
        held_out = {name: max(1, count) for name, count in held_out.items()}
    test_end = held_out["test"]
    val_end = test_end + held_out["val"]
    return {
        person: "test" if place < test_end else "val" if place < val_end else "train"
        for place, person in enumerate(unique)
    }
