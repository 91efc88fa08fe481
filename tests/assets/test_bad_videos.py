"""Every kind of bad or odd footage in one project: each gets its outcome and its reason, and stops no other."""

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from assets.batches import read_index
from assets.landmarks import detect_landmarks
from assets.pruned_videos import prune_videos
from assets.raw_videos import all_batches, describe_raw_videos, read_manifest, take_in
from assets.reconstructions import fit_reconstructions
from assets.tracked_landmarks import track_landmarks
from models.errors import VideoError
from models.storage import load_arrays
from tests.odd_videos import cut_off, encode

STAGES = (describe_raw_videos, detect_landmarks, track_landmarks, fit_reconstructions, prune_videos)
GREY = np.full((192, 192, 3), 110, np.uint8)
VARYING = np.cumsum([0.0, *np.tile([0.03, 0.03, 0.09], 8)])[:24]
# File -> text of the reason for which the manifest refuses it.
REFUSED = {
    "text.mp4": "is not a video",
    "truncated.mp4": "cut off before its index",
    "zero.mp4": "is empty (0 bytes)",
    "no_frames.mp4": "is empty, or sound only",
    "forbidden.mp4": "may not be read",
}
GOOD = ("good_a", "good_b", "portrait", "variable", "8k", "grey", "ten_bit", "half_copied")


def fill(folder: Path, person: list[np.ndarray], another: list[np.ndarray]) -> None:
    """Write the footage: two good clips, and one of every other kind."""
    folder.mkdir()
    encode(folder / "good_a.mp4", person)
    encode(folder / "good_b.mp4", another)
    (folder / "text.mp4").write_text("these are notes\n" * 50)
    cut_off(encode(folder / "truncated.mp4", person), 0.5)
    there_and_back = [*person, *person[::-1]]
    cut_off(encode(folder / "half_copied.mp4", there_and_back, muxer={"movflags": "faststart"}), 0.7)
    (folder / "zero.mp4").touch()
    encode(folder / "no_frames.mp4", [])
    encode(folder / "forbidden.mp4", person[:5]).chmod(0)
    encode(folder / "no_face.mp4", [GREY] * 12)
    encode(folder / "leaves.mp4", [*person[:12], *[GREY] * 12])
    encode(folder / "comes_late.mp4", [*[GREY] * 8, *person[:12]])
    encode(folder / "two.mp4", [np.hstack(pair) for pair in zip(person, another, strict=True)])
    # Stored turned to the left and marked to be turned back, as a phone held upright writes it.
    encode(folder / "portrait.mp4", [np.ascontiguousarray(np.rot90(_upright(image))) for image in person], rotation=-90)
    encode(folder / "variable.mp4", person, times=VARYING)
    encode(folder / "8k.mov", [_as_8k(image) for image in person[:4]], codec="mjpeg", pixel_format="yuvj420p")
    encode(folder / "grey.mkv", person, codec="ffv1", pixel_format="gray")
    encode(folder / "ten_bit.mkv", person, pixel_format="yuv420p10le")


def _upright(image: np.ndarray) -> np.ndarray:
    """Higher than wide."""
    return np.vstack([image, GREY[:64]])


def _as_8k(image: np.ndarray) -> np.ndarray:
    frame = np.zeros((4320, 7680, 3), np.uint8)
    frame[:, 1680:6000] = cv2.resize(image, (4320, 4320), interpolation=cv2.INTER_LINEAR)
    return frame


