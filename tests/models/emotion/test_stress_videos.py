"""Manifests of stress videos, and the expression in their frames."""

import numpy as np
import pytest

from models.emotion.stress_videos import phase_title, read_manifest, video_expressions
from models.errors import DatasetError, VideoError
from models.expression.sources import SourceFrame

HEADER = "video,subject,phase,task,label\n"


def manifest(folder, text):
    (folder / "manifest.csv").write_text(text, encoding="utf-8")
    return folder


def test_phases_and_labels_are_known_by_their_usual_names(tmp_path):
    root = manifest(
        tmp_path,
        HEADER
        + "a.mp4,s1,2,recall,stressful\n"
        + "b.mp4,s1,Emotional recall,rest, Neutral \n"
        + "sub/c.mp4,s2,mental task,stroop,1\n"
        + "d.mp4,s2,interview,talk,non-stressful\n",
    )
    videos = read_manifest(root)
    assert [video.phase for video in videos] == ["2", "2", "3", "interview"]
    assert [video.stressful for video in videos] == [True, False, True, False]
    assert videos[2].path == root / "sub" / "c.mp4"
    assert [phase_title(phase) for phase in ("4", "interview")] == ["Stressful videos", "interview"]


def test_a_spreadsheets_byte_order_mark_and_capitals_in_the_header_are_understood(tmp_path):
    root = manifest(tmp_path, "\ufeffVideo, Subject,phase,TASK,label\na.mp4,s1,2,,stress\n")
    assert read_manifest(root)[0].subject == "s1"


def test_columns_may_stand_in_any_order_and_be_parted_by_semicolons(tmp_path):
    root = manifest(tmp_path, "label;note;video;subject;phase;task\nstress;,;a.mp4;s1;2;t\n")
    (video,) = read_manifest(root)
    assert (video.path.name, video.stressful, video.task) == ("a.mp4", True, "t")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("video,subject,phase,label\na.mp4,s1,2,stress\n", "lacks the column task; found video, subject"),
        ("", "found no header at all"),
        (HEADER, "lists no video"),
        (HEADER + "a.mp4,,2,t,stress\n", "line 2 has no subject"),
        (HEADER + "a.mp4,s1,2,t,angry\n", "line 2: label 'angry' is neither stressful nor non-stressful"),
        (HEADER + "a.mp4,s1,2,t,stress\na.mp4,s2,2,t,neutral\n", "a.mp4 is listed 2 times"),
        (HEADER + "a.mp4,s1,2\n", "line 2 has no label"),
    ],
)
def test_a_faulty_manifest_is_refused_with_the_line_and_the_fault(tmp_path, text, told):
    with pytest.raises(DatasetError, match=told):
        read_manifest(manifest(tmp_path, text))


def test_all_kinds_of_faults_are_told_at_once_and_many_are_counted(tmp_path):
    rows = "".join(f"v{number}.mp4,s1,2,t,odd\n" for number in range(8))
    with pytest.raises(DatasetError, match=r"line 2.*line 6: .*and 3 more"):
        read_manifest(manifest(tmp_path, HEADER + rows))


def test_a_missing_manifest_and_one_that_is_no_text_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="no such file; write one with the columns video, subject"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00v\x00i")
    with pytest.raises(DatasetError, match="UTF-8"):
        read_manifest(tmp_path)


@pytest.fixture(scope="module")
def rendered_set(prepared_project, tmp_path_factory):
    """Two people's videos of one phase, half a second each."""
    from dataclasses import replace

    from assets.morphable_model import load_model
    from models.emotion.rendered_stress_set import write_rendered_stress_set

    folder = tmp_path_factory.mktemp("srd15")
    video = prepared_project.params.synthetic_facevid.video
    still = replace(video, frames=12, still_share=1.0, occluder_share=0.0, interruption_share=0.0)
    write_rendered_stress_set(folder, load_model(prepared_project), people=2, seed=0, phases=("1", "2"), settings=still)
    return folder


def test_a_rendered_set_says_what_it_is_and_its_manifest_is_read(rendered_set):
    videos = read_manifest(rendered_set)
    assert len(videos) == 8
    assert {(video.subject, video.phase, video.stressful) for video in videos} == {
        (f"subject{person:02d}", phase, stressful)
        for person in range(2)
        for phase in ("1", "2")
        for stressful in (False, True)
    }
    assert all(video.path.is_file() for video in videos)
    assert "rendered" in (rendered_set / "SYNTHETIC.txt").read_text()


@pytest.fixture(scope="module")
def predictor():
    from models.expression.predictor import Predictor

    return Predictor.load("deepexp3d-small", features_only=True)


def test_every_second_frame_of_a_video_is_read_and_stress_moves_the_expression(rendered_set, predictor):
    calm, stressed = (
        video_expressions(rendered_set / "videos" / f"subject00_phase2_{label}.mp4", predictor, stride=2, max_side=640)
        for label in ("non-stressful", "stressful")
    )
    assert calm.frames.tolist() == [0, 2, 4, 6, 8, 10]
    np.testing.assert_allclose(calm.times, calm.frames / 30, atol=1e-3)
    assert calm.found.mean() > 0.8
    assert calm.expression.shape == (6, 28)
    between = np.linalg.norm(stressed.expression[stressed.found].mean(0) - calm.expression[calm.found].mean(0))
    assert between > 1


class TwoFaces:
    """Stands in for what reads frames: a small face under number 0 and, from the second frame on, a large one."""

    expression_size = 28


def test_the_largest_face_of_each_frame_counts_whatever_its_number(monkeypatch):
    from types import SimpleNamespace

    def frames(path, max_side):
        for index in range(3):
            yield SourceFrame(path, index, index / 10, np.zeros((8, 8, 3), np.uint8), (8, 8), np.ones(2))

    def face(size, value):
        return SimpleNamespace(box=np.array([0, 0, size, size]), expression_whitened=np.full(28, value, np.float32))

    def predict(chosen, predictor):
        for source in chosen:
            faces = {0: {}, 1: {0: face(2, 1.0)}, 2: {0: face(2, 1.0), 7: face(5, 3.0)}}[source.index]
            yield SimpleNamespace(source=source, faces=faces)

    monkeypatch.setattr("models.expression.sources.video_frames", frames)
    monkeypatch.setattr("models.expression.prediction.predict_frames", predict)
    read = video_expressions("film.mp4", TwoFaces(), stride=1, max_side=64)
    assert read.found.tolist() == [False, True, True]
    assert read.expression[1:, 0].tolist() == [1.0, 3.0]


def test_a_file_that_is_no_video_raises(tmp_path, predictor):
    (tmp_path / "film.mp4").write_text("no film")
    with pytest.raises(VideoError, match=r"film\.mp4: is not a video"):
        video_expressions(tmp_path / "film.mp4", predictor, stride=1, max_side=64)
