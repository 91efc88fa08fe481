"""The service as a program: a model, a socket, and an end in good order."""

import ipaddress
import logging
import signal
import socket
from contextlib import nullcontext
from functools import partial

import prometheus_client
import structlog
import uvicorn
from starlette.types import ASGIApp

from models.errors import DeepExp3DError
from models.serving.loading import load_predictors
from models.serving.prediction_queue import PredictionQueue
from models.serving.settings import ServingSettings
from orchestration.service.access import TOKEN_VARIABLE
from orchestration.service.app import create_app
from orchestration.service.connections import patient_for
from orchestration.service.logs import configure_logs
from orchestration.service.model_source import ALIASES, ModelFollower, find_model

log = structlog.get_logger("deepexp3d.service")

# Seconds that an idle connection is kept: longer than the pools of usual clients keep theirs, so that it is the client
# who closes it and no request falls between.
KEEP_ALIVE_S = 30
BACKLOG = 256


def serve(
    settings: ServingSettings,
    *,
    model: str | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    open_to_all: bool = False,
    runtime: str = "auto",
    log_level: str = "info",
) -> None:
    """Answer requests until the program is told to stop (SIGTERM, SIGINT); requests under way are answered first.

    Parameters
    ----------
    settings : limits
    model : as `find_model` takes it; an alias of the registry is followed while the service runs
    host : address to listen on
    port : by default the settings'; 0 takes a free one, which the log names
    token : that clients have to show, or None
    open_to_all : listen on other addresses than loopback though there is no token
    runtime : as `NetworkSession.load` takes it
    log_level : debug, info, warning or error

    Raises
    ------
    DeepExp3DError
        The address cannot be listened on, or should not be without a token; there is no such model.
    """
    if not (_is_loopback(host) or token or open_to_all):
        raise DeepExp3DError(
            f"{host}: anybody who reaches this machine could send pictures; set {TOKEN_VARIABLE} or --token-file, or "
            "say --open-to-all."
        )
    served = find_model(model)
    with _listener(host, settings.port if port is None else port) as listener:
        configure_logs(log_level)
        prometheus_client.disable_created_metrics()
        _keep_opencv_to_one_thread()
        predictors = load_predictors(served.folder, settings, runtime=runtime)
        queue = PredictionQueue(predictors, settings, served)
        follower = ModelFollower(
            queue,
            find=partial(find_model, model),
            load=lambda found: load_predictors(found.folder, settings, runtime=runtime),
            every_s=settings.champion_poll_s,
        )
        app = create_app(queue, predictors[0].contract, token=token)
        address, bound = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        log.info(
            "serving",
            url=f"http://{shown}:{bound}",
            model=served.name,
            version=served.version,
            workers=len(predictors),
            token=token is not None,
        )
        # uvicorn hands a signal on once it has ended in good order; by then there is nothing left to stop.
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, lambda *_: None)
        with follower if model in ALIASES else nullcontext():
            uvicorn.Server(server_configuration(app, settings)).run(sockets=[listener])
        log.info("stopped")


def server_configuration(app: ASGIApp, settings: ServingSettings) -> uvicorn.Config:
    """How uvicorn runs the service: quietly, and with an end to everybody's patience."""
    # uvicorn speaks of every connection and start; the service's own lines say more.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return uvicorn.Config(
        app,
        http=patient_for(settings.receive_s),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_s)),
        backlog=BACKLOG,
    )


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises
    ------
    DeepExp3DError
        The address is unknown or in use.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise DeepExp3DError(
            f"{host}:{port}: cannot be listened on ({error}); choose another --host or --port."
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _keep_opencv_to_one_thread() -> None:
    """The workers run side by side already: OpenCV's own threads would only take processors from them."""
    import cv2

    cv2.setNumThreads(1)
