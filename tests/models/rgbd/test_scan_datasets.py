"""Sets of scans are read in their publisher's layout; what cannot be used is named, left out and counted."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import DatasetError
from models.rgbd.contents import Scan, file_stems
from models.rgbd.datasets import read_scans
from tests.models.rgbd.test_meshes import vrml

CODES = {"AN": "angry", "DI": "disgusted", "FE": "fearful", "HA": "happy", "SA": "sad", "SU": "surprised"}


def write_scan(folder, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}_F3D.wrl").write_text(vrml())
    shade = np.full((4, 4, 3), sum(map(ord, name)) % 256, np.uint8)
    Image.fromarray(shade).save(folder / f"{name}_F2D.bmp")
    (folder / f"{name}_F3D.bnd").write_text("".join(f"{row} 1 2 3\n" for row in range(83)))


@pytest.fixture
def root(tmp_path):
    """Two people, each with all 25 scans."""
    for person in ("F0001", "M0002"):
        for name in ["NE00", *(f"{code}{level:02d}" for code in CODES for level in range(1, 5))]:
            write_scan(tmp_path / person, f"{person}_{name}WH")
    return tmp_path


def test_every_scan_is_read_with_what_its_name_says(root):
    contents = read_scans("bu3dfe", root)
    folder = root / "F0001"
    assert contents.scans[0] == Scan(
        folder / "F0001_NE00WH_F3D.wrl",
        folder / "F0001_NE00WH_F2D.bmp",
        folder / "F0001_NE00WH_F3D.bnd",
        "F0001",
        "neutral",
        0,
        "WH",
    )
    assert len(contents.scans) == 50
    assert contents.counts["neutral"] == 2
    assert {contents.counts[emotion] for emotion in CODES.values()} == {8}
    assert contents.subjects == ("F0001", "M0002")
    assert contents.left_out == {}
    assert "2,500 scans of 100 people are published, 50 of 2 were found" in contents.problems[0]
    assert "56 women and 44 men are published, 1 and 1" in contents.problems[1]


def test_files_in_one_folder_and_in_capitals_are_read(tmp_path):
    write_scan(tmp_path, "F0001_HA03AE")
    (tmp_path / "F0001_HA03AE_F3D.wrl").rename(tmp_path / "f0001_ha03ae_f3d.WRL")
    (scan,) = read_scans("bu3dfe", tmp_path).scans
    assert (scan.subject, scan.emotion, scan.intensity, scan.ethnicity) == ("F0001", "happy", 3, "AE")


def test_raw_scans_and_textures_beside_are_left_out_and_raw_ones_counted(root):
    (root / "F0001" / "F0001_AN01WH_RAW.wrl").write_text(vrml())
    Image.new("RGB", (4, 4)).save(root / "F0001" / "F0001_AN01WH_F3D.bmp")
    Image.new("RGB", (4, 4)).save(root / "F0001" / "F0001_AN01WH_RAW.bmp")
    contents = read_scans("bu3dfe", root)
    assert contents.left_out == {"raw scan": 1}
    assert len(contents.scans) == 50


def test_what_cannot_be_used_is_named_left_out_and_counted(root):
    person = root / "F0001"
    (person / "F0001_AN01WH_F2D.bmp").unlink()
    (person / "F0001_AN02WH_F3D.wrl").unlink()
    (person / "F0001_AN03WH_F3D.wrl").write_text("something else")
    (person / "F0001_AN04WH_F2D.bmp").write_text("no image")
    (person / "F0001_DI01WH_F3D.wrl").write_text("")
    write_scan(person, "F0001_DI07WH")
    contents = read_scans("bu3dfe", root)
    assert contents.left_out == {
        "broken scan": 2,
        "no photograph": 1,
        "no scan": 1,
        "unknown intensity": 1,
        "unreadable photograph": 1,
    }
    told = " ".join(contents.problems)
    for name in ("F0001 angry 1", "F0001 angry 2", "F0001_AN03WH_F3D.wrl", "F0001_AN04WH_F2D.bmp", "F0001 disgusted 7"):
        assert name in told
    assert "missing of people who are there (5): F0001 angry 1, F0001 angry 2" in told
    assert len(contents.scans) == 45


def test_nan_vertices_are_found_where_all_is_read(root):
    points = np.array([[0, 0, 0], [100, 0, 0], [100, np.nan, 0], [0, 100, 20]])
    (root / "M0002" / "M0002_SU04WH_F3D.wrl").write_text(vrml(points))
    assert read_scans("bu3dfe", root).left_out == {}
    contents = read_scans("bu3dfe", root, verify=True)
    assert contents.left_out == {"vertices that are NaN": 1}
    assert any("M0002_SU04WH_F3D.wrl: 1 of 4 vertices are no numbers" in problem for problem in contents.problems)


def test_broken_landmarks_are_told_and_their_scan_is_used_without(root):
    (root / "F0001" / "F0001_HA01WH_F3D.bnd").write_text("0 1 2\n")
    contents = read_scans("bu3dfe", root)
    (without,) = [scan for scan in contents.scans if scan.landmarks is None]
    assert without.name == "F0001 happy 1"
    assert any("F0001_HA01WH_F3D.bnd" in problem for problem in contents.problems)


def test_a_scan_that_is_there_twice_counts_once(root):
    write_scan(root / "copy", "F0001_AN01WH")
    contents = read_scans("bu3dfe", root)
    assert len(contents.scans) == 50
    assert any("twice" in problem and "(3)" in problem for problem in contents.problems)


def test_a_wrong_root_says_what_was_expected_and_where_the_right_one_is(root, tmp_path_factory):
    with pytest.raises(DatasetError, match="there is no such folder"):
        read_scans("bu3dfe", root / "none")
    other = tmp_path_factory.mktemp("other")
    (other / "notes.txt").write_text("")
    with pytest.raises(DatasetError, match=r"Expected F0001/F0001_AN01WH_F3D.wrl in it, found files notes.txt"):
        read_scans("bu3dfe", other)
    above = tmp_path_factory.mktemp("above")
    write_scan(above / "BU_3DFE" / "F0003", "F0003_HA01WH")
    with pytest.raises(DatasetError, match=f"The right folder seems to be {above / 'BU_3DFE'}"):
        read_scans("bu3dfe", above)
    with pytest.raises(ValueError, match="choose 'bu3dfe' or 'manifest'"):
        read_scans("bosphorus", root)


def test_a_rendered_set_says_so(root):
    assert not read_scans("bu3dfe", root).synthetic
    (root / "SYNTHETIC.txt").write_text("")
    assert read_scans("bu3dfe", root).synthetic


def write_manifest(root, rows: list[dict[str, str]]) -> None:
    with open(root / "manifest.csv", "w", newline="") as file:
        table = csv.DictWriter(file, ["scan", "image", "subject", "emotion", "intensity", "landmarks"])
        table.writeheader()
        table.writerows(rows)


def test_a_manifest_tells_of_other_scans(tmp_path):
    write_scan(tmp_path, "x")
    row = {"scan": "x_F3D.wrl", "image": "x_F2D.bmp", "subject": "bs001", "emotion": "Happiness", "intensity": "2"}
    rows = [
        row | {"landmarks": "x_F3D.bnd"},
        row | {"emotion": "anger", "intensity": ""},
        row | {"emotion": "neutral", "intensity": ""},
        row | {"scan": "none.ply"},
        row | {"image": "none.png"},
    ]
    write_manifest(tmp_path, rows)
    contents = read_scans("manifest", tmp_path)
    assert [(scan.emotion, scan.intensity) for scan in contents.scans] == [("neutral", 0), ("angry", 4), ("happy", 2)]
    assert contents.scans[2].landmarks == tmp_path / "x_F3D.bnd"
    assert contents.left_out == {"no photograph": 1, "no scan": 1}
    assert any("none.ply (line 5)" in problem for problem in contents.problems)


def test_rows_that_tell_no_expression_are_named_left_out_and_counted(tmp_path):
    write_scan(tmp_path, "x")
    row = {"scan": "x_F3D.wrl", "image": "x_F2D.bmp", "subject": "a", "emotion": "happy", "intensity": "4"}
    rows = [row, row | {"emotion": "contempt"}, row | {"intensity": "9"}, row | {"subject": ""}, {"scan": "x_F3D.wrl"}]
    write_manifest(tmp_path, rows)
    contents = read_scans("manifest", tmp_path)
    assert [scan.emotion for scan in contents.scans] == ["happy"]
    assert contents.left_out == {"row that tells no expression": 4}
    (told,) = contents.problems
    for what in (
        "line 3: subject 'a', emotion 'contempt'",
        "line 4: ",
        "intensity '9'",
        "line 5: subject ''",
        "line 6",
    ):
        assert what in told


def test_a_row_that_is_there_twice_counts_once_and_two_scans_of_an_expression_both(tmp_path):
    write_scan(tmp_path, "x")
    write_scan(tmp_path, "y")
    row = {"scan": "x_F3D.wrl", "image": "x_F2D.bmp", "subject": "a", "emotion": "happy", "intensity": "4"}
    write_manifest(tmp_path, [row, row, row | {"scan": "y_F3D.wrl", "image": "y_F2D.bmp"}])
    contents = read_scans("manifest", tmp_path)
    assert [scan.scan.name for scan in contents.scans] == ["x_F3D.wrl", "y_F3D.wrl"]
    assert any("twice" in problem and "line 3" in problem for problem in contents.problems)


def test_a_manifest_may_name_files_elsewhere(tmp_path):
    write_scan(tmp_path / "elsewhere", "x")
    (tmp_path / "set").mkdir()
    row = {"subject": "a", "emotion": "happy", "intensity": "4", "image": str(tmp_path / "elsewhere" / "x_F2D.bmp")}
    long = row | {"scan": f"{'x' * 400}.ply"}
    write_manifest(tmp_path / "set", [row | {"scan": str(tmp_path / "elsewhere" / "x_F3D.wrl")}, long])
    contents = read_scans("manifest", tmp_path / "set")
    assert contents.scans[0].scan == tmp_path / "elsewhere" / "x_F3D.wrl"
    assert contents.left_out == {"no scan": 1}


def test_files_of_scans_have_names_of_their_own_inside_their_folder():
    people = ["F0001", "../bs9", "a/b", "a_b", "A_B", "F0001", "F0001", "..", "x" * 300]
    stems = file_stems(Scan(Path("s.ply"), Path("s.png"), None, person, "happy", 4) for person in people)
    assert stems[0] == "F0001_happy_4"
    assert len({stem.casefold() for stem in stems}) == len(people)
    for stem in stems:
        assert (Path("pairs") / f"{stem}.npz").resolve().parent == Path("pairs").resolve()
        assert len(stem) < 100
    assert stems[5:7] == ["F0001_happy_4-2", "F0001_happy_4-3"]


def test_a_manifest_that_cannot_be_understood_is_told_of_with_its_line(tmp_path):
    write_scan(tmp_path, "x")
    row = {"scan": "x_F3D.wrl", "image": "x_F2D.bmp", "subject": "a", "emotion": "happy", "intensity": "9"}
    write_manifest(tmp_path, [row])
    with pytest.raises(DatasetError, match=r"holds no scan.*manifest.csv.*line 2: .*intensity '9'"):
        read_scans("manifest", tmp_path)
    (tmp_path / "manifest.csv").write_text("scan,subject\n")
    with pytest.raises(DatasetError, match="lacks the column image, emotion"):
        read_scans("manifest", tmp_path)
