"""From pixels to rows: faces are read, numbered, and missed openly."""

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from models.emotion.ecoc import EcocSvm
from models.emotion.labels import EMOTIONS
from models.emotion.persistence import save_classifier
from models.errors import ImageError, ModelMismatchError, VideoError, WeightsMissingError
from models.expression import Predictor
from models.expression.alignment import transformed
from models.expression.images import read_image
from models.expression.prediction import PredictionSettings, predict_paths
from models.expression.predictor import head_angles
from models.expression.runtime import NetworkSession
from models.fitting.camera import ScaledOrthographicCamera
from models.landmarks.backend import Face, box_around
from models.video.encoding import write_video
from tests.models.expression.marked_faces import SIZE, Constant, MarkedFaces, painted


@pytest.fixture(scope="module")
def contract(small_model):
    from models.expression.contract import NetworkContract

    return NetworkContract.of(small_model, "resnet18_half", 56)


@pytest.fixture(scope="module")
def classifier():
    rng = np.random.default_rng(0)
    return EcocSvm().fit(rng.normal(size=(70, 28)), np.tile(EMOTIONS, 10))


@pytest.fixture
def predictor(contract, classifier):
    return Predictor(Constant(contract), MarkedFaces(contract.template), classifier)


@pytest.fixture(scope="module")
def exported(contract, tmp_path_factory):
    import torch

    from models.expression.export import export_onnx
    from models.expression.network import ExpressionNetwork, save_network

    folder = tmp_path_factory.mktemp("deepexp3d_export")
    torch.manual_seed(0)
    save_network(ExpressionNetwork("resnet18_half", 56, 28).eval(), contract, folder)
    export_onnx(folder, folder, opset=17)
    return folder


def test_every_face_is_read(predictor, contract, small_model):
    faces = predictor(painted((20, 20), (150, 120)))
    assert len(faces) == 2
    for face in faces:
        np.testing.assert_allclose(face.expression, face.expression_whitened * small_model.expression_std)
        assert face.probabilities.sum() == pytest.approx(1)
        assert face.emotion == EMOTIONS[face.probabilities.argmax()]


def test_an_image_without_a_face_gives_none(predictor):
    assert predictor(painted()) == []


def test_emotions_the_classifier_never_saw_have_no_probability(contract):
    rng = np.random.default_rng(0)
    classifier = EcocSvm().fit(rng.normal(size=(40, 28)), np.tile(["happy", "sad"], 20))
    (face,) = Predictor(Constant(contract), MarkedFaces(contract.template), classifier)(painted((20, 20)))
    assert set(np.flatnonzero(face.probabilities)) == {EMOTIONS.index("happy"), EMOTIONS.index("sad")}


@given(yaw=st.floats(-80, 80), pitch=st.floats(-80, 80), roll=st.floats(-170, 170))
def test_head_angles_are_those_of_the_rotation(yaw, pitch, roll):
    rotation = Rotation.from_euler("YXZ", [yaw, -pitch, roll], degrees=True).as_matrix()
    np.testing.assert_allclose(head_angles(rotation), [yaw, pitch, roll], atol=1e-6)


def test_angles_have_the_signs_they_are_said_to_have():
    """The nose points along z: to the subject's left (x), upwards (y); the crown, along y, tilts as seen."""
    nose = np.array([0, 0, 1.0])
    for turn, index, axis in (("Y", 0, 0), ("X", 1, 1)):
        rotation = Rotation.from_euler(turn, 20 if turn == "Y" else -20, degrees=True).as_matrix()
        assert (rotation @ nose)[axis] > 0
        assert head_angles(rotation)[index] == pytest.approx(20)
    tilted = Rotation.from_euler("Z", 20, degrees=True).as_matrix()
    assert (tilted @ [0, 1, 0])[0] < 0
    assert head_angles(tilted)[2] == pytest.approx(20)


