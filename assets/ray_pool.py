"""Independent work over many videos on a Ray cluster, with workers that stay warm from video to video.

A worker has one video at a time and is given the next when that is done, so that no more is under way than the cluster
can do. Ray brings a lost worker back, where there is room, with the video it was at. What that worker had finished is
a file of the project, which every machine sees at the same path.
"""

import contextlib
import hashlib
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from assets.params import RayExecution
from assets.pool import Job, Result, attempt, compute_in_one_thread
from models.errors import ClusterError, DeepExp3DError
from models.packages import sha256_of

# Seconds for a cluster to answer, and between looks at whether it still has machines.
ANSWER_WITHIN, LOOK_EVERY = 10.0, 5.0


@dataclass(frozen=True)
class RayPool:
    """Workers of a Ray cluster.

    Attributes
    ----------
    root : the project folder, which every machine must see at this path
    settings : `execution.ray` of `params.yaml`
    gpus_per_worker : share of a GPU that a worker is given
    local_cpus : processors of the cluster that is started here where no address is given
    """

    root: Path
    settings: RayExecution
    gpus_per_worker: float
    local_cpus: int

    def outcomes(
        self, work: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Generator[tuple[Job, Result | DeepExp3DError], None, None]:
        """As `assets.pool.Executor.outcomes`; a job whose worker is lost is done again, `retries` times.

        Raises
        ------
        ClusterError
            Ray is not installed, its cluster does not answer, has no room for a worker for too long, or has a machine
            that does not see the project's folder or runs other code.
        """
        if jobs:
            with _connected(self.settings.address, self.local_cpus):
                yield from self._worked_off(work, jobs)

    def _worked_off(self, work, jobs):
        import ray

        waiting, left = deque(jobs), len(jobs)
        home = _Home(self.root, code_version())
        # What every worker is at: a video, or, before its first, None.
        at_work = {worker.attempt.remote(_come_home, home): (worker, None) for worker in self._workers(len(jobs))}
        try:
            while left:
                reference = self._first_done(list(at_work))
                worker, job = at_work.pop(reference)
                outcome = self._outcome(reference, job)
                if waiting:
                    following = waiting.popleft()
                    at_work[worker.attempt.remote(work, following)] = worker, following
                else:
                    # Its place may be wanted for a lost worker, which comes back with its video.
                    ray.kill(worker)
                    _end_those_without_work(at_work)
                if job is not None:
                    left -= 1
                    yield job, outcome
        finally:
            for worker, _ in at_work.values():
                ray.kill(worker)

    def _workers(self, most: int) -> list:
        """Handles of new workers, at most so many."""
        import ray

        number = self.settings.workers or self._room()
        if not number:
            raise ClusterError(f"{self._where()} has no room for {self._wanted()}; {self._cure()}")
        remote = ray.remote(_Worker).options(
            num_cpus=self.settings.cpus_per_worker,
            num_gpus=self.gpus_per_worker,
            max_restarts=-1,
            max_task_retries=self.settings.retries,
            scheduling_strategy="SPREAD",
        )
        return [remote.remote() for _ in range(min(number, most))]

    def _first_done(self, references: list):
        """The reference of whatever is done next.

        Raises
        ------
        ClusterError
            Nothing can get done, as there has been no machine with room for a worker for `patience_seconds`.
        """
        import ray

        since = time.monotonic()
        while True:
            done, _ = ray.wait(references, num_returns=1, timeout=LOOK_EVERY)
            if done:
                return done[0]
            if self._room():
                since = time.monotonic()
            elif time.monotonic() - since > self.settings.patience_seconds:
                raise ClusterError(
                    f"{self._where()} has had no machine with {self._wanted()} for "
                    f"{self.settings.patience_seconds:g} s; what was finished is kept. {self._cure()}"
                )

    def _outcome(self, reference, job):
        """What a worker made of a job; a fault of its program, as in a process of this machine, is raised here."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            outcome = ray.get(reference)
        except RayTaskError:
            raise
        except RayError as error:
            if job is None:
                raise ClusterError(f"{self._where()}: workers end as they come up; {error}") from error
            return DeepExp3DError(
                f"{job}: {self.settings.retries + 1} workers were lost on it (out of memory?); leave it out or shorten "
                f"it. The last one: {type(error).__name__}."
            )
        if job is None and outcome is not None:
            raise outcome
        return outcome

    def _room(self) -> int:
        """How many workers the machines of the cluster have room for, each by itself."""
        import ray

        totals = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        share = {"CPU": self.settings.cpus_per_worker, "GPU": self.gpus_per_worker}
        return sum(
            min(int(total.get(kind, 0.0) / wanted) for kind, wanted in share.items() if wanted) for total in totals
        )

    def _where(self) -> str:
        return f"Ray at {self.settings.address or os.environ.get('RAY_ADDRESS') or 'this machine'}"

    def _wanted(self) -> str:
        return f"a worker of {self.settings.cpus_per_worker:g} CPU and {self.gpus_per_worker:g} GPU"

    def _cure(self) -> str:
        return "add machines (ray status lists them), or lower cpus_per_worker or gpus_per_worker in params.yaml."


class _Worker:
    """A process of the cluster. What a stage loads once, such as a detector, it keeps from video to video."""

    def __init__(self):
        compute_in_one_thread()

    def attempt(self, work, job):
        return attempt(work, job)


@dataclass(frozen=True)
class _Home:
    """What must be the same on every machine."""

    root: Path
    code: str


def _come_home(home: _Home) -> None:
    """Refuse a machine whose results would not be those of the machine that asks for them."""
    if not home.root.is_dir():
        raise ClusterError(
            f"{home.root}: not there on {socket.gethostname()}; mount the project's folder on every machine of the "
            "cluster, at this path."
        )
    if code_version() != home.code:
        raise ClusterError(
            f"{socket.gethostname()}: runs other code of this project than the machine that gives it work; install "
            "the same version on every machine of the cluster."
        )


def code_version() -> str:
    """Hash of the program that makes the results, as this process imports it."""
    import assets
    import models

    folders = [Path(package.__file__).parent for package in (assets, models)]
    files = [(folder, file) for folder in folders for file in sorted(folder.rglob("*.py"))]
    text = "".join(f"{file.relative_to(folder.parent)} {sha256_of(file)}\n" for folder, file in files)
    return hashlib.sha256(text.encode()).hexdigest()


def _end_those_without_work(at_work: dict[Any, tuple[Any, Any]]) -> None:
    """End the workers that still come up: there is no video left for them."""
    import ray

    for reference in [reference for reference, (_, job) in at_work.items() if job is None]:
        worker, _ = at_work.pop(reference)
        ray.kill(worker)


@contextlib.contextmanager
def _connected(address: str | None, cpus: int) -> Iterator[None]:
    """Ray, as this process is connected to it already (by a Dagster resource, say), or else for as long as it takes."""
    ray = _imported()
    if ray.is_initialized():
        yield
        return
    connect(address, cpus)
    try:
        yield
    finally:
        ray.shutdown()


def connect(address: str | None, cpus: int) -> Any:
    """Connect this process to the cluster at `address` or in `RAY_ADDRESS`, else to a new one here of so many CPUs.

    Returns
    -------
    What `ray.init` returns: the context, which tells the addresses and disconnects.

    Raises
    ------
    ClusterError
        Ray is not installed, or the cluster does not answer.
    """
    ray = _imported()
    address = address or os.environ.get("RAY_ADDRESS")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        return ray.init(num_cpus=cpus, include_dashboard=False, **quiet)
    _knock(address)
    try:
        return ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(f"execution.ray.address {address}: {error}") from error


def _imported() -> ModuleType:
    # Nobody who runs a stage has been asked whether its use may be reported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError:
        raise not_installed("ray") from None
    return ray


def not_installed(package: str) -> ClusterError:
    """The error of a cluster that is asked for without what it takes."""
    return ClusterError(
        f"execution.backend is ray, and {package} is not installed: pip install 'deepexp3d[ray]', or set the backend "
        "to processes."
    )


def _knock(address: str) -> None:
    """Find out in seconds that nobody is there, for which Ray takes minutes."""
    place = urlsplit(address if "://" in address else f"ray://{address}")
    if place.hostname is None or place.port is None:
        return  # "auto" and the like, which Ray resolves
    try:
        socket.create_connection((place.hostname, place.port), ANSWER_WITHIN).close()
    except OSError as error:
        raise ClusterError(
            f"execution.ray.address {address}: nobody answers ({error.strerror or error}); start the cluster (ray "
            "start --head), or correct the address in params.yaml."
        ) from None
