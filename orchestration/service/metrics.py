"""What Prometheus is told: requests, latencies, pictures, faces, the queue, and which model answers."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from models.serving.prediction_queue import PictureReading, PredictionQueue

MEDIA_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0)


class ServiceMetrics:
    """The service's figures, in a registry of their own.

    Parameters
    ----------
    queue : whose length and model are shown
    """

    def __init__(self, queue: PredictionQueue):
        self._queue = queue
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.requests = Counter(
            "deepexp3d_requests", "Answered requests.", ["endpoint", "method", "status"], registry=registry
        )
        self.latency = Histogram(
            "deepexp3d_request_seconds",
            "From a request's head to its answer.",
            ["endpoint"],
            buckets=SECONDS,
            registry=registry,
        )
        self.rejected = Counter("deepexp3d_rejected", "Refused requests or pictures.", ["reason"], registry=registry)
        self.pictures = Counter("deepexp3d_pictures", "Pictures that were read.", registry=registry)
        self.faces = Counter("deepexp3d_faces", "Faces found in them.", registry=registry)
        self.stage = Histogram(
            "deepexp3d_stage_seconds",
            "Seconds of a picture's stages; the network's are those of its whole batch.",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self.together = Histogram(
            "deepexp3d_batch_pictures",
            "Pictures whose faces went through the network together.",
            buckets=(1, 2, 3, 4, 6, 8, 12, 16, 32),
            registry=registry,
        )
        waiting = Gauge("deepexp3d_queue_pictures", "Pictures that wait.", registry=registry)
        waiting.set_function(lambda: len(queue))
        room = Gauge("deepexp3d_queue_limit_pictures", "Pictures that may wait.", registry=registry)
        room.set(queue.settings.queue_pictures)
        self._model = Info("deepexp3d_model", "The model that answers.", registry=registry)

    def count_reading(self, reading: PictureReading) -> None:
        """Count a picture that was read."""
        self.pictures.inc()
        self.faces.inc(reading.faces)
        self.together.observe(reading.together)
        for stage in ("waited", "decoded", "found", "network"):
            self.stage.labels(stage).observe(getattr(reading, f"{stage}_s"))

    def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        model = self._queue.model
        self._model.info({"name": model.name, "version": model.version, "classifier": model.classifier})
        return generate_latest(self.registry)
