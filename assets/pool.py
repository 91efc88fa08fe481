"""Independent work over many videos: a process pool, a progress bar, and one bad video that stops nobody else."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tqdm import tqdm

from models.errors import DeepExp3DError, DiskFullError, ModelMismatchError, WeightsMissingError

# Faults of the machine or the project: every other job would meet them too, and none of them is to blame.
COMMON_FAULTS = (DiskFullError, ModelMismatchError, WeightsMissingError)

Job = TypeVar("Job")
Result = TypeVar("Result")


class Executor(Protocol):
    """Where independent jobs are done, several at a time: processes of this machine, or a cluster."""

    def outcomes(
        self, work: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Generator[tuple[Job, Result | DeepExp3DError], None, None]:
        """Yield every job once, as they finish, with its result or with the error that a user can mend.

        A job that ends the process it runs in is yielded as an error and stops no other. To close the generator is
        to give up the jobs that have not begun.
        """


@dataclass(frozen=True)
class ProcessPool:
    """Processes of this machine; a single one is this process."""

    workers: int

    def outcomes(
        self, work: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Generator[tuple[Job, Result | DeepExp3DError], None, None]:
        """As `Executor.outcomes`; the jobs that shared the pool with one that broke it are tried again."""
        if self.workers == 1 or len(jobs) <= 1:
            return ((job, attempt(work, job)) for job in jobs)
        return _pooled(work, jobs, min(self.workers, len(jobs)))


def each(
    work: Callable[[Job], Result], jobs: Sequence[Job], executor: Executor | int, description: str
) -> Iterator[tuple[Job, Result | DeepExp3DError]]:
    """Yield (job, result) as they finish; a job that fails in a way a user can mend yields its error instead.

    A job that kills its worker process (memory, a crash in native code) is yielded as an error too. A number in place
    of an executor is one of processes.

    Raises
    ------
    DiskFullError, ModelMismatchError, WeightsMissingError
        No other job could be done either. Jobs that have not begun are given up; what is finished is kept.
    """
    executor = ProcessPool(executor) if isinstance(executor, int) else executor
    bar = tqdm(total=len(jobs), desc=description, unit="video", mininterval=1.0)
    with bar, contextlib.closing(executor.outcomes(work, jobs)) as outcomes:
        for job, outcome in outcomes:
            bar.update()
            if isinstance(outcome, COMMON_FAULTS):
                raise outcome
            yield job, outcome


def _pooled(work, jobs, workers):
    pending, suspects = list(jobs), []
    with _processes(workers) as pool:
        futures = {pool.submit(attempt, work, job): job for job in pending}
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
                yield job, pool.submit(attempt, work, job).result()
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
    """One thread for linear algebra, and no life after the parent's."""
    compute_in_one_thread()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def compute_in_one_thread() -> None:
    """One thread for linear algebra in this process, where there are as many processes as cores."""
    from threadpoolctl import threadpool_limits

    # The variables hold for libraries that are loaded later, the call for those that already are.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    threadpool_limits(1)


def _end_with_parent() -> None:
    """A parent that is killed cannot stop its workers, which would wait for work for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def attempt(work: Callable[[Job], Result], job: Job) -> Result | DeepExp3DError:
    """What `work` makes of a job, or the error that a user can mend."""
    try:
        return work(job)
    except DeepExp3DError as error:
        return error
