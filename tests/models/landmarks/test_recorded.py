"""Landmarks that the user already has."""

import csv

import numpy as np
import pytest

from models.errors import NoFaceError, VideoError
from models.landmarks import Detections, landmark_video, load_backend
from models.video import write_video

OPTIONS = {"max_frames": 100, "redetect_every": 10, "max_side": 640}


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform(0, 60, (6, 68, 2)).astype(np.float32)


@pytest.fixture
def clip(tmp_path):
    write_video(tmp_path / "clip.mp4", np.zeros((6, 64, 64, 3), np.uint8), fps=25)
    return tmp_path / "clip.mp4"


def write_csv(path, points, frames, first_column="frame_index", **columns):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        names = [f"x_{k}" for k in range(68)] + [f"y_{k}" for k in range(68)]
        writer.writerow([first_column, *columns, *names])
        for row, frame in enumerate(frames):
            extra = [values[row] for values in columns.values()]
            writer.writerow([frame, *extra, *points[row, :, 0], *points[row, :, 1]])


def test_an_npz_gives_its_points_with_the_times_of_the_video(clip, points):
    np.savez(clip.with_suffix(".npz"), landmarks=points)
    detections = landmark_video(clip, load_backend("recorded", folder=clip.parent), **OPTIONS)
    np.testing.assert_array_equal(detections.landmarks, points)
    assert detections.timestamps == pytest.approx(np.arange(6) / 25)
    assert detections.size.tolist() == [64, 64]
    np.testing.assert_array_equal(detections.boxes[:, :2], points.min(1))


def test_what_landmark_video_saves_is_a_recorded_file(clip, points):
    np.savez(clip.with_suffix(".npz"), landmarks=points)
    backend = load_backend("recorded", folder=clip.parent)
    first = landmark_video(clip, backend, **OPTIONS)
    first.save(clip.with_suffix(".npz"))
    second = landmark_video(clip, backend, **OPTIONS)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)
    np.testing.assert_array_equal(first.frame_index, second.frame_index)


def test_a_csv_counts_frames_from_0_and_needs_no_order(clip, points):
    write_csv(clip.with_suffix(".csv"), points[[3, 0, 5]], [3, 0, 5], score=[0.3, 0.1, 0.5])
    detections = landmark_video(clip, load_backend("recorded", folder=clip.parent), **OPTIONS)
    assert detections.frame_index.tolist() == [0, 3, 5]
    np.testing.assert_allclose(detections.landmarks, points[[0, 3, 5]], rtol=1e-6)
    assert detections.score == pytest.approx([0.1, 0.3, 0.5])
    assert detections.frame_count == 6


def test_openface_counts_frames_from_1_and_marks_failures(clip, points):
    path = clip.with_suffix(".csv")
    write_csv(path, points[:3], [1, 2, 3], "frame", confidence=[0.9, 0.2, 0.8], success=[1, 0, 1])
    path.write_text(path.read_text().replace(",", ", "))
    detections = landmark_video(clip, load_backend("recorded", folder=clip.parent), **OPTIONS)
    assert detections.frame_index.tolist() == [0, 2]
    assert detections.score == pytest.approx([0.9, 0.8])


def test_only_the_frames_asked_for_are_taken(clip, points):
    np.savez(clip.with_suffix(".npz"), landmarks=points)
    detections = landmark_video(clip, load_backend("recorded", folder=clip.parent), **(OPTIONS | {"max_frames": 4}))
    assert (len(detections), detections.frame_count) == (4, 4)


def test_a_video_without_its_file_says_where_to_put_it(clip):
    with pytest.raises(NoFaceError, match=r"clip\.npz or clip\.csv"):
        landmark_video(clip, load_backend("recorded", folder=clip.parent), **OPTIONS)


def test_points_of_a_longer_video_are_refused(clip, points):
    np.savez(clip.with_suffix(".npz"), landmarks=points, frame_index=np.arange(6) + 1)
    with pytest.raises(VideoError, match="frames 1 to 6"):
        landmark_video(clip, load_backend("recorded", folder=clip.parent), **OPTIONS)


@pytest.mark.parametrize("content", [{"points": np.zeros(3)}, {"landmarks": np.zeros((6, 51, 2))}])
def test_an_npz_of_another_kind_is_refused(clip, content):
    np.savez(clip.with_suffix(".npz"), **content)
    with pytest.raises(VideoError, match=r"clip\.npz"):
        landmark_video(clip, load_backend("recorded", folder=clip.parent), **OPTIONS)


def test_an_npz_with_a_pickle_in_it_is_not_unpickled(clip):
    np.savez(clip.with_suffix(".npz"), landmarks=np.array([{"a": 1}], dtype=object))
    with pytest.raises(VideoError, match=r"clip\.npz"):
        landmark_video(clip, load_backend("recorded", folder=clip.parent), **OPTIONS)


def test_a_csv_without_a_column_names_it(clip, points):
    path = clip.with_suffix(".csv")
    write_csv(path, points[:1], [0])
    path.write_text(path.read_text().replace("y_67", "z_67"))
    with pytest.raises(VideoError, match="y_67"):
        landmark_video(clip, load_backend("recorded", folder=clip.parent), **OPTIONS)


def test_a_single_image_has_no_recorded_points(tmp_path):
    with pytest.raises(NoFaceError, match="videos"):
        load_backend("recorded", folder=tmp_path).detect(np.zeros((9, 9, 3), np.uint8))


def test_a_file_that_holds_no_landmarks_is_refused_on_loading(tmp_path):
    with pytest.raises(VideoError, match="no landmarks here"):
        Detections.load(tmp_path / "gone.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(VideoError, match=r"text\.npz"):
        Detections.load(tmp_path / "text.npz")


def test_without_a_folder_it_says_which_parameter_names_one():
    for options in ({}, {"folder": None}):
        with pytest.raises(NoFaceError, match=r"landmarks: recorded_folder in params\.yaml"):
            load_backend("recorded", **options)
