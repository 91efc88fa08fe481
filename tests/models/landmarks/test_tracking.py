"""Which detections are the person: section III-B."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.landmarks import Detections, track_first_frame_faces


def still(frames, *, missing=(), x=100.0, y=50.0, width=80.0):
    return {frame: [(x, y, width)] for frame in range(frames) if frame not in missing}


def test_a_face_that_stays_is_tracked_to_the_end(detections_of):
    tracking = track_first_frame_faces(detections_of(still(50), 50))
    (track,) = tracking.tracks
    assert len(track) == 50
    assert track.found.all()
    assert tracking.lost == ()
    assert tracking.false_detections == 0
    assert track.timestamps == pytest.approx(np.arange(50) / 25)


def test_tracking_stops_after_the_frames_wanted(detections_of):
    faces = still(40) | {30: []}
    tracking = track_first_frame_faces(detections_of(faces, 40), frames_wanted=20)
    assert len(tracking.tracks[0]) == 20


def test_what_happens_after_the_frames_wanted_does_not_matter(detections_of):
    tracking = track_first_frame_faces(detections_of(still(20), 400), frames_wanted=20)
    assert len(tracking.tracks) == 1


@pytest.mark.parametrize(("gap", "kept"), [(1, True), (4, True), (5, False), (9, False)])
def test_a_face_may_be_missed_for_less_than_k_frames(detections_of, gap, kept):
    missing = range(10, 10 + gap)
    tracking = track_first_frame_faces(detections_of(still(40, missing=missing), 40), lost_after=5)
    if kept:
        (track,) = tracking.tracks
        assert len(track) == 40
        assert np.flatnonzero(~track.found).tolist() == list(missing)
        assert np.isnan(track.landmarks[10]).all()
        assert np.isnan(track.boxes[10]).all()
    else:
        (lost,) = tracking.lost
        assert (lost.frame, lost.tracked) == (10, 10)
        assert "5 consecutive frames" in lost.reason
        assert "frame 10" in lost.reason


def test_frames_without_the_face_at_the_end_are_left_out(detections_of):
    tracking = track_first_frame_faces(detections_of(still(20, missing=(17, 18, 19)), 20))
    assert len(tracking.tracks[0]) == 17


@pytest.mark.parametrize(("jump", "kept"), [(39.0, True), (41.0, False)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_jump_beyond_half_the_width_is_another_face(detections_of, jump, kept, axis):
    place = [100.0, 50.0]
    place[axis] += jump
    faces = still(10) | {frame: [(*place, 80.0)] for frame in range(10, 30)}
    tracking = track_first_frame_faces(detections_of(faces, 30), margin=0.5)
    assert len(tracking.tracks) == (1 if kept else 0)
    assert tracking.false_detections == (0 if kept else 20)


def test_a_face_that_suddenly_doubles_is_another_face(detections_of):
    faces = still(10) | {frame: [(100, 50, 160)] for frame in range(10, 30)}
    assert track_first_frame_faces(detections_of(faces, 30)).tracks == ()


def test_slow_motion_across_the_whole_frame_is_followed(detections_of):
    faces = {frame: [(10.0 + 20 * frame, 50.0, 80.0)] for frame in range(30)}
    (track,) = track_first_frame_faces(detections_of(faces, 30)).tracks
    assert track.boxes[-1, 0] == pytest.approx(10 + 20 * 29)


def test_detections_that_are_not_of_the_first_frame_are_removed_and_counted(detections_of):
    faces = {frame: [(100, 50, 80), (400, 100, 50)] if frame in (5, 6, 7) else [(100, 50, 80)] for frame in range(20)}
    tracking = track_first_frame_faces(detections_of(faces, 20))
    assert len(tracking.tracks) == 1
    assert tracking.false_detections == 3
    assert (tracking.tracks[0].boxes[:, 0] == 100).all()


def test_every_face_of_the_first_frame_is_followed_and_the_largest_comes_first(detections_of):
    faces = {frame: [(10, 10, 50), (200 + frame, 50, 90)] for frame in range(20)}
    faces |= {frame: [(200 + frame, 50, 90)] for frame in range(12, 20)}
    tracking = track_first_frame_faces(detections_of(faces, 20))
    assert [track.face for track in tracking.tracks] == [0]
    assert tracking.tracks[0].boxes[0, 2] - tracking.tracks[0].boxes[0, 0] == 90
    assert [(lost.face, lost.frame) for lost in tracking.lost] == [(1, 12)]


def test_no_face_in_the_first_frame_is_a_lost_track(detections_of):
    tracking = track_first_frame_faces(detections_of(still(20, missing=(0,)), 20))
    assert tracking.tracks == ()
    assert tracking.lost[0].frame == 0
    assert "first frame" in tracking.lost[0].reason
    assert tracking.false_detections == 19


@pytest.mark.parametrize("frames", [0, 7])
def test_a_video_without_any_face_is_a_lost_track(detections_of, frames):
    tracking = track_first_frame_faces(detections_of({}, frames))
    assert tracking.tracks == ()
    assert len(tracking.lost) == 1
    assert tracking.false_detections == 0


def two_faces_on_random_walks(seed):
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 12, (30, 3, 2)).cumsum(0) + np.array([[60, 60], [150, 80], [300, 150]])
    faces = {}
    for frame in range(30):
        seen = [(*steps[frame, k], 70.0 + k) for k in range(3) if rng.uniform() < 0.9 and (k < 2 or frame > 5)]
        faces[frame] = seen
    return faces


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_of_the_detections_in_a_frame_changes_nothing(seed, random):
    faces = two_faces_on_random_walks(seed)
    shuffled = {frame: random.sample(seen, len(seen)) for frame, seen in faces.items()}
    first, second = (track_first_frame_faces(_detections(each)) for each in (faces, shuffled))
    assert first.lost == second.lost
    assert first.false_detections == second.false_detections
    assert len(first.tracks) == len(second.tracks)
    for a, b in zip(first.tracks, second.tracks, strict=True):
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_array_equal(a.landmarks, b.landmarks)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.1, 10), st.floats(-500, 500))
def test_tracking_does_not_depend_on_where_and_how_large_the_picture_is(seed, scale, shift):
    faces = two_faces_on_random_walks(seed)
    moved = {
        frame: [(x * scale + shift, y * scale - shift, width * scale) for x, y, width in seen]
        for frame, seen in faces.items()
    }
    first, second = (track_first_frame_faces(_detections(each)) for each in (faces, moved))
    # Rounding may decide which of two equally large faces comes first.
    assert sorted(map(len, first.tracks)) == sorted(map(len, second.tracks))
    assert [lost.frame for lost in first.lost] == [lost.frame for lost in second.lost]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_no_track_misses_k_frames_on_end_or_jumps(seed):
    tracking = track_first_frame_faces(_detections(two_faces_on_random_walks(seed)), lost_after=3)
    for track in tracking.tracks:
        assert track.found[0]
        assert track.found[-1]
        gaps = np.diff(np.flatnonzero(track.found)) - 1
        assert gaps.max(initial=0) < 3
        boxes = track.boxes[track.found]
        widths = boxes[:-1, 2] - boxes[:-1, 0]
        assert (np.abs(np.diff(boxes, axis=0)).max(1) <= 0.5 * widths + 1e-3).all()


def _detections(faces) -> Detections:
    rows = [(frame, *face) for frame in sorted(faces) for face in faces[frame]]
    values = np.array(rows, np.float32).reshape(-1, 4)
    index = values[:, 0].astype(np.int64)
    boxes = np.concatenate([values[:, 1:3], values[:, 1:3] + values[:, 3:]], 1)
    times = np.arange(max(faces) + 1) / 25
    return Detections(
        landmarks=np.repeat(boxes[:, None, :2], 68, 1),
        boxes=boxes,
        score=np.ones(len(rows), np.float32),
        frame_index=index,
        timestamps=times[index],
        frame_times=times,
        size=np.array([640, 360]),
    )
