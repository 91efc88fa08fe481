"""The service's endpoints."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from models.expression.contract import NetworkContract
from models.serving.prediction_queue import PictureReading, PredictionQueue
from models.serving.served_model import ServedModel
from orchestration.service.access import Access
from orchestration.service.bodies import Bodies, Picture
from orchestration.service.metrics import MEDIA_TYPE, ServiceMetrics
from orchestration.service.problems import PROBLEM_TYPE, Problem, problem_document, problem_of, problem_response
from orchestration.service.schemas import Health, ProblemDocument, answer_schemas

ENDPOINTS = ("/predict", "/predict/batch", "/health", "/health/live", "/health/ready", "/metrics")
# A batch that takes longer is stuck: nothing that the limits let in takes a fraction of it.
STALLED_AFTER_S = 60.0
# Columns of a row that say where a picture came from; here that is the request.
ELSEWHERE = ("path", "frame", "time_s")

DESCRIPTION = """
Expression (28 coefficients, identity removed), head pose and emotion of every face in a picture.

    curl -F image=@photo.jpg http://127.0.0.1:8000/predict
    curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg http://127.0.0.1:8000/predict
    curl -F images=@one.jpg -F images=@two.png http://127.0.0.1:8000/predict/batch

JPEG, PNG, WebP, BMP and GIF are read. Errors are problem documents (RFC 9457) that say what to do.
"""
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_ONE_PICTURE = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {"type": "string", "format": "binary"}},
            }
        },
        "image/jpeg": _BINARY,
        "image/png": _BINARY,
        "image/webp": _BINARY,
    },
}
_PICTURES = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["images"],
                "properties": {"images": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        }
    },
}
_REFUSALS = {
    400: "malformed or empty",
    401: "no token, or another",
    408: "the request came too slowly",
    413: "too many bytes",
    415: "another Content-Type",
    422: "no picture that can be read, or too many pixels",
    429: "the queue is full: see Retry-After",
    504: "no answer in time",
}


def create_app(
    queue: PredictionQueue,
    contract: NetworkContract,
    *,
    token: str | None = None,
) -> FastAPI:
    """The service over a queue, which it closes when it ends.

    Parameters
    ----------
    queue : that pictures are put into; its settings are the service's
    contract : of the network, for the description of answers
    token : that clients have to show, or None
    """
    settings = queue.settings
    started = time.monotonic()
    metrics = ServiceMetrics(queue)
    bodies = Bodies(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(queue.close, settings.shutdown_s)

    app = FastAPI(title="DeepExp3D", version="1", description=DESCRIPTION, lifespan=lifespan)
    app.add_middleware(Access, metrics=metrics, token=token, endpoints=ENDPOINTS)
    app.add_exception_handler(HTTPException, _answer_http_error)
    one_answer, batch_answer = answer_schemas(contract)
    refusals = {
        status: {"model": ProblemDocument, "description": text, "content": {PROBLEM_TYPE: {}}}
        for status, text in _REFUSALS.items()
    }

    async def outcomes(pictures: Sequence[Picture]) -> list[PictureReading | Exception]:
        deadline = time.monotonic() + settings.timeout_s
        found = await _settled(queue.submit(pictures, deadline), settings.timeout_s)
        for outcome in found:
            if isinstance(outcome, PictureReading):
                metrics.count_reading(outcome)
        return found

    @app.post("/predict", response_model=one_answer, responses=refusals, openapi_extra={"requestBody": _ONE_PICTURE})
    async def predict(request: Request) -> Response:
        """Expression, head pose and emotion of every face in one picture: a form's file, or the body itself."""
        queue.check_room()
        async with bodies.picture(request) as picture:
            (outcome,) = await outcomes([picture])
        if isinstance(outcome, Exception):
            raise outcome
        request.state.facts = {"pictures": 1, "faces": outcome.faces}
        return JSONResponse({"model": _named(outcome.model), **_described(picture[0], outcome)})

    @app.post(
        "/predict/batch", response_model=batch_answer, responses=refusals, openapi_extra={"requestBody": _PICTURES}
    )
    async def predict_batch(request: Request) -> Response:
        """The same for several pictures, the files of a form, in their order. One that cannot be read has the status
        "error" and its own problem document; the others are answered."""
        queue.check_room()
        async with bodies.pictures(request) as pictures:
            found: list[PictureReading | Exception | None] = [_refusal(bodies, picture) for picture in pictures]
            fit = [place for place, refusal in enumerate(found) if refusal is None]
            for place, outcome in zip(fit, await outcomes([pictures[place] for place in fit]), strict=True):
                found[place] = outcome
            names = [name for name, _ in pictures]
        if found and all(isinstance(outcome, TimeoutError) for outcome in found):
            raise found[0]
        readings = [outcome for outcome in found if isinstance(outcome, PictureReading)]
        request.state.facts = {
            "pictures": len(found),
            "faces": sum(reading.faces for reading in readings),
        }
        model = readings[-1].model if readings else queue.model
        members = [_member(name, outcome, metrics) for name, outcome in zip(names, found, strict=True)]
        return JSONResponse({"model": _named(model), "pictures": members})

    def state() -> dict:
        live = queue.longest_batch_s < STALLED_AFTER_S
        ready = live and queue.is_open
        return {
            "status": "ok" if ready else "stopping" if live else "stalled",
            "live": live,
            "ready": ready,
            "model": _named(queue.model),
            "waiting": len(queue),
            "uptime_s": round(time.monotonic() - started, 1),
        }

    def health_answer(key: str) -> JSONResponse:
        known = state()
        return JSONResponse(known, HTTPStatus.OK if known[key] else HTTPStatus.SERVICE_UNAVAILABLE)

    @app.get("/health", response_model=Health)
    @app.get("/health/ready", response_model=Health)
    async def ready() -> Response:
        """Whether pictures are taken; 503 where they are not. Needs no token."""
        return health_answer("ready")

    @app.get("/health/live", response_model=Health)
    async def live() -> Response:
        """Whether work goes on; 503 where it is stuck. Needs no token."""
        return health_answer("live")

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def figures() -> Response:
        """Figures for Prometheus."""
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    return app


