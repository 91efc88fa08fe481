"""RAF-DB, AffectNet and FER2013 are read from every form in which they are given out."""

import numpy as np
import pytest

from models.emotion.datasets import read_dataset
from models.emotion.datasets.fer2013 import majority
from models.errors import DatasetError

VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("DEEPEXP3D_CACHE", str(folder))
    return folder


def summary(contents):
    return [(photograph.path.name, photograph.label, photograph.split) for photograph in contents.photographs]


def put_rafdb(root, put, rows, kinds=("aligned", "original")):
    (root / "EmoLabel").mkdir(parents=True)
    (root / "EmoLabel" / "list_patition_label.txt").write_text("".join(f"{name}.jpg {n}\n" for name, n in rows))
    for name, _ in rows:
        if "aligned" in kinds:
            put(root / "Image" / "aligned" / f"{name}_aligned.jpg")
        if "original" in kinds:
            put(root / "Image" / "original" / f"{name}.jpg")


def test_rafdb_has_aligned_images_labels_splits_and_attributes(tmp_path, put):
    root = tmp_path / "basic"
    put_rafdb(root, put, [("train_00001", 5), ("test_0001", 7)])
    annotation = root / "Annotation" / "manual" / "train_00001_manu_attri.txt"
    annotation.parent.mkdir(parents=True)
    annotation.write_text("52.1\t40.0\n70.2\t41.3\n60.0\t50.0\n55.0\t60.0\n66.0\t60.5\n1\n2\n3\n")
    contents = read_dataset("rafdb", tmp_path)
    assert summary(contents) == [
        ("test_0001_aligned.jpg", "neutral", "test"),
        ("train_00001_aligned.jpg", "sad", "train"),
    ]
    assert contents.photographs[1].attributes == {"gender": "female", "ethnicity": "Asian", "age": "40-69"}
    assert contents.photographs[0].attributes == {}
    assert contents.photographs[0].subject is None
    assert "12271 images of the split 'train' are published, 1 were found." in contents.problems


def test_rafdb_takes_the_original_where_there_is_no_aligned_image(tmp_path, put):
    put_rafdb(tmp_path, put, [("train_00001", 1), ("train_00002", 2)], kinds=("original",))
    assert summary(read_dataset("rafdb", tmp_path))[0] == ("train_00001.jpg", "surprised", "train")
    put(tmp_path / "Image" / "aligned" / "train_00001_aligned.jpg")
    contents = read_dataset("rafdb", tmp_path)
    assert [name for name, _, _ in summary(contents)] == ["train_00001_aligned.jpg", "train_00002.jpg"]
    assert any("only the original is there, not the aligned one (1): train_00002" in p for p in contents.problems)


def test_rafdb_lists_labels_without_image_and_images_without_label(tmp_path, put):
    put_rafdb(tmp_path, put, [("train_00001", 1), ("train_00002", 2), ("train_00002", 3)])
    (tmp_path / "Image" / "aligned" / "train_00001_aligned.jpg").unlink()
    (tmp_path / "Image" / "original" / "train_00001.jpg").unlink()
    put(tmp_path / "Image" / "aligned" / "test_0009_aligned.jpg")
    contents = read_dataset("rafdb", tmp_path)
    assert summary(contents) == [("train_00002_aligned.jpg", "fearful", "train")]
    problems = " ".join(contents.problems)
    assert "Labels without an image (1): train_00001" in problems
    assert "Images without a label (1): test_0009" in problems
    assert "Images that are there twice, of which only the first counts (1): train_00002.jpg" in problems


def test_a_row_of_rafdb_that_is_no_label_is_refused_with_its_line(tmp_path, put):
    put_rafdb(tmp_path, put, [("train_00001", 1), ("train_00002", 9)])
    with pytest.raises(DatasetError, match=r"list_patition_label.txt, line 2: 'train_00002.jpg 9'"):
        read_dataset("rafdb", tmp_path)


def test_a_list_of_rafdb_that_was_damaged_is_refused(tmp_path, put):
    put_rafdb(tmp_path, put, [("train_00001", 1)])
    (tmp_path / "EmoLabel" / "list_patition_label.txt").write_bytes(b"train_00001.jpg 1\n\xff\xfe\x00")
    with pytest.raises(DatasetError, match=r"list_patition_label.txt: is no UTF-8 text"):
        read_dataset("rafdb", tmp_path)


