"""Whose videos share an identity, and what becomes of those that cannot."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from assets.batches import read_index
from assets.landmarks import detect_landmarks
from assets.raw_videos import assign_batches, describe_raw_videos, read_manifest
from assets.reconstructions import fit_reconstructions
from assets.tracked_landmarks import track_landmarks
from assets.workspace import Workspace
from models.fitting import Reconstruction
from models.storage import load_arrays, save_arrays
from tests.odd_videos import encode

BATCH = "batch-00000"
SUBJECTS = "file,subject,licence\n"


@pytest.fixture(scope="module")
def tracked(new_project, filmed, tmp_path_factory):
    """A project with two clips of one person and one of nobody in particular, tracked."""
    workspace = new_project(tmp_path_factory.mktemp("subjects") / "project")
    for name, number, frames in (("a", 0, slice(0, 8)), ("b", 1, slice(0, 8)), ("c", 0, slice(8, 16))):
        encode(workspace.data("incoming") / f"{name}.mp4", filmed(number)[frames])
    (workspace.data("incoming") / "subjects.csv").write_text(SUBJECTS + "a.mp4,anna,CC0\nc.mp4,anna,CC0\n")
    for stage in (describe_raw_videos, detect_landmarks, track_landmarks):
        stage(workspace)
    return workspace


@pytest.fixture
def project(tracked, tmp_path):
    shutil.copytree(tracked.root, tmp_path / "project")
    return Workspace.open(tmp_path / "project")


def track_files(workspace, stage):
    """The only track of each video, by the video's file name."""
    manifest = read_manifest(workspace).set_index("video_id")
    index = read_index(workspace, "tracked_landmarks", [BATCH])
    return {
        Path(manifest.path[row.video_id]).stem: workspace.data(stage, BATCH, f"{row.track_id}.npz")
        for row in index.itertuples()
    }


def fits(workspace):
    return {name: Reconstruction.load(path) for name, path in track_files(workspace, "reconstructions").items()}


def test_videos_of_one_subject_share_an_identity(project):
    fit_reconstructions(project)
    found = fits(project)
    np.testing.assert_array_equal(found["a"].identity, found["c"].identity)
    assert not np.array_equal(found["a"].identity, found["b"].identity)
    index = read_index(project, "reconstructions", [BATCH]).set_index("video_id")
    assert sorted(index.identity_of) == [1, 2, 2]
    assert index.fingerprint.nunique() == 2


def test_one_more_video_of_a_person_changes_the_fits_of_the_others(project, filmed):
    fit_reconstructions(project)
    before = {path.name: path.stat().st_mtime_ns for path in project.data("reconstructions", BATCH).glob("*.npz")}
    (project.data("incoming") / "subjects.csv").write_text(
        SUBJECTS + "a.mp4,anna,CC0\nb.mp4,anna,CC0\nc.mp4,anna,CC0\n"
    )
    describe_raw_videos(project)
    assert fit_reconstructions(project).pending == ()
    after = {path.name: path.stat().st_mtime_ns for path in project.data("reconstructions", BATCH).glob("*.npz")}
    assert all(after[name] > before[name] for name in before)
    assert len({fit.identity.tobytes() for fit in fits(project).values()}) == 1


def test_a_clip_that_cannot_be_fitted_does_not_cost_the_persons_other_ones(project):
    track = track_files(project, "tracked_landmarks")["a"]
    arrays = load_arrays(track)
    arrays["landmarks"][:] = np.nan
    save_arrays(track, **arrays)
    result = fit_reconstructions(project)
    index = read_index(project, "reconstructions", [BATCH]).set_index("track_id").status
    assert sorted(index) == ["ok", "ok", "refused"]
    assert index[track.stem] == "refused"
    assert result.pending == ()


def test_filled_in_frames_are_no_observations(project):
    track = track_files(project, "tracked_landmarks")["b"]
    arrays = load_arrays(track)
    arrays["interpolated"][3:5] = True
    save_arrays(track, **arrays)
    fit_reconstructions(project)
    fit = fits(project)["b"]
    assert np.isnan(fit.residual[3:5]).all()
    assert np.isfinite(fit.residual[[2, 5]]).all()
    assert np.isfinite(fit.expression).all()


def test_videos_of_one_person_come_into_one_batch(new_project, filmed, tmp_path):
    workspace = new_project(tmp_path / "project", **{"raw_videos.videos_per_partition": 2})
    for name in "abcd":
        encode(workspace.data("incoming") / f"{name}.mp4", filmed(0)[:2])
    (workspace.data("incoming") / "subjects.csv").write_text(SUBJECTS + "a.mp4,zoe,CC0\nd.mp4,zoe,CC0\n")
    batches = assign_batches(workspace)
    names = [sorted(path[-5] for path in paths) for paths in batches.values()]
    assert ["a", "d"] in names
