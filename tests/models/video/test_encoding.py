"""Writing videos."""

import av
import numpy as np
import pytest

from models.errors import DiskFullError, VideoError
from models.video.decoding import probe, read_frames
from models.video.encoding import write_video


def test_what_is_written_is_read_back(tmp_path, moving_square):
    images = moving_square(20)
    assert write_video(tmp_path / "a.mp4", iter(images), fps=30, crf=10) == 20
    info = probe(tmp_path / "a.mp4")
    assert (info.frames, info.width, info.height, info.codec, info.pixel_format) == (20, 96, 64, "h264", "yuv420p")
    assert info.fps == pytest.approx(30)
    frames = list(read_frames(tmp_path / "a.mp4", max_side=1000))
    assert max(np.abs(f.image.astype(int) - i).mean() for f, i in zip(frames, images, strict=True)) < 12


def test_the_same_images_give_the_same_bytes(tmp_path, moving_square):
    rng = np.random.default_rng(0)
    written = set()
    for _ in range(60):
        # Memory of other sizes and contents, of which none may show.
        held = [rng.bytes(int(size)) for size in rng.integers(1_000, 4_000_000, 3)]
        assert held
        write_video(tmp_path / "a.mp4", moving_square(30), fps=29.97)
        written.add((tmp_path / "a.mp4").read_bytes())
    assert len(written) == 1
    assert probe(tmp_path / "a.mp4").fps == pytest.approx(29.97)


def test_an_odd_side_loses_its_last_line(tmp_path):
    write_video(tmp_path / "a.mp4", [np.zeros((65, 97, 3), np.uint8)], fps=25)
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height) == (96, 64)


@pytest.mark.parametrize("images", [[], [np.zeros((64, 64, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)]])
def test_images_that_make_no_video_leave_no_file(tmp_path, images):
    with pytest.raises(VideoError, match=r"a\.mp4"):
        write_video(tmp_path / "a.mp4", images, fps=25)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_among_the_images_keeps_the_file_that_was_there(tmp_path, moving_square):
    def failing():
        yield from moving_square(5)
        raise KeyboardInterrupt

    write_video(tmp_path / "a.mp4", moving_square(3), fps=25)
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", failing(), fps=25)
    assert (tmp_path / "a.mp4").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_full_disk_is_named_and_nothing_half_written_stays(tmp_path, monkeypatch):
    real_open = av.open
    # Every write to this device fails for lack of space.
    monkeypatch.setattr(av, "open", lambda path, mode, **_: real_open("/dev/full", mode, format="matroska"))
    noise = np.random.default_rng(0).integers(0, 255, (40, 256, 256, 3)).astype(np.uint8)
    with pytest.raises(DiskFullError, match=r"a\.mp4: no space left"):
        write_video(tmp_path / "a.mp4", noise, fps=25)
    assert list(tmp_path.iterdir()) == []
