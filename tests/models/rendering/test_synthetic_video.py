"""Synthetic videos and what is said to be true of them."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import av
import numpy as np
import pytest

from models.errors import ModelMismatchError
from models.rendering.rasteriser import camera_points, rasterise
from models.rendering.settings import SyntheticVideoSettings
from models.rendering.synthetic_video import render_video, synthesise_video
from models.storage import load_arrays

SETTINGS = SyntheticVideoSettings(frames=12, size=128)
PLAIN = replace(SETTINGS, glasses_share=0, occluder_share=0, interruption_share=0, largest_blur=0, largest_noise=0)

RENDER = """
import hashlib, sys
from models.morphable_model import MorphableModel
from models.rendering.settings import SyntheticVideoSettings
from models.rendering.synthetic_video import synthesise_video
video = synthesise_video(MorphableModel.load(sys.argv[1]), 3, 1, 7, SyntheticVideoSettings(frames=12, size=128))
print(hashlib.sha256(b"".join(image.tobytes() for image in video.images())).hexdigest())
"""


def test_another_process_renders_the_same_frames(embedded_model, tmp_path):
    embedded_model.save(tmp_path / "model.npz")
    here = synthesise_video(embedded_model, 3, 1, 7, SETTINGS)
    digest = hashlib.sha256(b"".join(image.tobytes() for image in here.images())).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", RENDER, str(tmp_path / "model.npz")], check=True, capture_output=True, text=True
    )
    assert there.stdout.strip() == digest


def test_frames_can_be_rendered_in_any_order(embedded_model):
    video = synthesise_video(embedded_model, 0, 0, 0, SETTINGS)
    inward = [video.render(frame)[0] for frame in (5, 2)]
    images = list(video.images())
    np.testing.assert_array_equal(inward[0], images[5])
    np.testing.assert_array_equal(inward[1], images[2])


def test_clips_of_a_subject_share_the_person_but_not_the_scene(embedded_model):
    first, second, other = (
        synthesise_video(embedded_model, subject, clip, 0, SETTINGS) for subject, clip in ((0, 0), (0, 1), (1, 0))
    )
    np.testing.assert_array_equal(first.identity, second.identity)
    np.testing.assert_array_equal(first.subject.surface.skin, second.subject.surface.skin)
    assert not np.array_equal(first.expression, second.expression)
    assert not np.array_equal(first.background, second.background)
    assert not np.array_equal(first.identity, other.identity)


def test_true_landmarks_are_the_models_through_the_true_camera(embedded_model):
    video = synthesise_video(embedded_model, 2, 0, 0, SETTINGS)
    shapes = embedded_model.shape(video.identity, video.expression)
    expected = video.camera.project(embedded_model.landmarks_of(shapes))
    np.testing.assert_allclose(video.landmarks, expected, atol=1e-3)
    np.testing.assert_allclose(np.linalg.det(video.camera.rotation), 1)


def test_the_picture_shows_the_true_shape_at_the_true_place(embedded_model):
    video = synthesise_video(embedded_model, 4, 0, 0, replace(PLAIN, size=192))
    # The same scene without its subject differs from the picture just where the subject is.
    empty = replace(video, absent=np.ones(12, bool))
    for frame in (0, 11):
        vertices = embedded_model.shape(video.identity, video.expression[frame])
        points = camera_points(
            vertices, video.camera.scale[frame], video.camera.rotation[frame], video.camera.translation[frame]
        )
        silhouette = rasterise(points, embedded_model.triangles, (192, 192)).covered
        changed = np.abs(video.render(frame)[0].astype(int) - empty.render(frame)[0]).sum(-1) > 6
        assert changed[silhouette].mean() > 0.97
        above_chin = np.arange(192)[:, None] < video.landmarks[frame, 8, 1] - 5
        outside = changed & ~silhouette & above_chin
        # Only hair, which stands off the skin, may reach beyond.
        assert outside.sum() < 0.3 * silhouette.sum()


def test_the_far_side_of_a_turned_head_is_hidden(embedded_model):
    video = synthesise_video(embedded_model, 5, 0, 0, replace(PLAIN, frames=150))
    forward = video.camera.rotation @ [0, 0, 1]
    yaw = np.degrees(np.arctan2(forward[:, 0], forward[:, 2]))
    turned = int(np.argmax(np.abs(yaw)))
    assert 10 < abs(yaw[turned]) <= 46
    visible = video.render(turned)[1]
    right, left = visible[:6].mean(), visible[11:17].mean()
    # A head turned to its left shows its right side.
    near, far = (right, left) if yaw[turned] > 0 else (left, right)
    assert near >= far
    assert visible[[27, 30]].all()


def test_nothing_is_visible_while_the_subject_is_away(embedded_model):
    video = synthesise_video(embedded_model, 6, 0, 0, replace(SETTINGS, frames=60, interruption_share=1))
    assert 3 <= video.absent.sum() <= 15
    assert not video.render(int(np.argmax(video.absent)))[1].any()
    assert video.render(int(np.argmin(video.absent)))[1].any()


def test_an_occluder_hides_landmarks(embedded_model):
    settings = replace(PLAIN, occluder_share=1)
    hidden = []
    for subject in range(4):
        video = synthesise_video(embedded_model, subject, 0, 0, settings)
        unoccluded = replace(video, occluder=None)
        with_it, without = video.render(0)[1], unoccluded.render(0)[1]
        assert not (with_it & ~without).any()
        hidden.append((without & ~with_it).sum())
    assert max(hidden) > 0


def test_motion_is_smooth_and_within_its_limits(embedded_model):
    settings = replace(SETTINGS, frames=200, still_share=0)
    for subject in range(5):
        camera = synthesise_video(embedded_model, subject, 0, 0, settings).camera
        steps = np.einsum("fij,fij->f", camera.rotation[1:], camera.rotation[:-1])
        assert np.degrees(np.arccos(np.clip((steps - 1) / 2, -1, 1))).max() < 6
        assert np.linalg.norm(np.diff(camera.translation, axis=0), axis=1).max() < 0.04 * settings.size
        forward = camera.rotation @ [0, 0, 1]
        assert np.degrees(np.abs(np.arctan2(forward[:, 0], forward[:, 2]))).max() <= 46


def test_identities_are_as_wide_as_the_model_says(embedded_model):
    whitened = (
        np.stack(
            [
                synthesise_video(embedded_model, subject, 0, 0, replace(SETTINGS, frames=2)).identity
                for subject in range(12)
            ]
        )
        / embedded_model.identity_std
    )
    assert 0.9 < whitened.std() < 1.1
    assert abs(whitened.mean()) < 0.1


def test_the_mp4_and_its_truth_have_the_same_frames(embedded_model, tmp_path):
    video = synthesise_video(embedded_model, 0, 0, 0, PLAIN)
    render_video(video, tmp_path / "videos" / "0.mp4", tmp_path / "truth" / "0.npz")
    with av.open(str(tmp_path / "videos" / "0.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    truth = load_arrays(tmp_path / "truth" / "0.npz")
    assert len(decoded) == 12
    assert np.abs(decoded[7].astype(int) - video.render(7)[0]).mean() < 6
    shapes = {name: value.shape for name, value in truth.items()}
    assert shapes == {
        "identity": (157,),
        "expression": (12, 28),
        "rotation": (12, 3, 3),
        "scale": (12,),
        "translation": (12, 2),
        "landmarks": (12, 68, 2),
        "visible": (12, 68),
        "fps": (),
    }


def test_a_model_without_face_units_is_refused(small_model):
    with pytest.raises(ModelMismatchError, match="eye_local"):
        synthesise_video(small_model, 0, 0)


def test_true_landmarks_lie_on_the_head_that_is_drawn_its_resting_shape_included(embedded_model):
    video = synthesise_video(embedded_model, 2, 0, 0, replace(PLAIN, resting_spread=1.0))
    assert np.abs(video.subject.resting).max() > 1
    offsets = (video.expression @ embedded_model.expression_basis.T).reshape(len(video.expression), -1, 3)
    drawn = embedded_model.landmarks_of(video.subject.vertices + offsets)
    np.testing.assert_allclose(video.landmarks, video.camera.project(drawn), atol=0.05)
