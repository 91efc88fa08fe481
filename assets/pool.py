"""Independent work over many videos: a process pool, a progress bar, and one bad video that stops nobody else."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

from models.errors import DeepExp3DError, DiskFullError

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
    DiskFullError
        Nothing further could be written either.
    """
    bar = tqdm(total=len(jobs), desc=description, unit="video", mininterval=1.0)
    with bar:
        if workers == 1 or len(jobs) <= 1:
            outcomes = ((job, _attempt(work, job)) for job in jobs)
        else:
            outcomes = _pooled(work, jobs, min(workers, len(jobs)))
        for job, outcome in outcomes:
            bar.update()
            if isinstance(outcome, DiskFullError):
                raise outcome
            yield job, outcome


def _pooled(work, jobs, workers):
    pending, suspects = list(jobs), []
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(_attempt, work, job): job for job in pending}
        while futures:
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                job = futures.pop(future)
                try:
                    yield job, future.result()
                except BrokenProcessPool:
                    suspects.append(job)
    # One process each: the job that breaks its own process is the culprit.
    for job in suspects:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            try:
                yield job, pool.submit(_attempt, work, job).result()
            except BrokenProcessPool:
                yield (
                    job,
                    DeepExp3DError(
                        f"{job}: the worker process died on it (out of memory?); leave it out or shorten it."
                    ),
                )


def _attempt(work, job):
    try:
        return work(job)
    except DeepExp3DError as error:
        return error
