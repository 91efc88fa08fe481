"""The sensor asks for work on what has changed, and for nothing else."""

import dagster as dg
import pytest

from assets.raw_videos import video_batches
from assets.stage import WorkspaceResource
from orchestration.automation import new_videos
from orchestration.pipeline import RANGE_END, RANGE_START
from tests.workspace_fixture import make_project


class Watch:
    """A project with a sensor on it, evaluated as Dagster's daemon does: requests on partitions are carried out."""

    def __init__(self, workspace, instance):
        self.workspace, self.instance, self.cursor = workspace, instance, None

    def evaluate(self) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = new_videos(context, workspace=WorkspaceResource(root=str(self.workspace.root)))
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or []:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions(video_batches.name, request.partition_keys)
            else:
                for key in request.partition_keys:
                    self.instance.delete_dynamic_partition(video_batches.name, key)
        return result

    def runs(self) -> list[list[str]]:
        """The partitions of each run that an evaluation asks for."""
        requests = self.evaluate().run_requests
        order = list(self.instance.get_dynamic_partitions(video_batches.name))
        ends = [(order.index(request.tags[RANGE_START]), order.index(request.tags[RANGE_END])) for request in requests]
        return [order[start : end + 1] for start, end in ends]

    def requested(self) -> list[str]:
        """The partitions that an evaluation asks for."""
        return [name for names in self.runs() for name in names]

    def partitions(self) -> list[str]:
        return sorted(self.instance.get_dynamic_partitions(video_batches.name))

    def add(self, *names: str, content: bytes = b"video") -> None:
        for name in names:
            path = self.workspace.data("incoming", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def remove(self, *names: str) -> None:
        for name in names:
            self.workspace.data("incoming", name).unlink()


@pytest.fixture
def watch(tmp_path):
    (tmp_path / "project").mkdir()
    parameters = {"raw_videos.videos_per_partition": 2, "automation.batches_per_run": 3}
    workspace = make_project(tmp_path / "project", **parameters)
    with dg.DagsterInstance.ephemeral() as instance:
        watch = Watch(workspace, instance)
        watch.add("a.mp4", "b.mp4", "c.mp4")
        yield watch


def test_at_first_every_batch_is_asked_for(watch):
    assert watch.requested() == ["batch-00000", "batch-00001"]
    assert watch.partitions() == ["batch-00000", "batch-00001"]


def test_a_run_makes_so_many_batches_and_no_more(watch):
    watch.add(*(f"d{number}.mp4" for number in range(11)))
    assert [len(names) for names in watch.runs()] == [3, 3, 1]
    assert len(watch.partitions()) == 7


def test_a_run_makes_no_batch_between_those_that_changed(watch):
    watch.add(*(f"d{number}.mp4" for number in range(11)))
    watch.evaluate()
    watch.add("a.mp4", "d0.mp4", "d6.mp4", "d8.mp4", content=b"another take")
    changed = ["batch-00000", "batch-00001", "batch-00005", "batch-00006"]
    assert watch.runs() == [changed[:2], changed[2:]]


def test_runs_follow_the_order_in_which_partitions_were_registered(watch):
    watch.instance.add_dynamic_partitions(video_batches.name, ["batch-00001", "batch-00000"])
    assert watch.runs() == [["batch-00001", "batch-00000"]]


def test_nothing_new_asks_for_nothing(watch):
    watch.evaluate()
    result = watch.evaluate()
    assert result.run_requests == []
    assert not result.dynamic_partitions_requests


def test_without_any_video_nothing_is_asked_for(watch):
    watch.remove("a.mp4", "b.mp4", "c.mp4")
    assert watch.requested() == []
    assert watch.partitions() == []


def test_a_new_video_asks_for_its_batch_alone(watch):
    watch.evaluate()
    watch.add("later.mp4")
    assert watch.requested() == ["batch-00001"]
    watch.add("z.mp4")
    assert watch.requested() == ["batch-00002"]
    assert watch.partitions() == ["batch-00000", "batch-00001", "batch-00002"]
    assert watch.requested() == []


def test_a_changed_video_asks_for_its_batch_again(watch):
    watch.evaluate()
    watch.add("b.mp4", content=b"another take")
    assert watch.requested() == ["batch-00000"]


def test_a_video_that_goes_and_comes_back_asks_each_time_for_another_run(watch):
    watch.evaluate()
    inbox = watch.workspace.data("incoming")
    keys = []
    for source, target in (("c.mp4", "c.away"), ("c.away", "c.mp4")) * 2:
        watch.add("d.mp4")
        (inbox / source).rename(inbox / target)
        requests = watch.evaluate().run_requests
        assert [request.tags[RANGE_START] for request in requests] == ["batch-00001"]
        keys += [request.run_key for request in requests if request.run_key]
    assert len(set(keys)) == len(keys), "Dagster does nothing for a run key it has seen"


def test_a_removed_video_asks_for_what_is_left_of_its_batch(watch):
    watch.evaluate()
    watch.remove("a.mp4")
    assert watch.requested() == ["batch-00000"]
    assert watch.partitions() == ["batch-00000", "batch-00001"]


def test_a_batch_without_videos_loses_its_partition(watch):
    watch.evaluate()
    watch.remove("c.mp4")
    assert watch.requested() == []
    assert watch.partitions() == ["batch-00000"]


def test_other_files_are_not_noticed(watch):
    watch.evaluate()
    watch.add("notes.txt", ".half_copied.mp4")
    assert watch.requested() == []


def test_the_sensor_asks_for_runs_of_the_job_that_makes_batches():
    assert new_videos.job_name == "facevid_batches"
