"""Around every request: its id, its token, its line in the log, its figures, and an answer whatever happens."""

import hashlib
import hmac
import os
import re
import time
import uuid
from http import HTTPStatus
from pathlib import Path

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import DeepExp3DError
from orchestration.service.metrics import ServiceMetrics
from orchestration.service.problems import Problem, problem_of, problem_response

log = structlog.get_logger("deepexp3d.service")

TOKEN_VARIABLE = "DEEPEXP3D_TOKEN"
# A token that can be guessed protects nothing.
SHORTEST_TOKEN = 16
REQUEST_ID = "x-request-id"
# What a client may call its request; anything else could forge lines in somebody's log.
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# What is answered without a token: probes have none, and the description holds no secret.
OPEN_PATHS = ("/health", "/health/live", "/health/ready", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json")
# What nginx writes where a client has gone before its answer.
CLIENT_HAS_GONE = 499


def read_token(file: Path | None) -> str | None:
    """The token that clients have to show: a file's content, else the variable DEEPEXP3D_TOKEN, else none.

    Raises
    ------
    DeepExp3DError
        The file cannot be read, or the token is too short.
    """
    if file is not None:
        try:
            token, source = file.read_text().strip(), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise DeepExp3DError(f"{file}: the token cannot be read ({error}); name a file that holds it.") from error
    else:
        token, source = os.environ.get(TOKEN_VARIABLE, "").strip(), TOKEN_VARIABLE
        if TOKEN_VARIABLE not in os.environ:
            return None
    if len(token) < SHORTEST_TOKEN:
        raise DeepExp3DError(
            f"{source}: the token has {len(token)} characters; take at least {SHORTEST_TOKEN}, "
            "for example from `openssl rand -hex 32`."
        )
    return token


class Access:
    """ASGI middleware that gives each request an id, asks for the token, measures, logs and answers errors.

    Parameters
    ----------
    app : the service itself
    metrics : where requests are counted
    token : that clients have to show, or None
    endpoints : paths that are counted by their name; all others are counted together
    """

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics, token: str | None, endpoints: tuple[str, ...]):
        self.app = app
        self.metrics = metrics
        self.endpoints = endpoints
        self._token = None if token is None else _digest(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        request_id = given if ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                self._check_token(scope["path"], headers)
                await self.app(scope, receive, send_marked)
            except ClientDisconnect:
                status = CLIENT_HAS_GONE
            except Exception as error:
                problem = problem_of(error)
                if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                    log.exception("failed")
                self.metrics.rejected.labels(problem.reason).inc()
                if status == 0:
                    await problem_response(problem, request_id)(scope, receive, send_marked)
            self._conclude(scope, status, time.perf_counter() - started)

    def _check_token(self, path: str, headers: Headers) -> None:
        if self._token is None or path in OPEN_PATHS:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Digests have one length: how long the comparison takes tells nothing of the token.
        right = hmac.compare_digest(_digest(given.strip()), self._token)
        if scheme.lower() != "bearer" or not right:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "unauthorised",
                "a token is needed, and this is none or another; send the header 'Authorization: Bearer TOKEN'.",
                {"WWW-Authenticate": "Bearer"},
            )

    def _conclude(self, scope: Scope, status: int, seconds: float) -> None:
        endpoint = scope["path"] if scope["path"] in self.endpoints else "other"
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "OPTIONS") else "other"
        self.metrics.requests.labels(endpoint, method, status).inc()
        self.metrics.latency.labels(endpoint).observe(seconds)
        client = scope.get("client")
        log.info(
            "request",
            method=method,
            endpoint=endpoint,
            status=status,
            seconds=round(seconds, 4),
            client=client[0] if client else None,
            **scope["state"].get("facts", {}),
        )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
