"""Training images say how sure their fit is, and none stands for a face that was not seen."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from assets.facevid_shards import shards_folder, write_facevid_shards
from assets.facevid_splits import read_splits
from assets.landmark_correspondence import load_detector_model
from assets.landmarks import detect_landmarks
from assets.raw_videos import describe_raw_videos, read_manifest, take_in
from assets.reconstructions import fit_reconstructions
from assets.tracked_landmarks import track_landmarks
from models.expression.alignment import similarity, template, transformed
from models.expression.shards import read_samples
from models.fitting import Reconstruction
from models.morphable_model.model import INNER_FACE
from models.storage import load_arrays, save_arrays, written_whole
from tests.odd_videos import encode

FRAMES, NOT_FOUND, WITHOUT_RESIDUAL = 12, 4, 7


@pytest.fixture(scope="module")
def project(new_project, filmed, tmp_path_factory):
    """A project whose one video is fitted and belongs to the training split."""
    folder = tmp_path_factory.mktemp("shards")
    (folder / "clips").mkdir()
    encode(folder / "clips" / "clip.mp4", filmed(0)[:FRAMES])
    workspace = new_project(folder / "project", **{"facevid_shards.frame_stride": 1})
    take_in(workspace, folder / "clips")
    for stage in (describe_raw_videos, detect_landmarks, track_landmarks, fit_reconstructions):
        stage(workspace)
    (video,) = read_manifest(workspace).itertuples()
    row = {
        "video_id": video.video_id,
        "source_video": video.video_id,
        "partition": video.partition,
        "subject": "somebody",
        "frames": FRAMES,
        "split": "train",
    }
    with written_whole(workspace.data("facevid_splits", "splits.parquet")) as path:
        pd.DataFrame([row]).to_parquet(path)
    return workspace


@pytest.fixture(scope="module")
def fit_path(project):
    (video,) = read_splits(project).itertuples()
    return project.data("reconstructions", video.partition, f"{video.video_id}.npz")


@pytest.fixture(scope="module")
def fit(fit_path):
    """The fit of the video as its stage made it."""
    return Reconstruction.load(fit_path)


def written(workspace):
    write_facevid_shards(workspace)
    return list(read_samples(shards_folder(workspace, "train")))


def test_samples_carry_the_standard_deviations_of_their_fit(project, fit):
    scale = load_detector_model(project).expression_std
    samples = written(project)
    assert [sample.frame for sample in samples] == list(range(FRAMES))
    for sample in samples:
        np.testing.assert_allclose(sample.uncertainty, fit.expression_std[sample.frame] / scale, rtol=1e-3)
        assert sample.uncertainty.min() > 0


def test_a_fit_without_standard_deviations_counts_as_exact(project, fit, fit_path):
    replace(fit, expression_std=np.zeros(0)).save(fit_path)
    assert max(np.abs(sample.uncertainty).max() for sample in written(project)) == 0
    fit.save(fit_path)


def test_frames_in_which_no_face_was_found_are_left_out(project, fit, fit_path):
    track_path = project.data("tracked_landmarks", fit_path.parent.name, fit_path.name)
    track = load_arrays(track_path)
    interpolated = np.arange(FRAMES) == NOT_FOUND
    save_arrays(track_path, **{**track, "interpolated": interpolated})
    replace(fit, residual=np.where(np.arange(FRAMES) == WITHOUT_RESIDUAL, np.nan, fit.residual)).save(fit_path)
    samples = written(project)
    assert [sample.frame for sample in samples] == sorted(set(range(FRAMES)) - {NOT_FOUND, WITHOUT_RESIDUAL})
    save_arrays(track_path, **track)
    fit.save(fit_path)


def test_samples_carry_the_detectors_points_where_the_aligned_image_shows_them(project, fit_path):
    """The same alignment, done by hand to the video's own frame, gives the same picture and the same points."""
    track = load_arrays(project.data("tracked_landmarks", fit_path.parent.name, fit_path.name))
    target = template(load_detector_model(project))
    for sample, points in zip(written(project), track["landmarks"], strict=True):
        matrix = similarity(points[INNER_FACE], target[INNER_FACE])
        np.testing.assert_allclose(sample.landmarks, transformed(points, matrix), atol=0.01)
        assert np.linalg.norm(sample.landmarks - target, axis=1).mean() < 15
