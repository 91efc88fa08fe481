"""RaFD, KDEF, CFEE, CK+ and JAFFE are read from names as their publishers give them."""

import itertools
from collections import Counter

import pytest

from models.emotion.datasets import Photograph, read_dataset
from models.emotion.labels import EMOTIONS
from models.errors import DatasetError


def by_name(contents):
    return {photograph.path.name: photograph for photograph in contents.photographs}


def test_rafd_tells_angle_person_gaze_and_children(tmp_path, put):
    path = put(tmp_path / "Rafd045_01_Caucasian_female_angry_left.jpg")
    put(tmp_path / "Rafd135_01_Caucasian_female_angry_left.jpg")
    put(tmp_path / "Rafd090_63_Kid_male_surprised_frontal.jpg")
    put(tmp_path / "Rafd180_29_Moroccan_male_contemptuous_right.jpg")
    contents = read_dataset("rafd", tmp_path)
    read = by_name(contents)
    assert read[path.name] == Photograph(
        path,
        "angry",
        "01",
        45.0,
        "01_angry_left",
        "left",
        attributes={"gender": "female", "ethnicity": "Caucasian", "age": "adult"},
    )
    assert read["Rafd135_01_Caucasian_female_angry_left.jpg"].view == -45.0
    assert read["Rafd135_01_Caucasian_female_angry_left.jpg"].moment == read[path.name].moment
    child = read["Rafd090_63_Kid_male_surprised_frontal.jpg"]
    assert (child.view, child.attributes["age"], child.attributes["ethnicity"]) == (0.0, "child", "Caucasian")
    assert contents.left_out == {"contempt": 1}


def test_a_set_that_was_copied_in_part_is_read_with_what_it_lacks(tmp_path, put):
    put(tmp_path / "Rafd090_01_Caucasian_female_angry_frontal.jpg")
    put(tmp_path / "portrait of 01.jpg")
    problems = " ".join(read_dataset("rafd", tmp_path).problems)
    assert "not called as those of RaFD are (1): portrait of 01.jpg" in problems
    assert "7034 images are missing: 7035 images of the seven emotions are published, 1 were found" in problems
    assert "angry 1 of 1005" in problems
    assert "67 subjects are published, 1 were found" in problems


def test_what_is_missing_of_rafd_is_named(tmp_path, put):
    for angle in ("045", "090"):
        for emotion in EMOTIONS:
            put(tmp_path / f"Rafd{angle}_01_Caucasian_female_{emotion}_frontal.jpg")
    (tmp_path / "Rafd045_01_Caucasian_female_sad_frontal.jpg").unlink()
    put(tmp_path / "small" / "Rafd090_01_Caucasian_female_sad_frontal.jpg")
    contents = read_dataset("rafd", tmp_path)
    assert len(contents.photographs) == 13
    problems = " ".join(contents.problems)
    assert "Cameras without any photograph (3): 000, 135, 180." in problems
    assert "Gazes without any photograph (2): left, right." in problems
    assert "missing of people who are there (1): Rafd045_01_..._sad_frontal." in problems
    assert "there twice, of which only the first counts (1): small/Rafd090_01" in problems


def test_kdef_tells_session_person_gender_and_angle(tmp_path, put):
    path = put(tmp_path / "AF01" / "AF01ANHL.JPG")
    put(tmp_path / "AF01" / "AF01ANS.JPG")
    put(tmp_path / "BM35" / "BM35SUFR.jpg")
    contents = read_dataset("kdef", tmp_path)
    read = by_name(contents)
    assert "missing of people who are there (81): AF01AFS, AF01DIS, AF01HAS," in " ".join(contents.problems)
    assert read["AF01ANHL.JPG"] == Photograph(
        path, "angry", "F01", -45.0, "AF01AN", "A", attributes={"gender": "female"}
    )
    assert read["AF01ANS.JPG"].moment == "AF01AN"
    assert (read["BM35SUFR.jpg"].view, read["BM35SUFR.jpg"].label, read["BM35SUFR.jpg"].take) == (90, "surprised", "B")


