"""Answers to requests that cannot be fulfilled: RFC 9457 problem documents that say what to do."""

import math
from http import HTTPStatus

from fastapi.responses import JSONResponse

from models.errors import ImageError, OverloadedError

PROBLEM_TYPE = "application/problem+json"


class Problem(Exception):
    """Why a request is refused.

    Parameters
    ----------
    status : of HTTP
    reason : in a word, for metrics
    detail : the cause, and what to do
    headers : of the answer
    """

    def __init__(self, status: HTTPStatus, reason: str, detail: str, headers: dict[str, str] | None = None):
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers or {}


def problem_of(error: BaseException) -> Problem:
    """What to tell a client of an error; nothing of the inside where the error is none of the client's."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, OverloadedError):
        wait = {"Retry-After": str(math.ceil(error.retry_after_s))}
        return Problem(HTTPStatus.TOO_MANY_REQUESTS, "queue_full", str(error), wait)
    if isinstance(error, ImageError):
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unreadable", str(error))
    if isinstance(error, TimeoutError):
        detail = "there was no answer in time; ask again, or send fewer or smaller pictures."
        return Problem(HTTPStatus.GATEWAY_TIMEOUT, "timed_out", detail)
    detail = "the service failed; its log says why, under this request's id."
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", detail)


def problem_document(problem: Problem, request_id: str | None) -> dict:
    """The document's members."""
    known = {"title": problem.status.phrase, "status": int(problem.status), "detail": problem.detail}
    return known if request_id is None else {**known, "request_id": request_id}


def problem_response(problem: Problem, request_id: str | None) -> JSONResponse:
    """The document as an answer."""
    document = problem_document(problem, request_id)
    return JSONResponse(document, int(problem.status), problem.headers, media_type=PROBLEM_TYPE)