def test_the_pose_of_a_face_with_known_pose_is_found(predictor, small_model, contract):
    """The landmarks are those of the very expression that the network gives."""
    angles = [25.0, -10.0, 8.0]
    rotation = Rotation.from_euler("YXZ", [angles[0], -angles[1], angles[2]], degrees=True).as_matrix()[None]
    expression = np.linspace(-1, 1, 28) * small_model.expression_std
    camera = ScaledOrthographicCamera(np.array([0.6]), rotation, np.array([[120.0, 120.0]]))
    points = camera.project(small_model.landmarks(expression=expression))[0]
    (face,) = predictor.read(painted(), [Face(points.astype(np.float32), box_around(points), 1.0)])
    np.testing.assert_allclose([face.yaw, face.pitch, face.roll], angles, atol=0.2)


def test_rows_of_a_folder_have_the_agreed_columns(predictor, tmp_path):
    for name, image in {"b.png": painted((20, 20), (150, 120)), "a.png": painted()}.items():
        cv2.imwrite(str(tmp_path / name), image[..., ::-1])
    rows = list(predict_paths([tmp_path], predictor))
    expected = ["path", "frame", "time_s", "face", "box", "emotion", *(f"p_{emotion}" for emotion in EMOTIONS)]
    expected += [f"e_{index:02d}" for index in range(28)] + ["yaw", "pitch", "roll", "status"]
    assert [list(row) for row in rows] == [expected] * 3
    assert [row["face"] for row in rows] == [None, 0, 1]
    assert rows[0]["emotion"] is None
    assert np.isnan(rows[0]["e_00"])
    assert rows[0]["path"].endswith("a.png")
    assert np.isfinite(rows[1]["e_27"])


def test_without_a_classifier_there_are_no_probabilities(contract, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), painted((20, 20))[..., ::-1])
    bare = Predictor(Constant(contract), MarkedFaces(contract.template))
    (row,) = predict_paths([tmp_path / "a.png"], bare)
    assert not any(name.startswith("p_") for name in row)
    assert row["emotion"] is None
    assert np.isfinite(row["e_00"])


def test_faces_of_a_video_keep_their_numbers_and_times(predictor, tmp_path):
    """One face moves, a second comes in, the first leaves, then there is none."""
    frames = [painted((20 + 2 * index, 20)) for index in range(10)]
    frames += [painted((40 + 2 * index, 20), (150, 120)) for index in range(20)]
    frames += [painted((150, 120))] * 5 + [painted()] * 3
    write_video(tmp_path / "clip.mp4", frames, fps=25)
    rows = list(predict_paths([tmp_path / "clip.mp4"], predictor))
    faces = [[row["face"] for row in rows if row["frame"] == index] for index in range(len(frames))]
    assert faces[:10] == [[0]] * 10
    assert faces[29] == [0, 1], "a newcomer is found within 25 frames"
    assert faces[30:35] == [[1]] * 5
    assert faces[35:] == [[None]] * 3
    times = [row["time_s"] for row in rows if row["face"] in (0, None)][:10]
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-3)
    assert predictor.backend.detections < 12


def test_boxes_are_in_pixels_of_the_original_video(predictor, tmp_path):
    write_video(tmp_path / "clip.mp4", [np.kron(painted((60, 60)), np.ones((2, 2, 1), np.uint8))] * 2, fps=25)
    (large, _), (small, _) = (
        list(predict_paths([tmp_path / "clip.mp4"], predictor, settings=PredictionSettings(max_side=side)))
        for side in (2 * SIZE, SIZE)
    )
    centres = [np.mean(np.reshape(row["box"], (2, 2)) - 2 * np.array([60, 60]), axis=0) for row in (large, small)]
    template_centre = box_around(predictor.backend.template).reshape(2, 2).mean(axis=0)
    np.testing.assert_allclose(centres[0], template_centre, atol=16)
    np.testing.assert_allclose(centres[1], 2 * template_centre, atol=16)


