"""A wrong folder, and images that are no use, are told apart from a set that is merely incomplete."""

import cv2
import numpy as np
import pytest

from models.emotion.datasets import DATASETS, duplicates, read_dataset
from models.emotion.labels import EMOTIONS
from models.errors import DatasetError


def test_one_folder_too_high_names_the_folder_below(tmp_path, put):
    put(tmp_path / "downloads" / "rafd" / "Rafd090_01_Caucasian_female_angry_frontal.jpg")
    with pytest.raises(DatasetError) as refused:
        read_dataset("rafd", tmp_path)
    assert f"The right folder seems to be {tmp_path / 'downloads' / 'rafd'}." in str(refused.value)
    assert "Expected Rafd090_01_Caucasian_female_angry_frontal.jpg in it, found folders downloads." in str(
        refused.value
    )


@pytest.mark.parametrize(
    ("name", "file", "given", "right"),
    [
        ("kdef", "KDEF/AF01/AF01ANS.JPG", "KDEF/AF01", "KDEF"),
        ("kdef", "KDEF/AF01/AF01ANS.JPG", ".", "KDEF"),
        ("rafdb", "basic/EmoLabel/list_patition_label.txt", "basic/EmoLabel", "basic"),
        (
            "cfee",
            "x/CFEE_Database_230/01-04/Images1/01_126_3963.jpg",
            "x/CFEE_Database_230/01-04",
            "x/CFEE_Database_230",
        ),
        ("ckplus", "ck/cohn-kanade-images/S005/001/S005_001_00000001.png", "ck/cohn-kanade-images", "ck"),
        ("jaffe", "jaffedbase/KA.AN1.39.tiff", ".", "jaffedbase"),
        ("affectnet", "AffectNet/train_set/annotations/0_exp.npy", "AffectNet/train_set", "AffectNet"),
        ("fer2013", "archive/train/happy/a.jpg", "archive/train", "archive"),
    ],
)
def test_a_folder_too_deep_or_too_high_names_the_right_one(tmp_path, put, name, file, given, right):
    put(tmp_path / file)
    if name == "ckplus":
        (tmp_path / right / "Emotion" / "S005").mkdir(parents=True)
    with pytest.raises(DatasetError, match=f"The right folder seems to be {tmp_path / right}\\."):
        read_dataset(name, tmp_path / given)


def test_another_set_is_recognised(tmp_path, put):
    put(tmp_path / "AF01" / "AF01ANS.JPG")
    with pytest.raises(DatasetError, match=r"It looks like Karolinska .*: read it as 'kdef'"):
        read_dataset("rafd", tmp_path)


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "manifest"])
def test_a_folder_of_other_things_is_refused_with_the_layout_that_was_expected(tmp_path, name):
    (tmp_path / "thesis.docx").write_text("no data set")
    with pytest.raises(DatasetError) as refused:
        read_dataset(name, tmp_path)
    assert "found files thesis.docx" in str(refused.value)
    assert DATASETS[name].layout in str(refused.value)


def test_a_missing_folder_says_where_the_set_comes_from(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere: there is no such folder; .* Karolinska Institutet"):
        read_dataset("kdef", tmp_path / "nowhere")


def test_a_set_without_any_usable_image_is_refused(tmp_path):
    (tmp_path / "KA.AN1.39.tiff").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"KA.AN1.39.tiff \(empty\)"):
        read_dataset("jaffe", tmp_path)


def test_images_that_cannot_be_opened_are_left_out_and_named(tmp_path, put):
    put(tmp_path / "happy" / "good.jpg")
    (tmp_path / "happy" / "empty.jpg").write_bytes(b"")
    (tmp_path / "happy" / "text.jpg").write_text("no image")
    contents = read_dataset("manifest", tmp_path)
    assert [photograph.path.name for photograph in contents.photographs] == ["good.jpg"]
    assert contents.left_out == {"unreadable": 2}
    assert contents.problems == (
        "Images that cannot be opened (2): happy/empty.jpg (empty), happy/text.jpg (no image).",
    )


def test_only_a_full_check_finds_an_image_whose_end_is_missing(tmp_path, put):
    put(tmp_path / "happy" / "good.jpg")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    (tmp_path / "happy" / "half.jpg").write_bytes(data[: len(data) // 2])
    assert len(read_dataset("manifest", tmp_path).photographs) == 2
    contents = read_dataset("manifest", tmp_path, verify=True)
    assert [photograph.path.name for photograph in contents.photographs] == ["good.jpg"]
    assert "happy/half.jpg (is damaged" in contents.problems[0]


def test_exact_duplicates_are_found_whatever_they_are_called(tmp_path, put):
    first = put(tmp_path / "happy" / "1.jpg")
    put(tmp_path / "happy" / "2.jpg")
    (tmp_path / "sad").mkdir()
    (tmp_path / "sad" / "3.png").write_bytes(first.read_bytes())
    groups = duplicates(read_dataset("manifest", tmp_path).photographs)
    assert [[photograph.path.name for photograph in group] for group in groups] == [["1.jpg", "3.png"]]


@pytest.mark.parametrize("name", DATASETS)
def test_the_published_numbers_of_a_set_agree_among_themselves(name):
    facts = DATASETS[name]
    assert facts.name == name
    if facts.splits:
        assert sum(facts.splits.values()) == sum(facts.labels.values())
    if facts.labels:
        assert tuple(facts.labels) == EMOTIONS
        if facts.images is not None and name != "cfee":
            assert sum(facts.labels.values()) + sum(facts.left_out.values()) == facts.images + 18 * (name == "ckplus")
