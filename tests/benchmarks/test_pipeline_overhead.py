"""What the measurements of order among thousands of videos rest on."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from assets.workspace import Workspace
from benchmarks.pipeline_overhead.cluster import _Watch
from benchmarks.pipeline_overhead.orchestration import page_seconds
from benchmarks.pipeline_overhead.project import _there_and_back, make_project, write_copies
from models.video.decoding import probe, read_frames
from models.video.manifest import describe_video
from tests.odd_videos import encode


@pytest.fixture
def clip(tmp_path):
    rng = np.random.default_rng(0)
    return encode(tmp_path / "clip.mp4", list(rng.integers(0, 255, (5, 48, 64, 3), np.uint8)))


def test_copies_differ_in_content_and_not_in_pictures(clip, tmp_path):
    write_copies(clip, tmp_path / "copies", 4)
    copies = sorted((tmp_path / "copies").iterdir())
    assert len({describe_video(copy, "user", None, "")["sha256"] for copy in copies}) == 4
    expected = [frame.image for frame in read_frames(clip, max_side=64)]
    for copy in copies:
        assert probe(copy).damage == ""
        np.testing.assert_array_equal([frame.image for frame in read_frames(copy, max_side=64)], expected)


def test_where_there_is_no_browser_the_page_is_left_out_and_that_is_said(tmp_path, capsys):
    assert page_seconds(make_project(tmp_path / "project", {}), chromium=None, picture=None) == {}
    assert "Chromium" in capsys.readouterr().out


def test_frames_go_there_and_back():
    images = [np.full((1, 1, 3), value, np.uint8) for value in range(3)]
    assert [int(image[0, 0, 0]) for image in _there_and_back(images, 7)] == [0, 1, 2, 1, 0, 1, 2]


def test_a_project_takes_its_parameters(tmp_path):
    project = make_project(tmp_path / "project", {"machine.workers": 3, "execution.ray.retries": 7})
    assert Workspace.open(project.root).params.execution.ray.retries == 7
    assert project.workers == 3


def test_a_video_that_is_written_again_or_lost_is_noticed(tmp_path):
    folder = tmp_path / "landmarks"
    folder.mkdir()
    watch = _Watch(SimpleNamespace(data=lambda stage: folder))
    for name in ("a.npz", "b.npz", "c.npz", ".half-written.npz"):
        (folder / name).touch()
    assert set(watch.look()) == {"a.npz", "b.npz", "c.npz"}
    watch.look()
    assert watch.rewritten == 0
    os.utime(folder / "a.npz", ns=(1, 1))
    (folder / "b.npz").unlink()
    watch.look()
    assert watch.rewritten == 2
