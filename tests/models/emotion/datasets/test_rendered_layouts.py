"""Rendered sets have their publisher's layout: the readers find in them what was put in."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.emotion.datasets import DATASETS, duplicates, read_dataset
from models.emotion.datasets.rendered_layouts import FORMS, RenderedLayoutSettings, write_rendered_dataset
from models.emotion.labels import EMOTIONS
from models.errors import DatasetError
from models.rendering.settings import SyntheticImageSettings
from models.rendering.synthetic_images import studio_images

QUICK = RenderedLayoutSettings(
    studio=SyntheticImageSettings(size=64, oversampling=1.0, blend_share=0.0, yaw_spread=1.0),
    wild=SyntheticImageSettings(size=64, oversampling=1.0),
    views=(0, 45),
    sessions=("A",),
    frames=3,
    poses=1,
    test_share=0.1,
)
PEOPLE = 2
SETS = [(name, form) for name in DATASETS for form in FORMS.get(name, (None,))]


@pytest.fixture(scope="module")
def rendered(renderable_model, tmp_path_factory):
    """Every set in every form, written once; `rendered(name, form)` is its folder."""
    written = {}

    def folder(name, form=None):
        if (name, form) not in written:
            written[name, form] = tmp_path_factory.mktemp(f"{name}-{form}") / "set"
            settings = replace(QUICK, form=form)
            write_rendered_dataset(
                name, written[name, form], renderable_model, people=PEOPLE, seed=7, settings=settings
            )
        return written[name, form]

    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPEXP3D_CACHE", str(tmp_path / "cache"))


def unexpected(contents):
    """Problems other than that a small set is smaller than the published one."""
    smaller = ("published", "without any photograph", "is assumed")
    return [problem for problem in contents.problems if not any(words in problem for words in smaller)]


@pytest.mark.parametrize(("name", "form"), SETS)
def test_the_reader_of_a_set_finds_every_photograph_that_was_rendered(rendered, name, form):
    contents = read_dataset(name, rendered(name, form), verify=True)
    images = {"rafd": 2, "kdef": 2}.get(name, 1)
    expected = dict.fromkeys(EMOTIONS, PEOPLE * images)
    if name == "ckplus":
        # Six sequences of each person, which all begin with a neutral face.
        expected["neutral"] = 6 * PEOPLE
    assert contents.counts == expected
    assert contents.left_out == {}
    assert contents.synthetic
    assert unexpected(contents) == []
    assert duplicates(contents.photographs) == ()
    if DATASETS[name].subjects is not None:
        assert len(contents.subjects) == PEOPLE


@pytest.mark.parametrize("name", ["rafd", "kdef"])
def test_a_moment_has_one_photograph_from_each_camera(rendered, name):
    moments = {}
    for photograph in read_dataset(name, rendered(name)).photographs:
        moments.setdefault(photograph.moment, []).append(photograph)
    assert len(moments) == PEOPLE * len(EMOTIONS)
    for photographs in moments.values():
        assert sorted(photograph.view for photograph in photographs) == [0.0, 45.0]
        assert len({(photograph.subject, photograph.label) for photograph in photographs}) == 1


def test_a_positive_view_shows_the_face_turned_to_the_right_of_the_picture(rendered, renderable_model):
    ((left, front, right),) = studio_images(
        renderable_model, "happy", 0, yaws=(-45, 0, 45), seed=7, settings=QUICK.studio
    )
    eyes = right.landmarks[36:48].mean(0)
    assert right.landmarks[30, 0] > eyes[0] + 2
    for photograph in read_dataset("rafd", rendered("rafd")).photographs:
        if (photograph.subject, photograph.label) == ("01", "happy"):
            image = cv2.imread(str(photograph.path))[..., ::-1].astype(float)
            difference = [np.abs(image - shown.image).mean() for shown in (left, front, right)]
            assert np.argmin(difference) == (2 if photograph.view == 45.0 else 1)


def test_names_are_the_publishers_own(rendered):
    names = {
        "rafd": "Rafd090_01_Caucasian_female_angry_frontal.jpg",
        "kdef": "AF01/AF01ANS.JPG",
        "rafdb": "basic/Image/aligned/train_00001_aligned.jpg",
        "cfee": "CFEE_Database_230/05-08/Images2/06_101_2506.jpg",
        "ckplus": "Emotion/S005/001/S005_001_00000003_emotion.txt",
        "jaffe": "KA.AN1.2.tiff",
        "affectnet": "train_set/annotations/0_exp.npy",
        "fer2013": "fer2013.csv",
        "manifest": "happy/person000__happy.jpg",
    }
    for name, file in names.items():
        assert (rendered(name, FORMS.get(name, (None,))[0]) / file).is_file(), name


def test_web_sets_keep_each_person_in_one_part(rendered):
    for name, parts in (("rafdb", {"train", "test"}), ("affectnet", {"train", "test"})):
        contents = read_dataset(name, rendered(name, FORMS.get(name, (None,))[0]))
        splits = [photograph.split for photograph in contents.photographs]
        assert {split: splits.count(split) for split in parts} == dict.fromkeys(parts, len(EMOTIONS)), name


def test_rafdb_is_aligned_by_eyes_and_mouth(rendered):
    image = cv2.imread(str(rendered("rafdb") / "basic" / "Image" / "aligned" / "train_00001_aligned.jpg"))
    assert image.shape == (100, 100, 3)
    annotation = rendered("rafdb") / "basic" / "Annotation" / "manual" / "train_00001_manu_attri.txt"
    rows = annotation.read_text().splitlines()
    assert len(rows) == 8
    right_eye, left_eye = (np.array(row.split("\t"), float) for row in rows[:2])
    assert 8 < left_eye[0] - right_eye[0] < 40


def test_two_processes_write_what_one_does(rendered, renderable_model, tmp_path):
    settings = replace(QUICK, views=(0,))
    for workers in (1, 2):
        write_rendered_dataset(
            "jaffe", tmp_path / str(workers), renderable_model, people=2, seed=7, settings=settings, workers=workers
        )
    one, two = (
        {path.name: path.read_bytes() for path in sorted((tmp_path / workers).iterdir())} for workers in ("1", "2")
    )
    assert one == two
    assert len(one) == 2 * len(EMOTIONS) + 1


def test_a_rendered_set_replaces_an_earlier_one_and_nothing_else(renderable_model, tmp_path):
    write_rendered_dataset("manifest", tmp_path / "set", renderable_model, people=2, seed=1, settings=QUICK)
    write_rendered_dataset("manifest", tmp_path / "set", renderable_model, people=1, seed=1, settings=QUICK)
    assert len(read_dataset("manifest", tmp_path / "set").photographs) == len(EMOTIONS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(DatasetError, match="is not empty and holds no rendered set"):
        write_rendered_dataset("manifest", tmp_path / "mine", renderable_model, people=1, seed=1, settings=QUICK)
    assert (tmp_path / "mine" / "holiday.jpg").exists()


def test_more_people_than_names_and_unknown_forms_are_refused(renderable_model, tmp_path):
    with pytest.raises(ValueError, match="names for 10 people, not for 11"):
        write_rendered_dataset("jaffe", tmp_path / "a", renderable_model, people=11, seed=1)
    with pytest.raises(ValueError, match="no form 'scroll'"):
        write_rendered_dataset(
            "fer2013", tmp_path / "a", renderable_model, people=1, seed=1, settings=replace(QUICK, form="scroll")
        )
    assert not (tmp_path / "a").exists()
