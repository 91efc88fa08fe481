"""Pictures that wait for a prediction, and the threads that work them off.

A worker takes its share of what is waiting, at most a batch: it decodes the pictures one by one, finds their faces, and
sends all faces through the network together. Nobody waits for a batch to fill. Under light load a picture is alone in
its batch and answered at once; under heavy load batches are full. A picture that cannot be read fails alone.
"""

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from models.errors import DeepExp3DError, ModelMismatchError, OverloadedError
from models.expression.images import decode_photograph
from models.expression.prediction import SeenFrame, look_at, predict_seen, rows_of
from models.expression.predictor import Predictor
from models.expression.sources import SourceFrame
from models.serving.served_model import ServedModel
from models.serving.settings import ServingSettings

log = logging.getLogger(__name__)

# Weight of the newest batch in the running mean of a picture's time.
NEWEST = 0.1
# What a picture is taken to cost before the first one is measured, seconds.
FIRST_GUESS = 0.05


@dataclass(frozen=True)
class PictureReading:
    """What was read in one picture.

    Attributes
    ----------
    rows : as `predict_paths` describes them, one for each face; one whose face is None where there is none
    width, height : pixels of the file, upright
    waited_s, decoded_s, found_s : seconds in the queue, for decoding, and for finding faces
    network_s : seconds that the network, pose and classifier took for the whole batch
    together : pictures in that batch
    model : that read it
    """

    rows: list[dict]
    width: int
    height: int
    waited_s: float
    decoded_s: float
    found_s: float
    network_s: float
    together: int
    model: ServedModel

    @property
    def faces(self) -> int:
        """How many faces there are."""
        return sum(row["face"] is not None for row in self.rows)


@dataclass
class _Job:
    """A picture on its way."""

    name: str
    data: bytes
    deadline: float
    future: Future = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    waited_s: float = 0.0
    decoded_s: float = 0.0
    found_s: float = 0.0
    size: tuple[int, int] = (0, 0)
    seen: SeenFrame | None = None