def test_kdef_in_one_folder_is_read_and_its_misnamed_files_too(tmp_path, put):
    put(tmp_path / "AF31V.JPG")
    put(tmp_path / "AM31H.JPG")
    put(tmp_path / "AM31HAS.JPG")
    put(tmp_path / "copies" / "AM31HAS.JPG")
    contents = read_dataset("kdef", tmp_path)
    read = by_name(contents)
    assert (read["AF31V.JPG"].label, read["AF31V.JPG"].view) == ("sad", -45.0)
    assert (read["AM31H.JPG"].label, read["AM31H.JPG"].view) == ("surprised", 45.0)
    assert len(contents.photographs) == 3
    assert "there twice, of which only the first counts (1): copies/AM31HAS.JPG" in " ".join(contents.problems)


def test_a_complete_kdef_has_no_problems(tmp_path, put):
    for session in "AB":
        for subject in (f"{gender}{number:02d}" for gender in "FM" for number in range(1, 36)):
            for emotion in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
                for angle in ("FL", "HL", "S", "HR", "FR"):
                    put(tmp_path / f"{session}{subject}" / f"{session}{subject}{emotion}{angle}.JPG")
    contents = read_dataset("kdef", tmp_path)
    assert contents.problems == ()
    assert len(contents.photographs) == 4900
    assert len(contents.subjects) == 70
    assert list(contents.photographs) == sorted(contents.photographs, key=lambda photograph: photograph.path)


def test_cfee_is_read_by_its_names_and_says_what_it_assumes(tmp_path, put):
    put(tmp_path / "CFEE_Database_230" / "01-04" / "Images1" / "02_126_3963.jpg")
    put(tmp_path / "CFEE_Database_230" / "05-08" / "Images2" / "08_126_4021.jpg")
    contents = read_dataset("cfee", tmp_path)
    (photograph,) = contents.photographs
    assert (photograph.label, photograph.subject, photograph.take) == ("happy", "126", "3963")
    assert contents.left_out == {"compound emotion": 1}
    assert "01 neutral, 02 happy" in contents.problems[0]


def test_a_table_of_categories_replaces_what_is_assumed_of_cfee(tmp_path, put):
    put(tmp_path / "01-04" / "Images1" / "02_126_3963.jpg")
    (tmp_path / "categories.csv").write_text("number,label\n2,Sadness\n8,happily surprised\n")
    contents = read_dataset("cfee", tmp_path)
    assert [photograph.label for photograph in contents.photographs] == ["sad"]
    assert not any("assumed" in problem for problem in contents.problems)
    (tmp_path / "categories.csv").write_text("category,label\n2,Sadness\n")
    with pytest.raises(DatasetError, match=r"categories.csv: lacks the column number"):
        read_dataset("cfee", tmp_path)


def test_a_manifest_goes_before_the_layout_of_any_set(tmp_path, put):
    put(tmp_path / "a.jpg")
    (tmp_path / "manifest.csv").write_text("path,label,subject\na.jpg,fear,126\n")
    contents = read_dataset("cfee", tmp_path)
    assert contents.name == "cfee"
    assert [photograph.label for photograph in contents.photographs] == ["fearful"]
    assert "230 subjects are published, 1 were found." in contents.problems


def put_sequence(root, put, sequence, frames, label=None):
    subject, run = sequence.split("_")
    for number in frames:
        put(root / "cohn-kanade-images" / subject / run / f"{sequence}_{number:08d}.png")
    if label is not None:
        folder = root / "Emotion" / subject / run
        folder.mkdir(parents=True)
        (folder / f"{sequence}_{frames[-1]:08d}_emotion.txt").write_text(f"   {label:.7e}\n")


def test_ckplus_gives_the_peak_and_the_first_frame_of_each_labelled_sequence(tmp_path, put):
    put_sequence(tmp_path, put, "S005_001", range(1, 12), 3)
    put_sequence(tmp_path, put, "S010_004", range(1, 4), 2)
    put_sequence(tmp_path, put, "S010_005", range(1, 4))
    contents = read_dataset("ckplus", tmp_path)
    assert [(p.path.name, p.label, p.subject, p.take, p.attributes["sequence"]) for p in contents.photographs] == [
        ("S005_001_00000001.png", "neutral", "S005", "onset", "001"),
        ("S005_001_00000011.png", "disgusted", "S005", "peak", "001"),
        ("S010_004_00000001.png", "neutral", "S010", "onset", "004"),
    ]
    assert contents.left_out == {"contempt": 1, "sequence without a label": 1}


