"""Folders of labelled images are read, or refused with the file that is wrong."""

import pytest

from models.emotion.datasets import Photograph, read_dataset
from models.errors import DatasetError


def summary(contents):
    return [(photograph.path, photograph.label, photograph.subject) for photograph in contents.photographs]


def test_folders_name_the_emotion_and_files_the_person(tmp_path, put):
    first = put(tmp_path / "happy" / "anna__01.jpg")
    second = put(tmp_path / "Anger" / "IMG_2041.PNG")
    (tmp_path / "happy" / "notes.txt").write_text("no image")
    put(tmp_path / ".cache" / "thumbnail.jpg")
    contents = read_dataset("manifest", tmp_path)
    assert summary(contents) == [(second, "angry", None), (first, "happy", "anna")]
    assert contents.problems == ()


def test_a_manifest_names_all_of_it(tmp_path, put):
    image = put(tmp_path / "photos" / "1.jpg")
    (tmp_path / "manifest.csv").write_text(
        "path,subject,label,view,moment,take,split,gender,ethnicity,age,note\n"
        "photos/1.jpg,anna,Sadness,-45,m7,2,test,female,Caucasian,20-39,blurred\n"
    )
    attributes = {"gender": "female", "ethnicity": "Caucasian", "age": "20-39"}
    assert read_dataset("manifest", tmp_path).photographs == (
        Photograph(image, "sad", "anna", -45.0, "m7", "2", "test", attributes),
    )


def test_a_manifest_of_a_spreadsheet_program_is_read(tmp_path, put):
    image = put(tmp_path / "1.jpg")
    (tmp_path / "manifest.csv").write_bytes(b"\xef\xbb\xbfpath,label,view\r\n1.jpg,neutral,frontal\r\n")
    assert read_dataset("manifest", tmp_path).photographs == (Photograph(image, "neutral", None),)


def test_a_manifest_with_semicolons_and_backslashes_is_read(tmp_path, put):
    image = put(tmp_path / "photos" / "a,b.jpg")
    (tmp_path / "manifest.csv").write_text("path;label;subject\nphotos\\a,b.jpg;happy;anna\n")
    assert summary(read_dataset("manifest", tmp_path)) == [(image, "happy", "anna")]


def test_a_manifest_that_is_no_text_is_refused_with_the_cure(tmp_path, put):
    put(tmp_path / "1.jpg")
    (tmp_path / "manifest.csv").write_bytes("path,label,subject\n1.jpg,happy,Jürgen\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"manifest.csv: is no UTF-8 text .* save it as CSV in UTF-8"):
        read_dataset("manifest", tmp_path)


def test_contempt_is_left_out_and_counted(tmp_path, put):
    put(tmp_path / "happy" / "1.jpg")
    put(tmp_path / "contempt" / "2.jpg")
    assert read_dataset("manifest", tmp_path).left_out == {"contempt": 1}
    (tmp_path / "manifest.csv").write_text("path,label\nhappy/1.jpg,happy\ncontempt/2.jpg,Contempt\n")
    assert read_dataset("manifest", tmp_path).left_out == {"contempt": 1}


def test_rows_without_an_image_are_listed_and_the_others_read(tmp_path, put):
    image = put(tmp_path / "1.jpg")
    (tmp_path / "manifest.csv").write_text("path,label\n1.jpg,happy\n2.jpg,happy\n")
    contents = read_dataset("manifest", tmp_path)
    assert summary(contents) == [(image, "happy", None)]
    assert contents.problems == ("Rows of manifest.csv without an image (1): 2.jpg (line 3).",)


def test_an_image_that_is_labelled_twice_counts_once(tmp_path, put):
    image = put(tmp_path / "1.jpg")
    (tmp_path / "manifest.csv").write_text("path,label\n1.jpg,happy\n1.jpg,sad\n")
    contents = read_dataset("manifest", tmp_path)
    assert summary(contents) == [(image, "happy", None)]
    assert contents.problems == ("Images that are there twice, of which only the first counts (1): 1.jpg.",)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("path,label\n1.jpg,bored\n", r"line 2: 'bored'"),
        ("path,label\n2.jpg,happy\n", r"holds no photograph .*2\.jpg \(line 2\)"),
        ("file,label\n1.jpg,happy\n", "lacks the column path"),
        ("path,label,view\n1.jpg,happy,sideways\n", "line 2: the view 'sideways'"),
        ("path,label\n", "holds no image"),
        ("", "lacks the column"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_line(tmp_path, put, content, wrong):
    put(tmp_path / "1.jpg")
    (tmp_path / "manifest.csv").write_text(content)
    with pytest.raises(DatasetError, match=wrong):
        read_dataset("manifest", tmp_path)


def test_a_folder_that_names_no_emotion_is_refused(tmp_path, put):
    put(tmp_path / "bored" / "1.jpg")
    with pytest.raises(DatasetError, match="bored: no emotion is called so"):
        read_dataset("manifest", tmp_path)


def test_the_folder_below_is_suggested_where_it_holds_the_emotions(tmp_path, put):
    put(tmp_path / "train" / "happy" / "1.jpg")
    with pytest.raises(DatasetError, match=r"train: no emotion .* or read that folder"):
        read_dataset("manifest", tmp_path)


def test_an_empty_folder_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="holds no image"):
        read_dataset("manifest", tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        read_dataset("manifest", tmp_path / "nowhere")


def test_parts_of_a_split_are_known_by_their_usual_names(tmp_path, put):
    names = ("Train", "TRAINING", "val", "dev", "Validation", "valid", "Test", "testing", "")
    for number in range(len(names)):
        put(tmp_path / f"{number}.jpg")
    rows = "".join(f"{number}.jpg,happy,{name}\n" for number, name in enumerate(names))
    (tmp_path / "manifest.csv").write_text(f"path,label,split\n{rows}")
    found = [photograph.split for photograph in read_dataset("manifest", tmp_path).photographs]
    assert found == ["train"] * 2 + ["validation"] * 4 + ["test"] * 2 + [None]


def test_an_unknown_part_of_a_split_is_refused_with_its_line(tmp_path, put):
    put(tmp_path / "1.jpg")
    (tmp_path / "manifest.csv").write_text("path,label,split\n1.jpg,happy,fold 3\n")
    with pytest.raises(DatasetError, match=r"line 2: no split is called 'fold 3'; use train, validation or test"):
        read_dataset("manifest", tmp_path)
