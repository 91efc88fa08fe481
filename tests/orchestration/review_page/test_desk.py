"""The videos that all pages share follow the pipeline, and outlive what cannot be read for a moment."""

from types import SimpleNamespace

import pytest

from models.errors import DeepExp3DError
from orchestration.review_page import desk
from orchestration.review_page.desk import Desk


@pytest.fixture
def disk(monkeypatch):
    """The fits as they lie on the disk: tracks, version, how often they were read, and what is raised instead."""
    state = SimpleNamespace(tracks=["a", "b"], version=0, reads=0, error=None)

    def fitted_videos(_):
        state.reads += 1
        if state.error is not None:
            raise state.error
        return [SimpleNamespace(track_id=track) for track in state.tracks]

    monkeypatch.setattr(desk, "fitted_videos", fitted_videos)
    monkeypatch.setattr(desk, "fits_version", lambda _: state.version)
    return state


def test_fits_are_read_again_when_they_are_others_and_only_then(disk):
    shared = Desk(workspace=None)
    before = shared.videos
    shared.follow()
    assert shared.videos is before
    disk.tracks, disk.version = ["c", "a", "b"], 1
    shared.follow()
    assert list(before) == ["a", "b"]
    assert list(shared.videos) == ["c", "a", "b"]
    assert disk.reads == 2


@pytest.mark.parametrize("error", [DeepExp3DError("no video is fitted yet"), FileNotFoundError("a.npz")])
def test_what_cannot_be_read_leaves_the_videos_as_they_were_until_the_next_change(disk, error):
    shared = Desk(workspace=None)
    disk.version, disk.error = 1, error
    shared.follow()
    shared.follow()
    assert list(shared.videos) == ["a", "b"]
    assert disk.reads == 2
    disk.version, disk.error, disk.tracks = 2, None, ["d"]
    shared.follow()
    assert list(shared.videos) == ["d"]