@pytest.mark.parametrize("suffix", [".png", ".mp4"])
def test_an_overlay_is_drawn_and_changes_no_row(predictor, tmp_path, suffix):
    source, overlay = tmp_path / f"source{suffix}", tmp_path / f"overlay{suffix}"
    if suffix == ".png":
        cv2.imwrite(str(source), painted((60, 60))[..., ::-1])
    else:
        write_video(source, [painted((60, 60))] * 5, fps=25)
    plain = list(predict_paths([source], predictor))
    drawn = list(predict_paths([source], predictor, overlay=overlay))
    assert [row["e_03"] for row in drawn] == [row["e_03"] for row in plain]
    if suffix == ".png":
        assert np.abs(read_image(overlay).astype(int) - painted((60, 60))).max() > 50
    else:
        from models.video.decoding import probe

        assert probe(overlay).frames == 5


def test_one_bad_file_does_not_stop_the_others(predictor, tmp_path, caplog):
    cv2.imwrite(str(tmp_path / "good.png"), painted((20, 20))[..., ::-1])
    (tmp_path / "bad.png").write_bytes(b"no image")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    rows = list(predict_paths([tmp_path], predictor))
    assert [row["path"] for row in rows] == [str(tmp_path / name) for name in ("bad.mp4", "bad.png", "good.png")]
    assert [row["status"].partition(":")[0] for row in rows] == ["error", "error", "ok"]
    assert list(rows[0]) == list(rows[2])
    assert "bad.png" in caplog.text
    assert "bad.mp4" in caplog.text


@pytest.mark.parametrize(
    ("name", "error"), [("bad.png", ImageError), ("bad.mp4", VideoError), ("none.jpg", ImageError)]
)
def test_a_single_bad_file_is_an_error_that_names_it(predictor, tmp_path, name, error):
    if name.startswith("bad"):
        (tmp_path / name).write_bytes(b"neither")
    with pytest.raises(error, match=name):
        list(predict_paths([tmp_path / name], predictor))


def test_an_empty_folder_is_an_error(predictor, tmp_path):
    with pytest.raises(ImageError, match="neither an image nor a video"):
        list(predict_paths([tmp_path], predictor))


def test_missing_parts_are_named(exported, tmp_path, monkeypatch):
    with pytest.raises(WeightsMissingError, match=r"network\.onnx"):
        Predictor.load(tmp_path)
    with pytest.raises(WeightsMissingError, match="no emotion classifier"):
        Predictor.load(exported)
    monkeypatch.setenv("DEEPEXP3D_MODEL", str(tmp_path / "elsewhere"))
    with pytest.raises(WeightsMissingError, match="elsewhere"):
        Predictor.load()


def test_an_unknown_runtime_is_refused(exported):
    with pytest.raises(ModelMismatchError, match="'abacus' is unknown"):
        NetworkSession.load(exported / "network.onnx", runtime="abacus", threads=1)


def test_a_real_photograph_goes_all_the_way(exported, classifier):
    save_classifier(classifier, exported / "classifier.skops")
    (face,) = Predictor.load(exported, threads=1)(skimage.data.astronaut())
    assert 170 < face.landmarks[30, 0] < 280
    assert 60 < face.landmarks[30, 1] < 200
    assert np.isfinite([*face.expression, face.yaw, face.pitch, face.roll]).all()
    assert face.emotion in EMOTIONS


def test_a_photograph_lying_on_its_side_is_read_upright(tmp_path):
    from PIL import Image

    image = Image.fromarray(painted((20, 20)))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "phone.jpg", exif=exif, quality=95)
    turned = np.rot90(painted((20, 20)), -1)
    assert np.abs(read_image(tmp_path / "phone.jpg").astype(int) - turned).mean() < 3


def test_grey_and_16_bit_photographs_are_read(tmp_path):
    grey = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    cv2.imwrite(str(tmp_path / "deep.png"), grey)
    image = read_image(tmp_path / "deep.png")
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    assert image[0, -1].tolist() == [255, 255, 255]


def test_points_transform_as_the_image_does():
    matrix = np.array([[0.0, -1, 10], [1, 0, 5]])
    np.testing.assert_allclose(transformed(np.array([[1.0, 2]]), matrix), [[8, 6]])
