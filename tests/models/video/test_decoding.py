"""Reading good, odd and bad videos."""

import errno
import os
from fractions import Fraction

import av
import numpy as np
import pytest

from models.errors import VideoError
from models.video import decoding
from models.video.decoding import frame_times, probe, read_frames, read_frames_at


def images_of(path, max_side=10_000, **options):
    return [frame.image for frame in read_frames(path, max_side=max_side, **options)]


def is_red(image, row, column):
    red, green, blue = image[row, column].astype(int)
    return red > 80 and red > 2 * max(green, blue)


def test_a_plain_clip_is_described_and_read_whole(make_video, moving_square):
    path = make_video(images=moving_square(12))
    info = probe(path)
    assert (info.frames, info.width, info.height, info.codec) == (12, 96, 64, "h264")
    assert info.fps == pytest.approx(25)
    assert info.duration == pytest.approx(12 / 25)
    assert not info.variable_frame_rate
    assert info.damage == ""
    frames = list(read_frames(path, max_side=1000))
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx(np.arange(12) / 25)
    # Of the colours of the noise little is left in yuv420p; its brightness stays.
    assert np.abs(frames[5].image.mean(2) - moving_square(12)[5].mean(2)).mean() < 8


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mov", "mpeg4"), ("a.avi", "mpeg4"), ("a.mkv", "ffv1"), ("a.webm", "libvpx-vp9")],
)
def test_every_container_gives_all_its_frames(make_video, moving_square, name, codec):
    path = make_video(name, moving_square(12), codec=codec)
    assert probe(path).frames == len(images_of(path)) == 12


@pytest.mark.parametrize(
    ("rotation", "size", "red_corner"),
    [(-90, (64, 96), (0, -1)), (90, (64, 96), (-1, 0)), (180, (96, 64), (-1, -1)), (0, (96, 64), (0, 0))],
)
def test_a_turned_phone_clip_comes_upright(make_video, rotation, size, red_corner):
    path = make_video(rotation=rotation)
    info = probe(path)
    assert (info.width, info.height) == size
    assert info.rotation == rotation
    image = images_of(path)[0]
    assert image.shape == (size[1], size[0], 3)
    row, column = (4 if end == 0 else -5 for end in red_corner)
    assert is_red(image, row, column)
    assert not is_red(image, -1 - row, -1 - column)


def test_variable_frame_rate_keeps_its_timestamps(make_video, moving_square):
    times = np.cumsum([0, 0.04, 0.12, 0.04, 0.08, 0.2, 0.04, 0.04])
    path = make_video(images=moving_square(8), times=times)
    info = probe(path)
    assert info.variable_frame_rate
    assert info.fps == pytest.approx(7 / times[-1], rel=1e-3)
    assert [frame.time for frame in read_frames(path, max_side=100)] == pytest.approx(times, abs=2e-3)
    assert frame_times(path) == pytest.approx(times, abs=2e-3)


def test_rounded_timestamps_are_not_taken_for_a_variable_frame_rate(make_video, moving_square):
    path = make_video("a.mkv", moving_square(30), times=np.round(np.arange(30) / 30, 3))
    assert not probe(path).variable_frame_rate


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [("libx264", "yuv420p10le"), ("ffv1", "yuv420p10le"), ("ffv1", "gray"), ("ffv1", "gray10le"), ("ffv1", "yuv444p")],
)
def test_grey_and_deep_colour_come_as_8_bit_rgb(make_video, moving_square, codec, pixel_format):
    path = make_video("a.mkv", moving_square(3), codec=codec, pixel_format=pixel_format)
    image = images_of(path)[0]
    assert probe(path).pixel_format == pixel_format
    assert image.dtype == np.uint8
    assert image.shape == (64, 96, 3)
    assert (image == image[..., :1]).all() if pixel_format.startswith("gray") else is_red(image, 4, 4)


def test_an_8k_frame_is_scaled_down_and_its_points_go_back(make_video):
    image = np.zeros((4320, 7680, 3), np.uint8)
    image[2160:, 3840:] = 255
    path = make_video("a.mov", [image], codec="mjpeg", pixel_format="yuvj420p")
    (frame,) = read_frames(path, max_side=1280)
    assert (probe(path).width, probe(path).height) == (7680, 4320)
    assert frame.image.shape == (720, 1280, 3)
    edge = np.argmax(frame.image[-1, :, 0] > 128)
    assert frame.to_video(np.array([edge - 0.5, 10.0]))[0] == pytest.approx(3839.5, abs=3)
    assert frame.from_video(frame.to_video(np.array([3.0, 4.0]))) == pytest.approx([3, 4])


def test_oblong_pixels_are_made_square(make_video):
    path = make_video(aspect=Fraction(4, 3))
    assert (probe(path).width, probe(path).height) == (128, 64)
    assert images_of(path)[0].shape == (64, 128, 3)


def test_start_and_limit_cut_out_the_same_frames(make_video, moving_square):
    path = make_video(images=moving_square(12))
    whole = list(read_frames(path, max_side=1000))
    part = list(read_frames(path, max_side=1000, start=4, limit=3))
    assert [frame.index for frame in part] == [4, 5, 6]
    assert all((a.image == b.image).all() and a.time == b.time for a, b in zip(part, whole[4:7], strict=True))


