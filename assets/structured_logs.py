"""What stages say, as JSON lines with the stage and the Dagster run, for machines that collect logs."""

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime

# "-" for standard error, else a file that lines are appended to.
LOG_LINES = "DEEPEXP3D_LOG_LINES"
LOGGERS = ("assets", "models")

_run_id: ContextVar[str] = ContextVar("run_id", default="")


def run_id() -> str:
    """The Dagster run at work in this context; empty in a stage that was started from the shell."""
    return _run_id.get() or os.environ.get("DAGSTER_RUN_ID", "")


@contextlib.contextmanager
def within_run(identity: str) -> Iterator[None]:
    """Say which Dagster run is at work."""
    token = _run_id.set(identity)
    try:
        yield
    finally:
        _run_id.reset(token)


@contextlib.contextmanager
def log_lines(stage: str) -> Iterator[None]:
    """Write what this project's code logs within to where `DEEPEXP3D_LOG_LINES` says, if it says so."""
    target = os.environ.get(LOG_LINES, "")
    if not target:
        yield
        return
    handler = logging.StreamHandler() if target == "-" else logging.FileHandler(target, encoding="utf-8")
    handler.setFormatter(_Lines(stage, run_id()))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(min(logging.INFO, logger.level or logging.INFO))
    # Of no use on a terminal, where the lines before and after tell it.
    own = logging.Logger("assets.stage")
    own.addHandler(handler)
    begin = time.monotonic()
    own.info("begins")
    try:
        yield
        own.info("ends after %.1f s", time.monotonic() - begin)
    except BaseException:
        own.exception("breaks off after %.1f s", time.monotonic() - begin)
        raise
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        handler.close()


class _Lines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, stage: str, run: str):
        super().__init__()
        self.about = {"stage": stage, "run_id": run}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **self.about,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
