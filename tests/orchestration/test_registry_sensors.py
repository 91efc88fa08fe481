"""When a retraining starts by itself, and what the page says while it does not."""

import json

import dagster as dg
import pytest

from assets.model_registry import append_to_trail
from assets.stage import WorkspaceResource
from orchestration.registry_sensors import (
    REASON_TAG,
    RUN_KEY_TAG,
    due_retraining,
    follow_registry,
    registry_changes,
    retraining_due,
    weekly_retraining,
)
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


@dg.op
def nothing():
    pass


@dg.job
def some_job():
    nothing()


class Daemon:
    """What Dagster's daemon does with the requests of a sensor: a run for each key that it has not seen."""

    def __init__(self, workspace, instance, sensor):
        self.workspace, self.instance, self.sensor = workspace, instance, sensor

    def tick(self):
        context = dg.build_sensor_context(instance=self.instance)
        return self.sensor(context, workspace=WorkspaceResource(root=str(self.workspace.root)))

    def run(self, key, status):
        return self.instance.create_run_for_job(some_job, tags={RUN_KEY_TAG: key}, status=status)

    def tick_and_run(self, status=dg.DagsterRunStatus.FAILURE):
        """The key of what is asked for, when the run of it has ended so; None where nothing new is asked for."""
        requests = self.tick().run_requests
        if not requests or self.instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: requests[0].run_key})):
            return None
        self.run(requests[0].run_key, status)
        return requests[0].run_key


@pytest.fixture(params=[registry_changes, retraining_due], ids=lambda sensor: sensor.name)
def daemon(project, request):
    """Each sensor, with a reason to ask for a run."""
    measured(project, new_videos=12)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(project, instance, request.param)


def test_what_failed_is_asked_for_again_three_times_in_all_and_then_left_to_a_person(daemon):
    keys = [daemon.tick_and_run() for _ in range(3)]
    assert None not in keys
    assert len(set(keys)) == 3
    assert daemon.tick_and_run() is None
    message = daemon.tick().skip_reason.skip_message
    last = daemon.instance.get_runs(limit=1)[0].run_id[:8]
    assert f"3 runs of {daemon.sensor.job_name} failed, the last one is {last}: mend" in message


def test_the_attempt_is_told(daemon):
    assert daemon.tick().cursor.startswith("attempt 1 of 3: ")
    daemon.tick_and_run()
    assert daemon.tick().cursor.startswith("attempt 2 of 3: ")


@pytest.mark.parametrize("status", ["STARTING", "STARTED", "SUCCESS", "CANCELED"])
def test_what_did_not_fail_is_not_asked_for_again(daemon, status):
    daemon.tick_and_run(dg.DagsterRunStatus(status))
    result = daemon.tick()
    assert not result.run_requests
    assert result.skip_reason.skip_message.endswith(f"of {daemon.sensor.job_name}: {status.lower()}")


def test_a_failed_run_that_a_person_executed_again_counts_by_its_last_execution(daemon):
    key = daemon.tick_and_run()
    daemon.run(key, dg.DagsterRunStatus.SUCCESS)
    assert not daemon.tick().run_requests


def test_a_run_that_was_created_and_not_launched_is_asked_for_by_its_own_key(daemon):
    key = daemon.tick_and_run(dg.DagsterRunStatus.NOT_STARTED)
    (request,) = daemon.tick().run_requests
    assert request.run_key == key


def test_another_reason_has_attempts_of_its_own(daemon):
    for _ in range(3):
        daemon.tick_and_run()
    crown(daemon.workspace, "b" * 64)
    assert daemon.tick_and_run() is not None


def test_the_schedule_is_the_parameters(project):
    schedule = weekly_retraining(project.params.retraining)
    assert schedule.cron_schedule == project.params.retraining.cron
    context = dg.build_schedule_context()
    assert schedule.evaluate_tick(context).run_requests[0].tags[REASON_TAG] == "the weekly schedule"
