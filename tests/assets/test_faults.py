"""Faults of the machine: one error that names the cause, no video blamed, and all goes on once they are mended."""

import dataclasses
import errno
import os
import shutil

import numpy as np
import pytest

from assets.batches import read_index
from assets.landmark_correspondence import offsets_path
from assets.landmarks import detect_landmarks, warm_backend
from assets.morphable_model import model_path
from assets.raw_videos import describe_raw_videos, take_in
from assets.reconstructions import fit_reconstructions
from assets.tracked_landmarks import track_landmarks
from assets.workspace import Workspace
from models.errors import DiskFullError, ModelMismatchError, WeightsMissingError
from models.morphable_model import MorphableModel
from models.storage import load_arrays, save_arrays
from tests.odd_videos import encode

BATCHES = ["batch-00000"]


@pytest.fixture(autouse=True)
def no_detector_in_memory():
    """A detector that an earlier test has loaded would hide that its weights are gone."""
    warm_backend.cache_clear()


@pytest.fixture(scope="module")
def tracked(new_project, filmed, tmp_path_factory):
    """A project with two clips, up to their tracks."""
    folder = tmp_path_factory.mktemp("tracked")
    (folder / "clips").mkdir()
    for person in range(2):
        encode(folder / "clips" / f"person{person}.mp4", filmed(person)[:12])
    workspace = new_project(folder / "project")
    take_in(workspace, folder / "clips")
    for stage in (describe_raw_videos, detect_landmarks, track_landmarks):
        stage(workspace)
    return workspace


@pytest.fixture
def project(tracked, tmp_path):
    """A copy of it that a test may spoil."""
    shutil.copytree(tracked.root, tmp_path / "project")
    return Workspace.open(tmp_path / "project")


def without_landmarks(project):
    shutil.rmtree(project.data("landmarks"))
    return project


def temporary_files(project):
    return [path for path in project.data().rglob(".*-*") if path.is_file()]


def damaged(path):
    path.write_bytes(path.read_bytes()[:100_000])


def of_other_dimensions(path):
    arrays = load_arrays(path)
    save_arrays(path, **(arrays | {"expression_std": arrays["expression_std"][:20]}))


def of_other_landmarks(path):
    arrays = load_arrays(path)
    save_arrays(path, **(arrays | {"landmark_vertices": arrays["landmark_vertices"][:51]}))


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (damaged, "not a readable face model"),
        (of_other_dimensions, r"expression_basis has shape .*, expected"),
        (of_other_landmarks, r"landmark_vertices has shape \(51, 3\), expected \(68, 3\)"),
    ],
)
def test_a_face_model_that_does_not_fit_stops_the_fits_and_blames_no_video(project, spoil, cause):
    whole = model_path(project).read_bytes()
    spoil(model_path(project))
    with pytest.raises(ModelMismatchError, match=rf"model\.npz: .*{cause}"):
        fit_reconstructions(project)
    assert len(read_index(project, "reconstructions", BATCHES)) == 0
    model_path(project).write_bytes(whole)
    assert fit_reconstructions(project).metadata["tracks fitted"] == 2


def test_damaged_landmark_offsets_stop_the_fits_and_blame_no_video(project):
    offsets_path(project).write_bytes(offsets_path(project).read_bytes()[:300])
    with pytest.raises(ModelMismatchError, match=r"offsets\.npz: no readable offsets"):
        fit_reconstructions(project)
    assert len(read_index(project, "reconstructions", BATCHES)) == 0


def test_a_smaller_face_model_makes_all_fits_anew(project):
    fit_reconstructions(project)
    model = MorphableModel.load(model_path(project))
    smaller = dataclasses.replace(
        model, identity_basis=model.identity_basis[:, :40], identity_std=model.identity_std[:40]
    )
    smaller.save(model_path(project))
    assert fit_reconstructions(project).metadata["tracks fitted"] == 2
    for row in read_index(project, "reconstructions", BATCHES).itertuples():
        fit = load_arrays(project.data("reconstructions", row.partition, f"{row.track_id}.npz"))
        assert fit["identity"].shape == (40,)


@pytest.mark.parametrize("workers", [1, 2])
def test_missing_weights_stop_the_detection_and_blame_no_video(project, workers, tmp_path, monkeypatch):
    without_landmarks(project)
    elsewhere = Workspace.open(project.root, {"machine.workers": workers})
    with monkeypatch.context() as patch:
        patch.setenv("DEEPEXP3D_CACHE", str(tmp_path / "cache"))
        # As without a network: pip finds no package anywhere.
        patch.setenv("PIP_NO_INDEX", "1")
        with pytest.raises(WeightsMissingError, match=r"mediapipe==.*could not be fetched.*check the network"):
            detect_landmarks(elsewhere)
    assert len(read_index(project, "landmarks", BATCHES)) == 0
    result = detect_landmarks(project)
    assert (result.metadata["videos without a face"], result.pending) == (0, ())


def test_damaged_weights_are_named(project, tmp_path, monkeypatch):
    from models.packages import MEDIAPIPE

    without_landmarks(project)
    weights = tmp_path / "packages" / f"{MEDIAPIPE.name}-{MEDIAPIPE.version}"
    monkeypatch.setenv("DEEPEXP3D_CACHE", str(tmp_path))
    from models.landmarks.mediapipe import DETECTOR

    (weights / DETECTOR).parent.mkdir(parents=True)
    (weights / DETECTOR).write_bytes(b"not the weights")
    with pytest.raises(WeightsMissingError, match=r"face_detection_full_range_sparse\.tflite: sha256 is"):
        detect_landmarks(project)


def test_a_full_disk_leaves_nothing_half_written_and_the_next_run_goes_on(project, monkeypatch):
    without_landmarks(project)
    written = []

    def fills_up(file, **arrays):
        if len(written) == 2:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        savez(file, **arrays)
        written.append(file.name)

    savez = np.savez
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", fills_up)
        with pytest.raises(DiskFullError, match=r"\.npz: no space left on the disk"):
            detect_landmarks(project)
    assert temporary_files(project) == []
    (finished,) = project.data("landmarks").rglob("*.npz")
    before = finished.stat().st_mtime_ns
    assert detect_landmarks(project).pending == ()
    assert finished.stat().st_mtime_ns == before
    assert (read_index(project, "landmarks", BATCHES).status == "ok").all()


def test_a_disk_too_full_for_an_index_is_named(project, monkeypatch):
    def no_room(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("pandas.DataFrame.to_parquet", no_room)
        with pytest.raises(DiskFullError, match=r"index\.parquet: no space left"):
            fit_reconstructions(project)
    assert temporary_files(project) == []
    result = fit_reconstructions(project)
    assert (result.metadata["tracks fitted"], result.pending) == (2, ())