def test_affectnets_tables_are_read_with_or_without_a_header(tmp_path, put):
    lists, images = tmp_path / "Manually_Annotated_file_lists", tmp_path / "Manually_Annotated_Images"
    lists.mkdir()
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    (lists / "training.csv").write_text(
        header + "1/a.jpg,1,2,3,4,5;6,3,0.5,0.5\n1/b.jpg,1,2,3,4,5;6,7,0,0\n1/c.jpg,1,2,3,4,5;6,1,0,0\n"
    )
    (lists / "validation.csv").write_text("2/d.jpg,1,2,3,4,5;6,6,0.5,0.5\n2/e.jpg,1,2,3,4,5;6,10,-2,-2\n")
    for name in ("1/a.jpg", "1/b.jpg", "2/d.jpg", "2/e.jpg"):
        put(images / name)
    contents = read_dataset("affectnet", tmp_path)
    assert summary(contents) == [("a.jpg", "surprised", "train"), ("d.jpg", "angry", "test")]
    assert contents.left_out == {"contempt": 1, "no face": 1}
    assert "Labels without an image (1): Manually_Annotated_Images/1/c.jpg." in contents.problems


def test_affectnets_smaller_form_is_read(tmp_path, put):
    for part, name, number in (("train_set", "0", "5"), ("train_set", "2", "7"), ("val_set", "1", "0")):
        put(tmp_path / part / "images" / f"{name}.jpg")
        (tmp_path / part / "annotations").mkdir(parents=True, exist_ok=True)
        # Numbers are stored as text there.
        np.save(tmp_path / part / "annotations" / f"{name}_exp.npy", np.array(number))
        np.save(tmp_path / part / "annotations" / f"{name}_val.npy", np.array("0.1"))
    put(tmp_path / "val_set" / "images" / "3.jpg")
    (tmp_path / "val_set" / "annotations" / "4_exp.npy").write_bytes(b"")
    contents = read_dataset("affectnet", tmp_path)
    assert summary(contents) == [("0.jpg", "disgusted", "train"), ("1.jpg", "neutral", "test")]
    assert contents.left_out == {"contempt": 1}
    assert "Images without a label (1): val_set/images/3.jpg." in contents.problems
    assert "Labels that cannot be read (1): val_set/annotations/4_exp.npy." in contents.problems


@pytest.mark.parametrize("row", ["1/a.jpg,1,2,3,4,5;6,11,0,0", "1/a.jpg", "1/a.jpg,1,2,3,4,5;6,happy,0,0"])
def test_a_row_of_affectnet_that_is_no_label_is_refused_with_its_line(tmp_path, row):
    (tmp_path / "training.csv").write_text(f"{row}\n")
    with pytest.raises(DatasetError, match=r"training.csv, line 1: "):
        read_dataset("affectnet", tmp_path)


def put_fer2013(root, rows, name="fer2013.csv", header="emotion,pixels,Usage"):
    pixels = [" ".join(map(str, np.full(48 * 48, 10 * number))) for number in range(len(rows))]
    columns = [column.strip() for column in header.split(",")]
    lines = [
        ",".join({"emotion": str(emotion), "pixels": shades, "Usage": usage}[column] for column in columns)
        for (emotion, usage), shades in zip(rows, pixels, strict=True)
    ]
    (root / name).write_text("\n".join([header, *lines]) + "\n")


