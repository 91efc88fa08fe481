"""Numbered pieces of work, divided among processes."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Result = TypeVar("Result")


def shared_out(work: Callable[[tuple[int, ...]], Result], count: int, workers: int) -> list[Result]:
    """Give the numbers 0 to `count` - 1 out in turn to as many shares as there are `workers`, and do each share.

    Parameters
    ----------
    work : takes the numbers of one share, of which there is one at least; it has to be picklable, as what it returns,
        where there are several
    count : one at least
    workers : processes; one does everything in this one

    Returns
    -------
    What each share gave, in order.
    """
    shares = [tuple(range(start, count, workers)) for start in range(min(workers, count))]
    if len(shares) == 1:
        return [work(shares[0])]
    # Forked processes would inherit the threads' locks without the threads.
    with ProcessPoolExecutor(len(shares), mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, shares))
