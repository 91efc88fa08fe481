"""When a retraining starts by itself, and what the page says while it does not."""

import json

import dagster as dg
import pytest

from assets.model_registry import append_to_trail
from orchestration.registry_sensors import REASON_TAG, due_retraining, follow_registry, weekly_retraining
from tests.workspace_fixture import make_project

QUIET = {"new_videos": 3, "new_frames": 300, "drift": 0.04, "chance": 0.06, "exceeded": False}


@pytest.fixture
def project(tmp_path):
    """A project with a champion, and a measure of what is new."""
    (tmp_path / "project").mkdir()
    workspace = make_project(tmp_path / "project", **{"retraining.new_videos": 10})
    crown(workspace, "a" * 64)
    return workspace


def crown(workspace, sha256):
    append_to_trail(workspace, "first", version="1", sha256=sha256, reviewer="pipeline", reason="first")


def measured(workspace, **facts):
    path = workspace.data("expression_drift", "drift.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(QUIET | facts))
    return due_retraining(workspace)


def test_what_is_missing_to_a_retraining_is_said(project):
    message = measured(project).skip_reason.skip_message
    assert "3 new videos since the champion, 10 ask for a retraining" in message
    assert "drift 0.040, bound 0.25" in message


def test_enough_new_videos_ask_for_a_retraining_and_say_so(project):
    (request,) = measured(project, new_videos=12).run_requests
    assert request.tags[REASON_TAG].startswith("12 new videos")


def test_drift_asks_for_a_retraining_and_says_so(project):
    (request,) = measured(project, drift=0.4, exceeded=True).run_requests
    assert request.tags[REASON_TAG] == "drift 0.400, bound 0.25, by chance 0.060"


def test_the_same_videos_do_not_ask_again_while_the_challenger_waits_for_review(project):
    keys = [measured(project, new_videos=count).run_requests[0].run_key for count in (12, 12, 19)]
    assert len(set(keys)) == 1
    assert measured(project, new_videos=20).run_requests[0].run_key not in keys


def test_another_champion_counts_anew(project):
    before = measured(project, new_videos=12).run_requests[0].run_key
    crown(project, "b" * 64)
    assert measured(project, new_videos=12).run_requests[0].run_key != before


def test_without_a_champion_nothing_is_asked_for(tmp_path):
    (tmp_path / "project").mkdir()
    workspace = make_project(tmp_path / "project")
    assert "run the pipeline once" in due_retraining(workspace).skip_reason.skip_message
    assert "nothing is registered yet" in follow_registry(workspace).skip_reason.skip_message


def test_a_champion_that_is_not_in_use_is_asked_for_once(project):
    requests = [follow_registry(project).run_requests for _ in range(2)]
    assert requests[0][0].run_key == requests[1][0].run_key
    assert "first by pipeline" in requests[0][0].tags[REASON_TAG]


def test_the_schedule_is_the_parameters(project):
    schedule = weekly_retraining(project.params.retraining)
    assert schedule.cron_schedule == project.params.retraining.cron
    context = dg.build_schedule_context()
    assert schedule.evaluate_tick(context).run_requests[0].tags[REASON_TAG] == "the weekly schedule"
