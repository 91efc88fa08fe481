"""Independent work over many videos: a process pool, a progress bar, and one bad video that stops nobody else."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

from models.errors import DeepExp3DError, DiskFullError, ModelMismatchError, WeightsMissingError

# Faults of the machine or the project: every other job would meet them too, and none of them is to blame.
COMMON_FAULTS = (DiskFullError, ModelMismatchError, WeightsMissingError)

Job = TypeVar("Job")
Result = TypeVar("Result")


def each(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, description: str
) -> Iterator[tuple[Job, Result | DeepExp3DError]]:
    """Yield (job, result) as they finish; a job that fails in a way a user can mend yields its error instead.

    A job that kills its worker process (memory, a crash in native code) is yielded as an error too, after the jobs
    that shared the pool with it have been tried again.

    Raises
    ------
    DiskFullError, ModelMismatchError, WeightsMissingError
        No other job could be done either. Jobs that have not begun are given up; what is finished is kept.
    """
    bar = tqdm(total=len(jobs), desc=description, unit="video", mininterval=1.0)
    with bar:
        if workers == 1 or len(jobs) <= 1:
            outcomes = ((job, _attempt(work, job)) for job in jobs)
        else:
            outcomes = _pooled(work, jobs, min(workers, len(jobs)))
        for job, outcome in outcomes:
            bar.update()
            if isinstance(outcome, COMMON_FAULTS):
                outcomes.close()
                raise outcome
            yield job, outcome


def _pooled(work, jobs, workers):
    pending, suspects = list(jobs), []
    with _processes(workers) as pool:
        futures = {pool.submit(_attempt, work, job): job for job in pending}
        try:
            while futures:
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    job = futures.pop(future)
                    try:
                        yield job, future.result()
                    except BrokenProcessPool:
                        suspects.append(job)
        finally:
            pool.shutdown(cancel_futures=True)
    # One process each: the job that breaks its own process is the culprit.
    for job in suspects:
        with _processes(1) as pool:
            try:
                yield job, pool.submit(_attempt, work, job).result()
            except BrokenProcessPool:
                yield (
                    job,
                    DeepExp3DError(
                        f"{job}: the worker process died on it (out of memory?); leave it out or shorten it."
                    ),
                )


def _processes(number: int) -> ProcessPoolExecutor:
    # Fresh processes: a forked one would inherit the locks of threads that it does not have.
    return ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), initializer=_begin_process)


def _begin_process() -> None:
    """One thread for linear algebra, as there are as many processes as cores; and no life after the parent's."""
    from threadpoolctl import threadpool_limits

    # The variables hold for libraries that are loaded later, the call for those that already are.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot stop its workers, which would wait for work for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _attempt(work, job):
    try:
        return work(job)
    except DeepExp3DError as error:
        return error