def test_a_video_cut_off_half_way_gives_the_frames_before(make_video, moving_square):
    path = make_video(images=moving_square(60), muxer={"movflags": "faststart"})
    whole = images_of(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    info = probe(path)
    assert "cut off" in info.damage
    assert 20 < info.frames < 45
    part = images_of(path)
    assert len(part) == info.frames
    assert all((a == b).all() for a, b in zip(part, whole, strict=False))


def test_a_stretch_of_rubbish_costs_only_the_frames_it_hits(make_video, moving_square):
    path = make_video("a.avi", moving_square(60), codec="mjpeg", pixel_format="yuvj420p")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 6000] = bytes(6000)
    path.write_bytes(content)
    assert 45 < len(images_of(path)) <= 60


def refused(path):
    with pytest.raises(VideoError) as failure:
        probe(path)
    with pytest.raises(VideoError):
        images_of(path)
    assert str(path) in str(failure.value)
    return str(failure.value)


def test_a_video_without_its_index_says_so(make_video, moving_square):
    path = make_video(images=moving_square(30))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "moov" in refused(path)


def test_a_text_file_is_not_a_video(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("these are notes\n" * 100)
    assert "not a video" in refused(path)


def test_an_empty_file_says_so(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    assert "0 bytes" in refused(path)


@pytest.mark.parametrize(
    ("name", "codec", "reason"), [("a.mp4", "libx264", "is empty"), ("a.avi", "mpeg4", "no frame")]
)
def test_a_video_of_no_frames_is_refused(make_video, name, codec, reason):
    path = make_video(name, [], codec=codec)
    assert path.stat().st_size > 0
    assert reason in refused(path)


def test_sound_alone_is_refused(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "no video stream" in refused(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    assert "no such file" in refused(tmp_path / "nowhere.mp4")
    assert "folder" in refused(tmp_path)


def test_a_file_that_may_not_be_read_names_the_permission(make_video, monkeypatch):
    path = make_video()
    path.chmod(0)
    if os.geteuid() == 0:
        # The superuser may read everything: refuse in the system's place.
        def forbidden(self, *_):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

        monkeypatch.setattr(type(path), "open", forbidden)
    assert "may not be read" in refused(path)


def test_a_playlist_in_disguise_opens_nothing_else(make_video, tmp_path):
    target = make_video("target.mp4")
    path = tmp_path / "list.mp4"
    path.write_text(f"ffconcat version 1.0\nfile '{target}'\n")
    refused(path)


def test_a_mirrored_clip_of_a_front_camera_comes_as_displayed(tmp_path, moving_square):
    path = tmp_path / "mirrored.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_matrix([-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30])
        for image in moving_square(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    image = images_of(path)[0]
    assert is_red(image, 4, -5)
    assert not is_red(image, 4, 4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("long.mp4", {}),
        ("many_keys.mp4", {"codec": "mpeg4"}),
        ("all_keys.mkv", {"codec": "ffv1"}),
        ("turned.mp4", {"rotation": 90}),
        ("uneven.mp4", {"times": np.cumsum(np.tile([0.04, 0.12, 0.04, 0.2, 0.01], 60))}),
        ("without_a_clock.h264", {}),
    ],
)
def test_frames_are_found_by_their_times_without_reading_all(make_video, moving_square, name, options):
    path = make_video(name, moving_square(300), **options)
    whole = list(read_frames(path, max_side=1000))
    wanted = [297, 0, 3, 4, 130, 255, 256]
    found = list(read_frames_at(path, [whole[index].time for index in wanted], max_side=1000))
    assert [frame.index for frame in found] == sorted(wanted)
    assert all((frame.image == whole[frame.index].image).all() for frame in found)
    assert all(frame.time == pytest.approx(whole[frame.index].time) for frame in found)


def test_only_what_lies_behind_a_key_frame_is_decoded(make_video, moving_square, monkeypatch):
    path = make_video("a.mkv", moving_square(100), codec="ffv1")
    decoded = []
    real = decoding._decoded
    monkeypatch.setattr(decoding, "_decoded", lambda *given: (decoded.append(p) or p for p in real(*given)))
    (frame,) = read_frames_at(path, [90 / 25], max_side=1000)
    assert frame.index == 90
    assert len(decoded) < 20


def test_a_time_at_which_nothing_is_shown_gives_no_frame(make_video, moving_square):
    path = make_video(images=moving_square(12))
    assert [frame.index for frame in read_frames_at(path, [3 / 25, 2.0], max_side=1000)] == [3]
    assert list(read_frames_at(path, [], max_side=1000)) == []


def test_frames_are_found_in_a_damaged_video(make_video, moving_square):
    path = make_video(images=moving_square(300), muxer={"movflags": "faststart"})
    whole = {frame.index: frame for frame in read_frames(path, max_side=1000)}
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])
    left = [frame.time for frame in read_frames(path, max_side=1000)]
    found = list(read_frames_at(path, [left[0], left[50]], max_side=1000))
    assert [frame.index for frame in found] == [0, 50]
    assert (found[1].image == whole[50].image).all()
