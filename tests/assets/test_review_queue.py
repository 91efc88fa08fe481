"""What reviewers look at: every fit with its figures, in order of suspicion, and a film of each that is drawn once."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

import assets.review_queue
from assets.landmarks import detect_landmarks
from assets.pruned_videos import prune_videos
from assets.raw_videos import describe_raw_videos
from assets.reconstructions import fit_reconstructions
from assets.review_queue import course_of, draw_film, film_path, fits_version, fitted_videos
from assets.tracked_landmarks import track_landmarks
from assets.workspace import Workspace
from models.errors import DeepExp3DError, FittingError
from models.fitting.reconstruction import Reconstruction
from models.video.decoding import probe
from tests.odd_videos import encode

FRAMES = 12


@pytest.fixture(scope="module")
def fitted(new_project, filmed, tmp_path_factory):
    """A project with three short clips, fitted."""
    workspace = new_project(tmp_path_factory.mktemp("queue") / "project", **{"review.film_frames": 5})
    for number in range(3):
        encode(workspace.data("incoming") / f"clip{number}.mp4", filmed(number)[:FRAMES])
    for stage in (describe_raw_videos, detect_landmarks, track_landmarks, fit_reconstructions):
        stage(workspace)
    return workspace


@pytest.fixture
def project(fitted, tmp_path):
    shutil.copytree(fitted.root, tmp_path / "project")
    return Workspace.open(tmp_path / "project")


def test_every_fit_is_in_the_queue_with_all_its_figures(fitted):
    videos = fitted_videos(fitted)
    assert sorted(video.video.name for video in videos) == ["clip0.mp4", "clip1.mp4", "clip2.mp4"]
    assert [video.frames for video in videos] == [FRAMES] * 3
    scores = [video.suspicion.score for video in videos]
    assert scores == sorted(scores, reverse=True)
    for video in videos:
        figures = video.figures
        assert np.isfinite([figures.residual, figures.identity_norm, figures.uncertainty, figures.jitter]).all()


def test_figures_are_read_from_the_fits_once(project, monkeypatch):
    before = fitted_videos(project)
    monkeypatch.setattr(assets.review_queue, "_figures_of_fit", None)
    assert fitted_videos(project) == before


def test_a_damaged_ledger_of_figures_is_made_anew(project):
    before = fitted_videos(project)
    (ledger,) = project.data(".scratch", "review").glob("*.json")
    ledger.write_text("{")
    assert fitted_videos(project) == before


def test_without_any_fit_the_error_says_what_to_run(new_project, tmp_path):
    with pytest.raises(DeepExp3DError, match="no manifest yet"):
        fitted_videos(new_project(tmp_path / "project"))


def test_a_video_that_was_taken_out_is_not_in_the_queue(project):
    (project.data("incoming") / "clip1.mp4").unlink()
    describe_raw_videos(project)
    assert sorted(video.video.name for video in fitted_videos(project)) == ["clip0.mp4", "clip2.mp4"]


def test_the_version_of_the_fits_changes_with_them_and_only_then(project):
    before = fits_version(project)
    fitted_videos(project)
    assert fits_version(project) == before
    fit_reconstructions(project)
    assert fits_version(project) != before


def test_a_film_has_as_many_frames_as_wanted_at_the_videos_own_pace(project):
    video = fitted_videos(project)[0]
    shares = []
    path = draw_film(project, video, shares.append)
    film, filmed = probe(path), probe(video.video)
    assert film.frames == 4  # every third of 12 frames: at most 5 were wanted
    assert film.duration == pytest.approx(filmed.duration, rel=0.05)
    assert shares == [0.0, 0.25, 0.5, 0.75]


def test_a_film_is_drawn_once_and_again_when_the_fit_is_another(project):
    video = fitted_videos(project)[0]
    path = draw_film(project, video, lambda share: None)
    changed = path.stat().st_mtime_ns
    assert draw_film(project, video, lambda share: None) == path
    assert path.stat().st_mtime_ns == changed
    other = replace(video, fingerprint="another")
    assert film_path(project, other) != path
    draw_film(project, other, lambda share: None)
    assert list(path.parent.glob("*.mp4")) == [film_path(project, other)]


def test_a_video_that_is_gone_costs_its_film_and_says_so(project):
    video = fitted_videos(project)[0]
    video.video.unlink()
    with pytest.raises(DeepExp3DError, match=video.video.name):
        draw_film(project, video, lambda share: None)
    assert not film_path(project, video).exists()


def test_the_course_is_the_fits_residual_over_time(project):
    video = fitted_videos(project)[0]
    path = project.data("reconstructions", video.partition, f"{video.track_id}.npz")
    course = course_of(project, video)
    assert np.array_equal(course.residual, Reconstruction.load(path).residual, equal_nan=True)
    assert course.times.shape == course.residual.shape
    path.unlink()
    with pytest.raises(FittingError, match=path.name):
        course_of(project, video)


def test_a_verdict_on_an_unknown_video_is_named_by_the_stage_and_changes_nothing(project, caplog):
    kept = prune_videos(project).metadata["kept"]
    with open(project.path("reviews", "manual_review.csv"), "a") as file:
        file.write("clip9,prune,misspelt,Ada,2026-01-01\n")
    metadata = prune_videos(project).metadata
    assert metadata["kept"] == kept
    assert metadata["verdicts on unknown videos"].video_id.tolist() == ["clip9"]
    assert "clip9: there is no such video; the verdict 'prune' by Ada waits for it" in caplog.text
