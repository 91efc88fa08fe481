"""Folders of labelled images are read, or refused with the file that is wrong."""

import pytest

from models.emotion.images import LabelledImage, labelled_images
from models.errors import ImageError


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"an image, for all the reader knows")
    return path


def test_folders_name_the_emotion_and_files_the_person(tmp_path):
    first = put(tmp_path / "happy" / "anna__01.jpg")
    second = put(tmp_path / "Anger" / "IMG_2041.PNG")
    put(tmp_path / "happy" / "notes.txt")
    put(tmp_path / ".cache" / "thumbnail.jpg")
    assert labelled_images(tmp_path) == [LabelledImage(second, "angry", None), LabelledImage(first, "happy", "anna")]


def test_a_manifest_names_all_of_it(tmp_path):
    image = put(tmp_path / "photos" / "1.jpg")
    (tmp_path / "manifest.csv").write_text("path,subject,label,view\nphotos/1.jpg,anna,Sadness,frontal\n")
    assert labelled_images(tmp_path) == [LabelledImage(image, "sad", "anna")]


def test_a_manifest_of_a_spreadsheet_program_is_read(tmp_path):
    image = put(tmp_path / "1.jpg")
    (tmp_path / "manifest.csv").write_bytes(b"\xef\xbb\xbfpath,label\r\n1.jpg,neutral\r\n")
    assert labelled_images(tmp_path) == [LabelledImage(image, "neutral", None)]


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("path,label\n1.jpg,bored\n", r"line 2: 'bored'"),
        ("path,label\n1.jpg,happy\n2.jpg,happy\n", r"line 3: there is no file .*2\.jpg"),
        ("file,label\n1.jpg,happy\n", "lacks the column path"),
        ("path,label\n", "holds no image"),
        ("", "lacks the column"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_line(tmp_path, content, wrong):
    put(tmp_path / "1.jpg")
    (tmp_path / "manifest.csv").write_text(content)
    with pytest.raises(ImageError, match=wrong):
        labelled_images(tmp_path)


def test_a_folder_that_names_no_emotion_is_refused(tmp_path):
    put(tmp_path / "bored" / "1.jpg")
    with pytest.raises(ImageError, match="bored"):
        labelled_images(tmp_path)


def test_an_empty_folder_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(ImageError, match="holds no image"):
        labelled_images(tmp_path)
    with pytest.raises(ImageError, match="no such folder"):
        labelled_images(tmp_path / "nowhere")
