"""Broken files go through the stage that takes videos in: each gets its row, and none stops it.

A thousand of them: `python -m benchmarks.ingest_fuzzing --files 1000`.
"""

from dataclasses import replace

import pytest

from benchmarks.ingest_fuzzing import Outcome, ingest, sound_clips, write_broken_files
from tests.workspace_fixture import make_project

FILES = 100


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return sound_clips(tmp_path_factory.mktemp("fuzzing") / "sound")


def test_broken_files_come_out_with_a_row_each_and_leave_nothing_half_written(clips, tmp_path):
    project = make_project(tmp_path)
    write_broken_files(project.data("incoming"), FILES, seed=1, clips=clips)
    outcome = ingest(project, limit_s=500)
    assert outcome.faultless, outcome
    assert outcome.files == FILES
    assert min(outcome.used, outcome.refused) > FILES // 5, "files all of one outcome would test little"


def test_one_seed_breaks_files_in_one_way(clips, tmp_path):
    def contents(name, seed):
        write_broken_files(tmp_path / name, 20, seed, clips)
        return [file.read_bytes() for file in sorted((tmp_path / name).iterdir())]

    first = contents("first", seed=3)
    assert contents("second", seed=3) == first
    assert contents("third", seed=4) != first


@pytest.mark.parametrize(
    "fault",
    [
        {"returncode": None},
        {"returncode": -11},
        {"missing": 1},
        {"without_reason": 1},
        {"temporary": 1},
        {"used": 4},
    ],
)
def test_whatever_goes_wrong_is_a_fault(fault):
    faultless = Outcome(
        files=10,
        used=6,
        refused=4,
        missing=0,
        without_reason=0,
        temporary=0,
        refused_when_read=0,
        returncode=0,
        seconds=1.0,
    )
    assert faultless.faultless
    assert not replace(faultless, **fault).faultless