@pytest.fixture(scope="module")
def project(new_project, filmed, tmp_path_factory):
    """The project after all stages up to pruning."""
    folder = tmp_path_factory.mktemp("bad")
    fill(folder / "clips", filmed(0), filmed(1))
    # The same two faces over and over leave the automatic threshold no width; this test is not about identities.
    parameters = {"raw_videos.videos_per_partition": 10, "pruning.identity_least": 5.0}
    workspace = new_project(folder / "project", **parameters)
    take_in(workspace, folder / "clips")
    opened = Path.open

    def guarded(self, *arguments, **options):
        # The superuser may read everything: refuse in the system's place.
        if self.name == "forbidden.mp4":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return opened(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        if os.geteuid() == 0:
            patch.setattr(Path, "open", guarded)
        for stage in STAGES:
            assert stage(workspace).pending == ()
    return workspace


@pytest.fixture(scope="module")
def manifest(project) -> pd.DataFrame:
    """Rows of the manifest by file name."""
    table = read_manifest(project)
    return table.set_index(table.path.map(lambda path: Path(path).name))


@pytest.fixture(scope="module")
def verdicts(project) -> pd.DataFrame:
    """Rows of `videos.parquet` by the name of the file, with `-face2` for a second face."""
    table = pd.read_parquet(project.data("pruned_videos", "videos.parquet"))
    face = table.video_id.str.extract(r"(-face\d+)$")[0].fillna("")
    return table.set_index(table.source_video.str.removeprefix("user-").str.rsplit("-", n=1).str[0] + face)


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_used_is_in_the_manifest_with_its_reason(manifest, verdicts, name):
    row = manifest.loc[name]
    assert row.status == "refused"
    assert name in row.reason
    assert REFUSED[name] in row.reason
    verdict = verdicts.loc[Path(name).stem]
    assert (verdict.kept, verdict.stage, verdict.reason) == (False, "unreadable", row.reason)


@pytest.mark.parametrize("name", GOOD)
def test_good_and_merely_odd_videos_get_through(project, manifest, verdicts, name):
    row = verdicts.loc[name]
    assert (row.kept, row.stage) == (True, "")
    fit = load_arrays(project.data("reconstructions", row.partition, f"{row.video_id}.npz"))
    assert len(fit["expression"]) == row.frames > 0
    assert np.median(fit["residual"]) < 0.05


def test_odd_videos_are_described_as_they_are(manifest):
    assert (manifest.width["portrait.mp4"], manifest.height["portrait.mp4"]) == (192, 256)
    assert manifest.rotation["portrait.mp4"] == -90
    assert manifest.variable_frame_rate["variable.mp4"]
    assert not manifest.variable_frame_rate["good_a.mp4"]
    assert (manifest.width["8k.mov"], manifest.height["8k.mov"]) == (7680, 4320)
    assert manifest.pixel_format["grey.mkv"] == "gray"
    assert manifest.pixel_format["ten_bit.mkv"] == "yuv420p10le"
    assert "cut off" in manifest.reason["half_copied.mp4"]


def test_a_video_of_variable_rate_keeps_its_true_times(project, verdicts):
    row = verdicts.loc["variable"]
    track = load_arrays(project.data("tracked_landmarks", row.partition, f"{row.video_id}.npz"))
    assert track["timestamps"] - track["timestamps"][0] == pytest.approx(VARYING, abs=2e-3)


def test_turned_and_huge_frames_give_the_landmarks_of_the_upright_face(project, verdicts):
    def first_points(name):
        row = verdicts.loc[name]
        return load_arrays(project.data("landmarks", row.partition, f"{row.video_id}.npz"))["landmarks"][0]

    plain = first_points("good_a")
    size = np.ptp(plain[:, 0])
    assert np.abs(first_points("portrait") - plain).mean() < 0.03 * size
    large = (first_points("8k") - [1680, 0] + 0.5) * 192 / 4320 - 0.5
    assert np.abs(large - plain).mean() < 0.03 * size


def test_a_video_without_a_face_is_refused_by_the_detector(verdicts):
    row = verdicts.loc["no_face"]
    assert (row.kept, row.stage) == (False, "no_face")
    assert "no_face.mp4: no face in any of 12 frames" in row.reason


def test_a_face_lost_half_way_is_a_lost_track(verdicts):
    row = verdicts.loc["leaves"]
    assert (row.kept, row.stage, row.frames) == (False, "lost_track", 12)
    assert "missed in 5 consecutive frames from frame 12 on" in row.reason


def test_a_face_that_comes_late_is_not_the_first_frames(verdicts):
    row = verdicts.loc["comes_late"]
    assert (row.kept, row.stage, row.reason) == (False, "lost_track", "no face in the first frame")


def test_two_faces_are_two_tracks_of_two_people(verdicts):
    first, second = verdicts.loc["two"], verdicts.loc["two-face2"]
    assert first.kept
    assert second.kept
    assert first.subject != second.subject
    assert first.source_video == second.source_video
    assert first.frames == second.frames == 24


def test_every_index_names_exactly_the_files_that_are_there(project):
    batches = all_batches(project)
    assert len(batches) == 2
    for stage in ("landmarks", "tracked_landmarks", "reconstructions"):
        index = read_index(project, stage, batches)
        assert (index.reason[index.status != "ok"].str.len() > 0).all()
        for batch in batches:
            named = set(index.track_id[(index.status == "ok") & (index.partition == batch)])
            assert {file.stem for file in project.data(stage, batch).glob("*.npz")} == named


def test_nothing_temporary_is_left(project):
    assert [
        path for path in project.data().rglob(".*") if path.name not in (".timings", ".scratch", ".sources.json")
    ] == []


def test_the_funnel_counts_every_file_once(project, manifest):
    funnel = pd.read_csv(project.data("pruned_videos", "funnel.csv")).set_index("step")
    assert funnel.left["collected"] == len(manifest) + 1, "the clip of two faces counts twice"
    assert funnel.removed["the file cannot be used"] == len(REFUSED)
    assert funnel.removed["no face found"] == 1
    assert funnel.removed["face of the first frame lost"] == 2


def test_a_batch_of_nothing_but_bad_files_goes_through(new_project, tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "text.mp4").write_text("notes")
    encode(tmp_path / "clips" / "no_face.mp4", [GREY] * 6)
    workspace = new_project(tmp_path / "project")
    take_in(workspace, tmp_path / "clips")
    for stage in STAGES:
        assert stage(workspace).pending == ()
    videos = pd.read_parquet(workspace.data("pruned_videos", "videos.parquet"))
    assert dict(zip(videos.source_video.str.split("-").str[1], videos.stage, strict=True)) == {
        "no_face": "no_face",
        "text": "unreadable",
    }


def test_a_folder_without_a_video_is_not_taken_in(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match=r"empty: no mp4, mov, avi, mkv or webm file in it"):
        take_in(workspace, tmp_path / "empty")
    with pytest.raises(VideoError, match="nowhere: no such folder"):
        take_in(workspace, tmp_path / "nowhere")
    with pytest.raises(VideoError, match="no video anywhere"):
        describe_raw_videos(workspace)


def test_a_list_of_subjects_without_its_columns_is_named(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    encode(workspace.data("incoming") / "a.mp4", [GREY])
    workspace.data("incoming", "subjects.csv").write_text("name,who\na.mp4,Ann\n")
    with pytest.raises(VideoError, match=r"subjects\.csv: lacks the column file"):
        describe_raw_videos(workspace)