@pytest.mark.parametrize(
    ("name", "header"), [("fer2013.csv", "emotion,pixels,Usage"), ("icml_face_data.csv", "emotion, Usage, pixels")]
)
def test_the_pixels_of_fer2013_become_images_once(tmp_path, cache, name, header):
    put_fer2013(tmp_path, [(0, "Training"), (6, "PublicTest"), (3, "PrivateTest")], name, header)
    contents = read_dataset("fer2013", tmp_path)
    assert sorted(summary(contents)) == [
        ("fer0000000.png", "angry", "train"),
        ("fer0000001.png", "neutral", "validation"),
        ("fer0000002.png", "happy", "test"),
    ]
    written = {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")}
    assert {photograph.path for photograph in contents.photographs} == set(written)
    import cv2

    image = cv2.imread(str(next(path for path in written if path.stem == "fer0000002")), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(image, np.full((48, 48), 20))
    read_dataset("fer2013", tmp_path)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")} == written


def test_the_votes_of_ferplus_replace_the_labels_row_by_row(tmp_path):
    put_fer2013(tmp_path, [(0, "Training"), (0, "Training"), (0, "Training"), (0, "PrivateTest")])
    (tmp_path / "fer2013new.csv").write_text(
        VOTES
        + "Training,fer0000000.png,0,9,1,0,0,0,0,0,0,0\nTraining,,0,0,0,0,0,0,0,0,0,10\n"
        + "Training,fer0000002.png,0,0,0,0,1,0,0,9,0,0\nPrivateTest,fer0000003.png,0,0,0,5,5,0,0,0,0,0\n"
    )
    contents = read_dataset("fer2013", tmp_path)
    assert summary(contents) == [("fer0000000.png", "happy", "train")]
    assert contents.left_out == {"contempt": 1, "no face": 1, "no majority": 1}
    (tmp_path / "fer2013new.csv").write_text(VOTES + "Training,fer0000000.png,0,9,1,0,0,0,0,0,0,0\n")
    with pytest.raises(DatasetError, match=r"fer2013new.csv: has 1 rows, fer2013.csv 4"):
        read_dataset("fer2013", tmp_path)


@pytest.mark.parametrize("own_tables", [False, True])
def test_the_folders_of_ferplus_are_read_with_either_table_of_votes(tmp_path, put, own_tables):
    for part, number in (("FER2013Train", 0), ("FER2013Valid", 1), ("FER2013Test", 2), ("FER2013Test", 3)):
        put(tmp_path / part / f"fer000000{number}.png")
    rows = {
        "FER2013Train": "Training,fer0000000.png,0,0,10,0,0,0,0,0,0,0\n",
        "FER2013Valid": "PublicTest,fer0000001.png,0,0,0,0,0,0,7,3,0,0\n",
        "FER2013Test": "PrivateTest,fer0000002.png,0,0,0,0,0,0,0,0,9,1\n"
        "PrivateTest,fer0000009.png,9,0,0,0,0,0,0,0,0,0\n",
    }
    if own_tables:
        for part, text in rows.items():
            lines = (line.split(",", 2)[1:] for line in text.splitlines())
            (tmp_path / part / "label.csv").write_text(
                "".join(f'{name},"(0, 0, 48, 48)",{votes}\n' for name, votes in lines)
            )
    else:
        (tmp_path / "fer2013new.csv").write_text(VOTES + "".join(rows.values()))
    contents = read_dataset("fer2013", tmp_path)
    assert sorted(summary(contents)) == [
        ("fer0000000.png", "surprised", "train"),
        ("fer0000001.png", "fearful", "validation"),
    ]
    assert contents.left_out == {"unknown": 1}
    assert contents.problems == (
        "Labels without an image (1): fer0000009.png.",
        "Images without the votes of FER+ (1): fer0000003.png.",
    )


def test_fer2013_in_folders_of_emotions_is_read(tmp_path, put):
    put(tmp_path / "train" / "angry" / "Training_3908.jpg")
    put(tmp_path / "test" / "surprise" / "PublicTest_1.jpg")
    put(tmp_path / "test" / "bored" / "PublicTest_2.jpg")
    contents = read_dataset("fer2013", tmp_path)
    assert sorted(summary(contents)) == [
        ("PublicTest_1.jpg", "surprised", "test"),
        ("Training_3908.jpg", "angry", "train"),
    ]
    assert "Folders that are called as no emotion is (1): test/bored." in contents.problems


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("emotion,pixels\n0,1 2 3\n", "lacks the column Usage"),
        ("emotion,pixels,Usage\n0,1 2 3,Training\n", r"line 2: should have 48 x 48 pixels"),
        ("emotion,pixels,Usage\n7,1 2 3,Training\n", r"line 2: emotion '7'"),
        ("emotion,pixels,Usage\n-1,1 2 3,Training\n", r"line 2: emotion '-1'"),
        ("emotion,pixels,Usage\n0,1 2 3,Holiday\n", r"usage 'Holiday'"),
        ("emotion,pixels,Usage\n0,1 2 x,Training\n", r"line 2: .*pixels .*'x'"),
    ],
)
def test_a_wrong_table_of_fer2013_is_refused(tmp_path, content, wrong):
    (tmp_path / "fer2013.csv").write_text(content)
    with pytest.raises(DatasetError, match=wrong):
        read_dataset("fer2013", tmp_path)


def test_single_votes_do_not_count_and_half_is_no_majority():
    assert majority([4, 0, 0, 1, 1, 1, 1, 1, 1, 0]) == "neutral"
    assert majority([0, 5, 5, 0, 0, 0, 0, 0, 0, 0]) == "no majority"
    assert majority([1, 1, 1, 1, 1, 1, 1, 1, 1, 1]) == "no majority"
    assert majority([0, 0, 0, 0, 0, 0, 0, 0, 0, 10]) == "no face"