def test_ckplus_lists_what_does_not_belong_together(tmp_path, put):
    put_sequence(tmp_path, put, "S005_001", range(1, 4), 3)
    put_sequence(tmp_path, put, "S010_001", range(1, 4), 5)
    put_sequence(tmp_path, put, "S011_001", [9], 6)
    put_sequence(tmp_path, put, "S014_001", range(1, 4), 42)
    images = tmp_path / "cohn-kanade-images"
    for path in (images / "S005" / "001").iterdir():
        path.unlink()
    (images / "S010" / "001" / "S010_001_00000003.png").unlink()
    contents = read_dataset("ckplus", tmp_path)
    assert [photograph.path.name for photograph in contents.photographs] == ["S011_001_00000009.png"]
    problems = " ".join(contents.problems)
    assert "Labels of sequences that are missing (1): S005_001" in problems
    assert "Sequences without the frame that is labelled (1): S010_001" in problems
    assert "no first one (1): S011_001" in problems
    assert "Labels that cannot be read (1): Emotion/S014/001/S014_001_00000003_emotion.txt" in problems


def test_ckplus_is_found_within_the_folders_of_its_archives(tmp_path, put):
    put_sequence(tmp_path / "extended-cohn-kanade-images", put, "S005_001", range(1, 4), 3)
    (tmp_path / "Emotion_labels").mkdir()
    (tmp_path / "extended-cohn-kanade-images" / "Emotion").rename(tmp_path / "Emotion_labels" / "Emotion")
    assert len(read_dataset("ckplus", tmp_path).photographs) == 2


def test_jaffe_tells_person_and_pose(tmp_path, put):
    path = put(tmp_path / "KA.AN1.39.tiff")
    (photograph,) = read_dataset("jaffe", tmp_path).photographs
    assert photograph == Photograph(
        path, "angry", "KA", take="1", attributes={"gender": "female", "ethnicity": "Japanese"}
    )


def test_the_emotions_of_every_posed_set_are_understood(tmp_path, put):
    for emotion in (*EMOTIONS, "contemptuous"):
        put(tmp_path / "rafd" / f"Rafd090_01_Caucasian_female_{emotion}_frontal.jpg")
    for code in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
        put(tmp_path / "kdef" / "AF01" / f"AF01{code}S.JPG")
    for code in ("AN", "DI", "FE", "HA", "NE", "SA", "SU"):
        put(tmp_path / "jaffe" / f"KA.{code}1.{len(code)}.tiff")
    for name in ("rafd", "kdef", "jaffe"):
        contents = read_dataset(name, tmp_path / name)
        assert Counter(photograph.label for photograph in contents.photographs) == dict.fromkeys(EMOTIONS, 1), name


def test_of_kdef_s_frontal_photographs_the_one_that_is_missing_is_named(tmp_path, put):
    for session, gender, number in itertools.product("AB", "FM", range(1, 36)):
        for code in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
            if (name := f"{session}{gender}{number:02d}{code}S") != "BM10SAS":
                put(tmp_path / name[:4] / f"{name}.JPG")
    contents = read_dataset("kdef", tmp_path)
    assert len(contents.photographs) == 979
    assert "Angles without any photograph (4): FL, HL, HR, FR." in contents.problems
    assert "Photographs that are missing of people who are there (1): BM10SAS." in contents.problems


def test_missing_people_and_sessions_of_kdef_are_told_once_each(tmp_path, put):
    for code in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
        put(tmp_path / f"AF01{code}S.JPG")
    problems = " ".join(read_dataset("kdef", tmp_path).problems)
    assert "Sessions without any photograph (1): B." in problems
    assert "People without any photograph (69): F02, F03" in problems
    assert "Photographs that are missing" not in problems
