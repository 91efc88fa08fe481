"""Overlay videos of fits."""

import numpy as np
import pytest

from models.errors import VideoError
from models.video.decoding import probe, read_frames
from models.visualisation.overlay_video import TITLE_HEIGHT, fit_frames, residual_in_words, write_fit_video
from models.visualisation.panels import view_of_track


def pictures(filmed_fit, frame_index):
    view = view_of_track(filmed_fit.landmarks, (160, 120), 120)
    frames = read_frames(filmed_fit.video, max_side=1000, limit=3)
    return view, list(fit_frames(frames, view, filmed_fit.fit, frame_index, filmed_fit.model))


def test_a_frame_has_three_panels_the_video_the_mesh_and_the_portrait(filmed_fit):
    view, (first, *_) = pictures(filmed_fit, np.arange(40))
    height, width = view.size
    panels = first[TITLE_HEIGHT : TITLE_HEIGHT + height].astype(int)
    (frame,) = read_frames(filmed_fit.video, max_side=1000, limit=1)
    np.testing.assert_array_equal(panels[:, :width], view.cut(frame))
    assert np.abs(panels[:, width : 2 * width] - panels[:, :width]).max() > 0
    portrait = panels[:, 2 * width :]
    assert (portrait[0] == 255).all()
    assert (portrait < 200).any()


def test_a_frame_that_was_not_fitted_is_shown_without_a_mesh(filmed_fit):
    view, (skipped, fitted, _) = pictures(filmed_fit, np.arange(1, 41))
    height, width = view.size
    panels = skipped[TITLE_HEIGHT : TITLE_HEIGHT + height]
    np.testing.assert_array_equal(panels[:, :width], panels[:, width : 2 * width])
    assert (panels[:, 2 * width :] == 255).all()
    assert (fitted[TITLE_HEIGHT : TITLE_HEIGHT + height, 2 * width :] != 255).any()


def test_the_video_ends_with_the_last_fitted_frame_and_keeps_its_rate(filmed_fit, tmp_path):
    out = tmp_path / "fit.mp4"
    given = filmed_fit.fit, np.arange(30), filmed_fit.landmarks, filmed_fit.model
    assert write_fit_video(out, filmed_fit.video, *given, height=96) == 30
    info = probe(out)
    assert info.frames == 30
    assert info.fps == pytest.approx(25)
    assert info.width > 2 * info.height


def test_a_video_that_is_gone_leaves_no_overlay(filmed_fit, tmp_path):
    given = filmed_fit.fit, np.arange(40), filmed_fit.landmarks, filmed_fit.model
    with pytest.raises(VideoError, match=r"gone\.mp4: there is no such file"):
        write_fit_video(tmp_path / "fit.mp4", tmp_path / "gone.mp4", *given)
    assert list(tmp_path.iterdir()) == []


def test_frames_without_landmarks_say_so():
    assert residual_in_words(0.0123) == "residual 1.2 % of the inter-ocular distance"
    assert "no landmarks" in residual_in_words(np.nan)