class PredictionQueue:
    """A bounded queue of pictures, with one thread for each predictor.

    Parameters
    ----------
    predictors : one for each worker, since a backend of landmarks serves one thread; they may share a network
    settings : limits
    model : that they are of

    Raises
    ------
    ValueError
        There is no predictor.
    """

    def __init__(self, predictors: Sequence[Predictor], settings: ServingSettings, model: ServedModel):
        if not predictors:
            raise ValueError("a queue needs at least one predictor.")
        self.settings = settings
        self._workers = len(predictors)
        # Exchanged as one, so that no answer is given in another model's name.
        self._serving = (tuple(predictors), model)
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._seconds_a_picture = FIRST_GUESS
        # When each worker took up what it is at, by its number; None while it waits.
        self._busy_since: list[float | None] = [None] * self._workers
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"prediction-{number}", daemon=True)
            for number in range(self._workers)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """Pictures that wait."""
        return len(self._waiting)

    @property
    def model(self) -> ServedModel:
        """The model that answers at present."""
        return self._serving[1]

    @property
    def is_open(self) -> bool:
        """Whether pictures are taken."""
        return not self._closed

    @property
    def longest_batch_s(self) -> float:
        """Seconds since the start of the oldest batch under way; 0 where there is none."""
        now = time.monotonic()
        return max((now - since for since in list(self._busy_since) if since is not None), default=0.0)

    @property
    def wait_s(self) -> float:
        """Seconds that a picture would wait now, as a guess."""
        return len(self._waiting) * self._seconds_a_picture / self._workers

    def submit(self, pictures: Sequence[tuple[str, bytes]], deadline: float) -> list[Future]:
        """Put pictures (name and file content) into the queue, all or none; futures of `PictureReading`.

        A future raises ImageError where its picture cannot be read, and TimeoutError where it was not begun before the
        deadline, a reading of `time.monotonic`. One that is cancelled while it waits costs nothing more.

        Raises
        ------
        OverloadedError
            There is no room for them, or the service is stopping.
        """
        jobs = [_Job(name, data, deadline) for name, data in pictures]
        with self._changed:
            if self._closed:
                raise OverloadedError("the service is being stopped; ask again in a while.", retry_after_s=5)
            self.check_room(len(jobs))
            self._waiting.extend(jobs)
            self._changed.notify(len(jobs))
        return [job.future for job in jobs]

    def check_room(self, pictures: int = 1) -> None:
        """Refuse pictures that there is no room for, before anybody sends them.

        Raises
        ------
        OverloadedError
            The queue is full.
        """
        waiting, most = len(self._waiting), self.settings.queue_pictures
        if waiting + pictures > most:
            raise OverloadedError(
                f"{waiting} pictures wait already, and at most {most} may; ask again in a while.",
                retry_after_s=max(1, math.ceil(self.wait_s)),
            )

    def replace(self, predictors: Sequence[Predictor], model: ServedModel) -> None:
        """Let every worker take a predictor of another model from its next batch on.

        Raises
        ------
        ModelMismatchError
            They give other numbers than those before, which clients rely on.
        ValueError
            There are not as many as workers.
        """
        if len(predictors) != self._workers:
            raise ValueError(f"{len(predictors)} predictors for {self._workers} workers.")
        before, after = self._serving[0][0].expression_size, predictors[0].expression_size
        if after != before:
            raise ModelMismatchError(
                f"a network of {after} coefficients cannot take the place of one of {before}; start the service anew."
            )
        self._serving = (tuple(predictors), model)

    def close(self, seconds: float) -> None:
        """Take no more pictures; work off what waits, for at most so many seconds, and refuse the rest."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
        for job in left:
            _fail(job, OverloadedError("the service was stopped; ask again in a while.", retry_after_s=5))

    def _work(self, number: int) -> None:
        while batch := self._take():
            self._busy_since[number] = started = time.monotonic()
            try:
                predictors, model = self._serving
                self._predict(batch, predictors[number], model)
            except Exception as error:
                # What should not happen must not end the thread, or the service would slowly come to rest.
                log.exception("a batch of %d pictures failed", len(batch))
                for job in batch:
                    _fail(job, error)
            finally:
                self._busy_since[number] = None
            seconds = (time.monotonic() - started) / len(batch)
            self._seconds_a_picture += NEWEST * (seconds - self._seconds_a_picture)

    def _take(self) -> list[_Job]:
        """A worker's share of what is waiting, once something is; none once the queue is closed and empty."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            share = math.ceil(len(self._waiting) / self._workers)
            return [self._waiting.popleft() for _ in range(min(share, self.settings.batch))]

    def _predict(self, batch: Sequence[_Job], predictor: Predictor, model: ServedModel) -> None:
        seen = [job for job in batch if self._look(job, predictor)]
        started = time.monotonic()
        frames = predict_seen([job.seen for job in seen], predictor)
        network_s = time.monotonic() - started
        for job, frame in zip(seen, frames, strict=True):
            reading = PictureReading(
                rows=list(rows_of(frame, predictor)),
                width=job.size[0],
                height=job.size[1],
                waited_s=job.waited_s,
                decoded_s=job.decoded_s,
                found_s=job.found_s,
                network_s=network_s,
                together=len(seen),
                model=model,
            )
            job.future.set_result(reading)

    def _look(self, job: _Job, predictor: Predictor) -> bool:
        """Decode a picture and find its faces; whether that succeeded."""
        started = time.monotonic()
        job.waited_s = started - job.arrived
        if not job.future.set_running_or_notify_cancel():
            return False
        if started > job.deadline:
            _fail(job, TimeoutError(f"{job.name}: waited for {job.waited_s:.1f} s."))
            return False
        try:
            photograph = decode_photograph(
                job.data,
                job.name,
                max_side=self.settings.max_side,
                max_pixels=round(self.settings.max_megapixels * 1e6),
            )
            job.data = b""
            decoded = time.monotonic()
            height, width = photograph.image.shape[:2]
            job.size = (round(width / photograph.scale[0]), round(height / photograph.scale[1]))
            picture = SourceFrame(
                job.name, 0, 0.0, photograph.image, (height, width), photograph.scale, photograph.remark
            )
            job.seen = look_at(picture, predictor)
        except Exception as error:
            if not isinstance(error, DeepExp3DError):
                log.exception("a picture failed in an unforeseen way")
            _fail(job, error)
            return False
        job.decoded_s, job.found_s = decoded - started, time.monotonic() - decoded
        return True


def _fail(job: _Job, error: Exception) -> None:
    """Give an error to whoever waits for a picture, unless there is an answer already."""
    if not job.future.done():
        with contextlib.suppress(InvalidStateError):
            job.future.set_exception(error)
