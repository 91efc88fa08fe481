"""Collections of videos and their manifest."""

import pandera.errors
import pytest

from models.errors import VideoError
from models.video.manifest import COLUMNS, describe_video, find_videos, manifest_of, video_id


def test_videos_are_found_in_all_subfolders_whatever_their_case(tmp_path):
    for name in ("b.MP4", "deep/er/a.mov", "c.webm", "d.mkv", "e.avi", "notes.txt", ".hidden/x.mp4", "deep/.y.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in find_videos([tmp_path, tmp_path / "deep"])]
    assert found == ["b.MP4", "c.webm", "d.mkv", "deep/er/a.mov", "e.avi"]


def test_an_empty_folder_gives_no_videos_and_an_empty_manifest(tmp_path):
    assert find_videos([tmp_path]) == []
    table = manifest_of([])
    assert len(table) == 0
    assert tuple(table.columns) == COLUMNS


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(VideoError, match="nowhere"):
        find_videos([tmp_path / "nowhere"])


def test_good_bad_and_damaged_files_share_one_valid_manifest(make_video, moving_square, tmp_path):
    good = make_video("Good Clip.mp4", rotation=-90)
    cut = make_video("cut.mp4", moving_square(60), muxer={"movflags": "faststart"})
    cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * 0.6)])
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    rows = [describe_video(path, "holiday", None, "own") for path in (good, cut, text, tmp_path / "gone.mp4")]
    table = manifest_of(rows).set_index("path")
    assert table["status"].tolist() == ["ok", "ok", "refused", "refused"]
    assert table.loc[str(good), ["frames", "width", "height", "rotation"]].tolist() == [12, 64, 96, -90]
    assert table.loc[str(good), "reason"] == ""
    assert "cut off" in table.loc[str(cut), "reason"]
    assert "not a video" in table.loc[str(text), "reason"]
    assert table.loc[str(text), "frames":"variable_frame_rate"].isna().all()


def test_a_manifest_survives_parquet(make_video, tmp_path):
    import pandas

    table = manifest_of([describe_video(make_video(), "s", "anna", "own", partition="000")])
    table.to_parquet(tmp_path / "m.parquet")
    again = manifest_of(pandas.read_parquet(tmp_path / "m.parquet").to_dict("records"))
    pandas.testing.assert_frame_equal(again, table)


def test_the_name_of_a_video_depends_on_its_content_and_not_on_its_folder(make_video, tmp_path):
    path = make_video("My Clip (1).mp4")
    row = describe_video(path, "Phone", None, "own")
    moved = tmp_path / "elsewhere" / path.name
    moved.parent.mkdir()
    path.rename(moved)
    assert describe_video(moved, "Phone", None, "own")["video_id"] == row["video_id"]
    assert row["video_id"].startswith("phone-my_clip_1-")
    assert video_id(path, "Phone", "0" * 64) != row["video_id"]


def test_a_copy_is_refused_so_that_it_cannot_enter_two_splits(make_video, tmp_path):
    path = make_video("a.mp4")
    copy = tmp_path / "b.mp4"
    copy.write_bytes(path.read_bytes())
    table = manifest_of([describe_video(each, "s", None, "own") for each in (path, copy)])
    assert table["status"].tolist() == ["ok", "refused"]
    assert "a.mp4" in table["reason"][1]


@pytest.mark.parametrize(
    "fault", [{"status": "perhaps"}, {"frames": None}, {"rotation": 45}, {"fps": -1.0}, {"licence": None}]
)
def test_a_row_that_breaks_the_contract_is_not_let_in(make_video, fault):
    row = describe_video(make_video(), "s", None, "own")
    with pytest.raises(pandera.errors.SchemaErrors):
        manifest_of([row | fault])


def test_a_refusal_needs_a_reason(tmp_path):
    row = describe_video(tmp_path / "gone.mp4", "s", None, "own")
    with pytest.raises(pandera.errors.SchemaErrors, match="reason"):
        manifest_of([row | {"reason": ""}])
