"""Batches of training images, decoded before they are asked for, whose place in an epoch can be saved."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from models.expression.order import Mixture, Source
from models.expression.shards import Record, ShardReader, decoded


class ShardLoader:
    """Batches of one or several folders, epoch after epoch.

    Batches are dicts: image (B, S, S, 3) uint8, landmarks (B, 68, 2) float32 in pixels of the 224x224 image whatever S
    is, expression and uncertainty (B, n_e) float32, weight (B,) float32, video_id (B names), frame (B,) and video (B,)
    int64, the same number for samples of the same video.

    Several processes of one training take every so many-th batch each. `state_dict` says which batch comes next: a
    loader that is given it goes on there.
    """

    def __init__(
        self,
        readers: Sequence[ShardReader],
        rows_of: Callable[[int], np.ndarray],
        rows: int,
        *,
        batch_size: int,
        drop_last: bool,
        threads: int,
        input_size: Callable[[int], int],
    ):
        self._readers = readers
        self._rows_of = rows_of
        self._rows = rows
        self._batch_size = batch_size
        self._drop_last = drop_last
        self._threads = threads
        self._input_size = input_size
        self._epoch = self._place = 0

    @property
    def samples(self) -> int:
        """Samples of an epoch, of all processes together."""
        return self._rows

    def __len__(self) -> int:
        """Batches of an epoch, for each process."""
        batches = self._rows // self._batch_size if self._drop_last else -(-self._rows // self._batch_size)
        _, processes = _rank_and_processes()
        return batches // processes if self._drop_last else -(-batches // processes)

    def __iter__(self) -> Iterator[dict]:
        length = len(self)
        for batch in _ahead(self._load, self._coming(length), self._threads):
            # Whoever takes the last batch may not ask for another one, so the next epoch is counted before.
            self._place += 1
            if self._place == length:
                self._epoch, self._place = self._epoch + 1, 0
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Which batch comes next."""
        return {"epoch": self._epoch, "place": self._place}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on with the batch that `state_dict` spoke of."""
        self._epoch, self._place = state["epoch"], state["place"]

    def _coming(self, length: int) -> Iterator[tuple[np.ndarray, int]]:
        """Rows of the batches of this epoch that have not been, each with the side of its images."""
        rank, processes = _rank_and_processes()
        rows, epoch = self._rows_of(self._epoch), self._epoch
        for place in range(self._place, length):
            start = (place * processes + rank) * self._batch_size
            # Processes wait for each other: one that has nothing left repeats the beginning.
            start = start if start < len(rows) else 0
            yield rows[start : start + self._batch_size], self._input_size(epoch * length + place)

    def _load(self, batch: tuple[np.ndarray, int]) -> dict:
        rows, size = batch
        return _collated([self._readers[source][sample] for source, sample in rows], size)


def shard_loader(
    folders: Path | str | Sequence[Path | str],
    *,
    batch_size: int,
    workers: int,
    shuffle: bool,
    seed: int,
    input_size: int | Callable[[int], int],
    shares: Sequence[float] | None = None,
    together: int = 1,
) -> ShardLoader:
    """A loader of one folder of shards or several.

    Parameters
    ----------
    batch_size : samples of a batch, for each process
    workers : threads that decode; 0 decodes when asked
    shuffle : whether epochs are drawn as `Mixture` says; otherwise samples come as they were written
    seed : of the order
    input_size : side of the images, or a function that gives it from a batch's number since the beginning
    shares, together : as in `Mixture`

    Raises
    ------
    ModelMismatchError
        A folder holds no such shards.
    """
    several = [folders] if isinstance(folders, str | Path) else list(folders)
    readers = [ShardReader(folder) for folder in several]
    rows = sum(len(reader) for reader in readers)
    sources = tuple(
        Source(reader.chunk_sizes, reader.videos() if shuffle and together > 1 else None) for reader in readers
    )
    mixture = Mixture(sources, None if shares is None else tuple(shares), together, seed)
    return ShardLoader(
        readers,
        mixture.epoch if shuffle else partial(_as_written, readers),
        len(mixture) if shuffle else rows,
        batch_size=batch_size,
        drop_last=shuffle and rows >= batch_size,
        threads=workers,
        input_size=input_size if callable(input_size) else lambda number: input_size,
    )


def _as_written(readers: Sequence[ShardReader], epoch: int) -> np.ndarray:
    lengths = [len(reader) for reader in readers]
    samples = np.concatenate([np.arange(length) for length in lengths])
    return np.stack([np.repeat(np.arange(len(lengths)), lengths), samples], axis=1)


def _rank_and_processes() -> tuple[int, int]:
    """Which process of the training this is, and how many there are. Known only once Lightning has started them."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _ahead(load: Callable, batches: Iterable, threads: int) -> Iterator:
    """`map(load, batches)`, some of it done before it is asked for. JPEGs decode outside of Python's lock."""
    if not threads:
        yield from map(load, batches)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="images") as pool:
        waiting = deque()
        try:
            for batch in batches:
                waiting.append(pool.submit(load, batch))
                if len(waiting) > threads + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _collated(records: Sequence[Record], input_size: int) -> dict:
    import torch

    images = np.stack([decoded(record.jpeg, input_size) for record in records])
    _, video = np.unique([record.video_id for record in records], return_inverse=True)
    arrays = {
        "image": images,
        "landmarks": np.stack([record.landmarks for record in records]),
        "expression": np.stack([record.expression for record in records]),
        "uncertainty": np.stack([record.uncertainty for record in records]),
        "weight": np.array([record.weight for record in records], np.float32),
        "frame": np.array([record.frame for record in records]),
        "video": video,
    }
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return {**tensors, "video_id": [record.video_id for record in records]}
