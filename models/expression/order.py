"""In which order training images are seen: drawn anew every epoch, from a seed and the epoch's number alone.

Whoever knows the two and how many batches are over can go on where somebody else was stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Images that are shuffled among one another. All of a data set that fits into memory; a larger one is read chunk by
# chunk rather than from everywhere at once.
WINDOW = 200_000


@dataclass(frozen=True)
class Source:
    """One folder's samples, in the order in which they were written.

    Attributes
    ----------
    chunk_sizes : how many samples each chunk holds
    videos : (n,) a number for each sample, the same for those of one video; None where nobody asks
    """

    chunk_sizes: Sequence[int]
    videos: np.ndarray | None = None

    def __len__(self) -> int:
        return sum(self.chunk_sizes)


@dataclass(frozen=True)
class Mixture:
    """Epochs of several sources together.

    Attributes
    ----------
    sources : at least one
    shares : how much of an epoch each source gives; None for as much as it has. An epoch is as long as all sources
        together. A source asked for more than it has is gone through several times, one asked for less is gone through
        in several epochs, and none of its samples comes twice before all have come once
    together : how many samples of a video follow each other, where it has as many
    seed : of all that is drawn
    """

    sources: tuple[Source, ...]
    shares: tuple[float, ...] | None
    together: int
    seed: int

    def __len__(self) -> int:
        return sum(self._counts())

    def epoch(self, number: int) -> np.ndarray:
        """The samples of an epoch as (n, 2) rows of a source's number and a sample's."""
        rng = np.random.default_rng([self.seed, number, 0])
        rows, keys = [], []
        for source, count in enumerate(self._counts()):
            samples, groups = self._stretch(source, number * count, count)
            # Groups of each source are spread evenly over the epoch, in the order of their own pass.
            starts = np.r_[True, groups[1:] != groups[:-1]] if count else np.zeros(0, bool)
            places = (np.arange(starts.sum()) + rng.random(starts.sum())) / max(1, starts.sum())
            rows.append(np.stack([np.full(count, source), samples], axis=1))
            keys.append(places[np.cumsum(starts) - 1])
        return np.concatenate(rows)[np.argsort(np.concatenate(keys), kind="stable")]

    def _counts(self) -> list[int]:
        sizes = [len(source) for source in self.sources]
        if self.shares is None:
            return sizes
        return [round(sum(sizes) * share / sum(self.shares)) for share in self.shares]

    def _stretch(self, source: int, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples `start` to `start + count` of a source's endless sequence of passes, and which group each is in."""
        size, samples, groups = len(self.sources[source]), [np.zeros(0, int)], [np.zeros(0, int)]
        while count:
            number, place = divmod(start, size)
            rng = np.random.default_rng([self.seed, number, 1 + source])
            order, group = shuffled(self.sources[source], self.together, rng)
            taken = min(count, size - place)
            samples.append(order[place : place + taken])
            # Numbers of another pass's groups must be others.
            groups.append(group[place : place + taken] + number * size)
            start, count = start + taken, count - taken
        return np.concatenate(samples), np.concatenate(groups)


def shuffled(source: Source, together: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """All samples of a source once, (n,), and the number (n,) of each one's group, whose members follow each other.

    Chunks come in any order; within windows of `WINDOW` samples everything is shuffled.
    """
    starts = np.cumsum([0, *source.chunk_sizes])
    chunks = [np.arange(starts[chunk], starts[chunk + 1]) for chunk in rng.permutation(len(source.chunk_sizes))]
    samples = np.concatenate(chunks)
    order, groups = [], []
    for window in np.split(samples, range(WINDOW, len(samples), WINDOW)):
        group = _groups(source.videos[window], together, rng) if together > 1 else np.arange(len(window))
        place = np.argsort(rng.permutation(group.max() + 1)[group], kind="stable")
        order.append(window[place])
        groups.append(group[place] + sum(map(len, groups)))
    return np.concatenate(order), np.concatenate(groups)


def _groups(videos: np.ndarray, together: int, rng: np.random.Generator) -> np.ndarray:
    """Number (n,) of the group each sample is in: random `together` of a video, and the fewer ones that remain."""
    by_video = np.lexsort([rng.random(len(videos)), videos])
    _, first, count = np.unique(videos[by_video], return_index=True, return_counts=True)
    rank = np.arange(len(videos)) - np.repeat(first, count)
    groups_before = np.cumsum(np.r_[0, -(-count // together)[:-1]])
    numbers = np.empty(len(videos), int)
    numbers[by_video] = np.repeat(groups_before, count) + rank // together
    return numbers
