"""Times of calls."""

import time
from collections.abc import Callable

WARM_UP, REPEATS = 3, 40


def least_ms(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Least wall time of a call, milliseconds, after some that do not count.

    The least, because whatever else the machine does can only add to it.
    """
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1e3 * min(times)
