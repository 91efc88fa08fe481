"""Stages' logs as JSON lines: with the stage and the run, and only where they are asked for."""

import json
import logging

import pytest

from assets.structured_logs import LOG_LINES, log_lines, run_id, within_run


@pytest.fixture
def lines(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    monkeypatch.setenv(LOG_LINES, str(path))
    return path


def test_every_line_tells_the_stage_and_the_run(lines):
    with within_run("abc123"), log_lines("deepexp3d"):
        logging.getLogger("models.expression.training").info("epoch %d: mse %.2f", 3, 0.25)
    begin, line, end = map(json.loads, lines.read_text().splitlines())
    assert (begin["message"], begin["stage"]) == ("begins", "deepexp3d")
    assert end["message"].startswith("ends after")
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "stage": "deepexp3d",
        "run_id": "abc123",
        "logger": "models.expression.training",
        "message": "epoch 3: mse 0.25",
    }


def test_an_error_takes_its_trace_along_in_one_line(lines):
    with log_lines("landmarks"):
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logging.getLogger("assets.landmarks").exception("refused")
    _, line, _ = map(json.loads, lines.read_text().splitlines())
    assert "ValueError: two\nlines" in line["error"]


def test_what_comes_after_a_stage_is_not_its_own(lines):
    with log_lines("landmarks"):
        pass
    logging.getLogger("assets").warning("later")
    assert "later" not in lines.read_text()
    assert run_id() == ""


def test_nothing_is_written_where_nothing_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.delenv(LOG_LINES, raising=False)
    before = list(logging.getLogger("assets").handlers)
    with log_lines("landmarks"):
        assert logging.getLogger("assets").handlers == before


def test_standard_error_is_a_target_too(monkeypatch, capsys):
    monkeypatch.setenv(LOG_LINES, "-")
    with log_lines("landmarks"):
        logging.getLogger("assets.landmarks").warning("slow")
    assert json.loads(capsys.readouterr().err.splitlines()[1])["message"] == "slow"


def test_a_stage_that_breaks_off_says_why(lines):
    with pytest.raises(ZeroDivisionError), log_lines("landmarks"):
        1 / 0  # noqa: B018
    last = json.loads(lines.read_text().splitlines()[-1])
    assert last["message"].startswith("breaks off")
    assert "division by zero" in last["error"]
