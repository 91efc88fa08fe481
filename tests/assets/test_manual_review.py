"""Verdicts of people: appended one by one, by several at once, taken back, and never on a video that is not there."""

import multiprocessing
from datetime import UTC, datetime

import pytest

from assets.manual_review import COLUMNS, read_history, read_verdicts, record_verdict, review_path, take_back
from assets.params import load_params
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from tests.workspace_fixture import ROOT

KNOWN = {"clip0", "clip1", "clip2"}


@pytest.fixture
def project(tmp_path):
    """A project folder with nothing but its parameters and an empty file of verdicts."""
    workspace = Workspace(tmp_path, load_params(ROOT / "params.yaml"))
    review_path(workspace).parent.mkdir()
    review_path(workspace).write_text(",".join(COLUMNS) + "\n")
    return workspace


def say(project, video_id, verdict, reviewer="Ada", **more):
    return record_verdict(project, video_id, verdict, reviewer=reviewer, known=KNOWN, **more)


def holding(project):
    verdicts = read_verdicts(project)
    return dict(zip(verdicts.video_id, verdicts.verdict, strict=True))


def test_a_verdict_is_one_line_with_reason_reviewer_and_date(project):
    say(project, "clip1", "prune", reason="mesh, beside\nthe face", when=datetime(2026, 5, 4, 12, tzinfo=UTC))
    last = review_path(project).read_text().splitlines()[-1]
    assert last == 'clip1,prune,"mesh, beside the face",Ada,2026-05-04T12:00:00+00:00'


def test_the_last_verdict_on_a_video_holds(project):
    say(project, "clip1", "prune")
    say(project, "clip1", "keep", reviewer="Grace")
    assert holding(project) == {"clip1": "keep"}


def test_an_unknown_video_is_refused_by_name_and_nothing_is_written(project):
    before = review_path(project).read_bytes()
    with pytest.raises(DeepExp3DError, match="'clip9' is none of the 3 fitted videos; nothing was written"):
        say(project, "clip9", "prune")
    assert review_path(project).read_bytes() == before


@pytest.mark.parametrize(("verdict", "reviewer", "cause"), [("maybe", "Ada", "'maybe'"), ("keep", " \n", "name")])
def test_neither_an_unknown_word_nor_a_nameless_reviewer_is_written(project, verdict, reviewer, cause):
    before = review_path(project).read_bytes()
    with pytest.raises(DeepExp3DError, match=f"{cause}.*nothing was written"):
        say(project, "clip1", verdict, reviewer)
    assert review_path(project).read_bytes() == before


def test_taking_back_restores_what_was_said_before_and_keeps_the_trail(project):
    say(project, "clip1", "prune")
    say(project, "clip1", "keep", reviewer="Grace")
    say(project, "clip2", "keep")
    assert take_back(project, reviewer="Grace").video_id == "clip1"
    assert holding(project) == {"clip1": "prune", "clip2": "keep"}
    assert [said.verdict for said in read_history(project)] == ["prune", "keep", "keep", "undo"]


def test_taking_back_goes_on_backwards_and_ends(project):
    for video_id in sorted(KNOWN):
        say(project, video_id, "keep")
    say(project, "clip0", "prune", reviewer="Grace")
    taken = [take_back(project, reviewer="Ada") for _ in range(4)]
    assert [said and said.video_id for said in taken] == ["clip2", "clip1", "clip0", None]
    assert holding(project) == {"clip0": "prune"}


def test_a_file_edited_by_hand_without_a_last_line_break_or_with_more_columns_is_continued(project):
    header = ",".join(["date", *[name for name in COLUMNS if name != "date"], "remark"])
    review_path(project).write_bytes((header + "\r\n2026-01-01,clip0,keep,,Ada,seen twice").encode())
    say(project, "clip1", "prune", when=datetime(2026, 5, 4, tzinfo=UTC))
    assert holding(project) == {"clip0": "keep", "clip1": "prune"}
    assert review_path(project).read_bytes().endswith(b"\r\n2026-05-04T00:00:00+00:00,clip1,prune,,Ada,\r\n")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("", "not readable as a table"),
        ("video_id,verdict\nclip0,keep\n", "lacks the column reason, reviewer, date"),
        ("video_id,verdict,reason,reviewer,date\nclip0,kept,,Ada,\n", "line 2: verdict 'kept'"),
        ("video_id,verdict,reason,reviewer,date\n<<<<<<< HEAD\nclip0,keep,,,,,,,,\n", "not readable as a table"),
    ],
)
def test_a_damaged_file_is_named_and_not_written_on(project, content, cause):
    review_path(project).write_text(content)
    with pytest.raises(DeepExp3DError, match=rf"manual_review\.csv.*{cause}"):
        say(project, "clip1", "keep")
    assert review_path(project).read_text() == content


def test_a_missing_file_says_how_it_begins(project):
    review_path(project).unlink()
    with pytest.raises(DeepExp3DError, match="begins with the line video_id,verdict"):
        read_verdicts(project)


def _judge_many(project, reviewer, count):
    for number in range(count):
        say(project, f"clip{number % 3}", "keep", reviewer, reason=str(number))


def test_reviewers_at_once_lose_nothing(project):
    forked = multiprocessing.get_context("fork")
    workers = [forked.Process(target=_judge_many, args=(project, f"reviewer {n}", 20)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    said = {(line.reviewer, line.reason) for line in read_history(project)}
    assert said == {(f"reviewer {n}", str(number)) for n in range(3) for number in range(20)}