async def _settled(futures: Sequence[Future], seconds: float) -> list[PictureReading | Exception]:
    """What futures give within some seconds, or why they give nothing; those that are late are cancelled."""
    waiting = [asyncio.wrap_future(future) for future in futures]
    results = asyncio.gather(*waiting, return_exceptions=True)
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=seconds)
        for future in late:
            future.cancel()
    return [TimeoutError() if isinstance(found, asyncio.CancelledError) else found for found in await results]


async def _answer_http_error(request: Request, error: HTTPException) -> Response:
    """Unknown paths and methods."""
    problem = Problem(
        HTTPStatus(error.status_code), "unknown", f"{error.detail}; see /docs.", dict(error.headers or {})
    )
    return problem_response(problem, request.state.request_id)


def _refusal(bodies: Bodies, picture: Picture) -> Problem | None:
    """Why one picture of several is not even looked at."""
    try:
        bodies.check_size(picture)
    except Problem as problem:
        return problem
    return None


def _named(model: ServedModel) -> dict:
    return {"name": model.name, "version": model.version, "classifier": model.classifier}


def _described(name: str, reading: PictureReading) -> dict:
    """What is answered of a picture that was read."""
    rows = [{key: _known(value) for key, value in row.items() if key not in ELSEWHERE} for row in reading.rows]
    faces = [row for row in rows if row["face"] is not None]
    status = "ok" if faces else rows[0]["status"]
    return {"name": name, "status": status, "width": reading.width, "height": reading.height, "faces": faces}


def _member(name: str, outcome: PictureReading | Exception, metrics: ServiceMetrics) -> dict:
    """What is answered of one picture among several."""
    if isinstance(outcome, PictureReading):
        return {**_described(name, outcome), "error": None}
    problem = problem_of(outcome)
    metrics.rejected.labels(problem.reason).inc()
    error = problem_document(problem, None)
    return {"name": name, "status": "error", "width": None, "height": None, "faces": [], "error": error}


def _known(value):
    """A value as JSON knows it: numbers that are none are null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
