"""How fast frames went through a stage is a number that Dagster plots; what was found finished does not count."""

import dagster as dg
import pytest

from assets.landmarks import detect_landmarks
from assets.raw_videos import describe_raw_videos
from assets.reconstructions import fit_reconstructions
from assets.stage import StageResult, WorkspaceResource, materialise
from assets.tracked_landmarks import track_landmarks
from tests.odd_videos import encode

pytestmark = pytest.mark.timeout(600)

LENGTHS = 12, 8


def metadata_of(workspace, result: StageResult) -> dict[str, dg.MetadataValue]:
    """What Dagster is told of a stage with that result."""

    @dg.asset
    def stage(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        return materialise(context, workspace, lambda _: result)

    # Overridden parameters keep DVC out of it.
    resource = WorkspaceResource(root=str(workspace.root), overrides={"machine.workers": 1})
    run = dg.materialize([stage], resources={"workspace": resource}, raise_on_error=True)
    (event,) = run.asset_materializations_for_node("stage")
    return dict(event.metadata)


def test_a_stage_that_went_through_frames_tells_how_many_a_second(prepared_project):
    told = metadata_of(prepared_project, StageResult({"frames": 300}, frames_done=240))
    assert isinstance(told["frames a second"], dg.FloatMetadataValue)
    assert told["frames a second"].value == pytest.approx(240 / told["wall seconds"].value, rel=0.5)


@pytest.mark.parametrize("done", [None, 0])
def test_a_stage_that_went_through_none_tells_no_throughput(prepared_project, done):
    assert "frames a second" not in metadata_of(prepared_project, StageResult({"frames": 300}, frames_done=done))


def test_frames_of_finished_videos_do_not_count_as_done(new_project, filmed, tmp_path):
    workspace = new_project(tmp_path / "project")
    stages = detect_landmarks, track_landmarks, fit_reconstructions
    done = []
    for number, length in enumerate(LENGTHS):
        encode(workspace.data("incoming") / f"clip{number}.mp4", filmed(number)[:length])
        describe_raw_videos(workspace)
        done.append([stage(workspace).frames_done for stage in stages])
    # Tracks are followed anew each time; faces are found, and fits made, once.
    assert done == [[12, 12, 12], [8, 20, 8]]
    assert [stage(workspace).frames_done for stage in stages] == [0, 20, 0]
