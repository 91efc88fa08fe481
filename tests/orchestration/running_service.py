"""The HTTP service on a free port of loopback, in a thread of the test's own process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from models.expression.predictor import Predictor
from models.serving.prediction_queue import PredictionQueue
from models.serving.served_model import ServedModel
from models.serving.settings import ServingSettings
from orchestration.service.app import create_app
from orchestration.service.server import server_configuration

PATIENCE = 60.0


@contextmanager
def running(predictor: Predictor, settings: ServingSettings, token: str | None = None) -> Iterator[httpx.Client]:
    """Context: a client of the service, which is stopped at the end."""
    queue = PredictionQueue([predictor], settings, ServedModel("painted", "0123", "4567", Path()))
    app = create_app(queue, predictor.contract, token=token)
    server = uvicorn.Server(server_configuration(app, settings))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            end = time.monotonic() + PATIENCE
            while not server.started:
                assert thread.is_alive()
                assert time.monotonic() < end
                time.sleep(0.01)
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=address, timeout=PATIENCE) as client:
                yield client
        finally:
            predictor.backend.let.set()
            server.should_exit = True
            thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not queue.is_open
