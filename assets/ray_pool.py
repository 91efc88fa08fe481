"""Independent work over many videos on a Ray cluster, with workers that stay warm from video to video.

A worker has one video at a time and is given the next when that is done, so that no more is under way than the cluster
can do. The video of a lost worker is the next that is given out, and another worker comes up where there is room. What
the lost one had finished is a file of the project, which every machine sees at the same path.
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
# Seconds in which workers may fail to come up, as on a machine that is gone and not yet missed, and between attempts.
UP_WITHIN, BEFORE_ANOTHER = 60.0, 1.0


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
        from ray.exceptions import RayError, RayTaskError

        waiting, left = deque(_Task(job) for job in jobs), len(jobs)
        home = _Home(self.root, code_version())
        # What each worker is at, by the reference to what comes of it; None as long as it comes up.
        at_work: dict[Any, tuple[Any, _Task | None]] = {}
        ending_since = None
        try:
            for _ in range(self._most_workers(left)):
                self._come_up(at_work, home)
            while left:
                reference = self._first_done(list(at_work))
                worker, task = at_work.pop(reference)
                try:
                    outcome = ray.get(reference)
                except RayTaskError:
                    raise  # a fault of the program
                except RayError as error:
                    # Not retried by Ray, which has used up its retries before it finds that a whole machine is gone.
                    ray.kill(worker)
                    if task is None:
                        ending_since = ending_since or time.monotonic()
                        self._wait_before_another(at_work, ending_since, error)
                    self._come_up(at_work, home)
                    if task is None or task.losses < self.settings.retries:
                        if task is not None:
                            waiting.appendleft(_Task(task.job, task.losses + 1))
                        continue
                    outcome = DeepExp3DError(
                        f"{task.job}: {task.losses + 1} workers were lost on it (out of memory?); leave it out or "
                        f"shorten it. The last one: {type(error).__name__}."
                    )
                else:
                    ending_since = None
                    if waiting:
                        following = waiting.popleft()
                        at_work[worker.attempt.remote(work, following.job)] = worker, following
                    else:
                        # Its place may be wanted for a worker in place of a lost one.
                        ray.kill(worker)
                if not waiting:
                    _end_those_without_work(at_work)
                if task is not None:
                    left -= 1
                    yield task.job, outcome
                elif outcome is not None:
                    raise outcome
        finally:
            for worker, _ in at_work.values():
                ray.kill(worker)

    def _come_up(self, at_work: dict, home: "_Home") -> None:
        """Ask for another worker, which at first looks around."""
        import ray

        remote = ray.remote(_Worker).options(
            num_cpus=self.settings.cpus_per_worker, num_gpus=self.gpus_per_worker, scheduling_strategy="SPREAD"
        )
        worker = remote.remote()
        at_work[worker.attempt.remote(_come_home, home)] = worker, None

    def _wait_before_another(self, at_work: dict, ending_since: float, error: Exception) -> None:
        """A pause after a worker that ended as it came up.

        Raises
        ------
        ClusterError
            They have done so for long, and none is at a video.
        """
        busy = any(task is not None for _, task in at_work.values())
        if not busy and time.monotonic() - ending_since > UP_WITHIN:
            raise ClusterError(f"{self._where()}: workers end as they come up; see its logs. The last one: {error}")
        time.sleep(BEFORE_ANOTHER)

    def _most_workers(self, jobs: int) -> int:
        """How many workers to ask for."""
        number = self.settings.workers or self._room()
        if not number:
            raise ClusterError(f"{self._where()} has no room for {self._wanted()}; {self._cure()}")
        return min(number, jobs)

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


@dataclass(frozen=True)
class _Task:
    """A job, and how many workers were lost on it."""

    job: Any
    losses: int = 0


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


def _end_those_without_work(at_work: dict[Any, tuple[Any, _Task | None]]) -> None:
    """End the workers that still come up: there is no video left for them."""
    import ray

    for reference in [reference for reference, (_, task) in at_work.items() if task is None]:
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
