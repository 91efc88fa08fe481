"""Files become rows in order, whatever is among them, and what is known of a person is taken off."""

import itertools
import threading
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from models.emotion.ecoc import EcocSvm
from models.emotion.labels import EMOTIONS
from models.errors import ImageError, NoFaceError, VideoError, WeightsMissingError
from models.expression.prediction import (
    PredictionSettings,
    neutral_expression,
    predict_frames,
    predict_paths,
)
from models.expression.predictor import Predictor
from models.expression.shipped import model_folder
from models.expression.sources import SourceFrame
from models.expression.temporal_filter import OneEuroSettings
from models.video.encoding import write_video
from tests.models.expression.marked_faces import Brightness, MarkedFaces, painted


@pytest.fixture(scope="module")
def contract(small_model):
    from models.expression.contract import NetworkContract

    return NetworkContract.of(small_model, "resnet18_half", 56)


@pytest.fixture
def predictor(contract):
    return Predictor(Brightness(contract), MarkedFaces(contract.template))


def lit(brightness: int, *spots: tuple[int, int]) -> np.ndarray:
    """Painted faces on a background of this brightness."""
    image = painted(*(spots or [(60, 60)]))
    image[image[..., 1] == 90] = brightness
    return image


def frames_of(images, fps: float = 25.0):
    for index, image in enumerate(images):
        yield SourceFrame("film.mp4", index, index / fps, image, image.shape[:2], np.ones(2))


def first_coefficients(frames) -> list[float]:
    return [frame.faces[0].expression_whitened[0] for frame in frames]


def test_a_folder_with_bad_files_loses_their_rows_alone_and_keeps_its_order(predictor, tmp_path):
    for number in range(40):
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), lit(50 + 4 * number)[..., ::-1])
    (tmp_path / "017.png").write_bytes(b"no image")
    rows = list(predict_paths([tmp_path], predictor, settings=PredictionSettings(batch=3)))
    assert [row["path"] for row in rows] == [str(tmp_path / f"{number:03d}.png") for number in range(40)]
    assert [number for number, row in enumerate(rows) if row["status"] != "ok"] == [17]
    assert rows[17]["status"].startswith("error: ")
    good = np.delete(np.arange(40), 17)
    expected = (50 + 4 * good - 90) / 100 * predictor.contract.expression_std[0]
    np.testing.assert_allclose([rows[number]["e_00"] for number in good], expected, atol=1e-6)


def test_pictures_of_every_kind_are_rows(predictor, tmp_path):
    image = Image.fromarray(lit(120))
    image.convert("CMYK").save(tmp_path / "cmyk.tif")
    image.convert("RGBA").save(tmp_path / "rgba.png")
    image.convert("L").save(tmp_path / "grey.png")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    image.save(tmp_path / "moves.gif", save_all=True, append_images=[Image.fromarray(lit(30))])
    rows = {row["path"].rpartition("/")[2]: row for row in predict_paths([tmp_path], predictor)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "cmyk.tif": "ok",
        "rgba.png": "ok",
        "grey.png": "no face",
        "dot.png": "no face",
        "moves.gif": "first of 2 frames",
    }
    assert np.isnan(rows["dot.png"]["e_00"])


def test_twenty_faces_are_twenty_rows(predictor, tmp_path):
    spots = list(itertools.product(range(5, 200, 45), range(5, 170, 48)))
    cv2.imwrite(str(tmp_path / "crowd.png"), lit(90, *spots)[..., ::-1])
    rows = list(predict_paths([tmp_path / "crowd.png"], predictor))
    assert [row["face"] for row in rows] == list(range(20))
    assert len({tuple(row["box"]) for row in rows}) == 20


def test_a_face_cut_by_the_border_is_called_so(predictor, tmp_path):
    cv2.imwrite(str(tmp_path / "edge.png"), lit(90, (205, 100), (60, 60))[..., ::-1])
    rows = list(predict_paths([tmp_path / "edge.png"], predictor))
    assert {row["status"]: row["box"][2] > 239 for row in rows} == {"cut by the border": True, "ok": False}


def test_boxes_of_a_picture_that_was_shrunk_are_in_its_own_pixels(predictor, tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "large.png"), np.kron(lit(90), np.ones((4, 4, 1), np.uint8))[..., ::-1])
    monkeypatch.setattr("models.expression.prediction.IMAGE_SIDE", 240)
    (row,) = predict_paths([tmp_path / "large.png"], predictor)
    assert row["box"][0] == pytest.approx(4 * (60 + predictor.backend.template[:, 0].min() + 0.5) - 0.5, abs=4)


@pytest.mark.parametrize("batch", [1, 4, 7])
@pytest.mark.parametrize("live", [False, True])
def test_frames_come_in_order_whatever_the_batch(predictor, batch, live):
    images = [lit(40 + 5 * number) for number in range(30)]
    settings = PredictionSettings(batch=batch)
    found = list(predict_frames(frames_of(images), predictor, settings, live=live))
    assert [frame.source.index for frame in found] == list(range(30))
    np.testing.assert_allclose(first_coefficients(found), [(5 * number - 50) / 100 for number in range(30)], atol=1e-9)


def test_a_camera_s_frame_is_read_before_the_next_is_asked_for(predictor):
    asked = []

    def camera():
        for frame in frames_of([lit(90)] * 5):
            asked.append(frame.index)
            yield frame

    predicted = predict_frames(camera(), predictor, live=True)
    assert next(predicted).source.index == 0
    assert asked == [0]
    predicted.close()


def test_what_goes_wrong_while_decoding_arrives_after_the_frames_before(predictor):
    def damaged():
        yield from frames_of([lit(90)] * 10)
        raise VideoError("film.mp4: breaks off")

    predicted = predict_frames(damaged(), predictor, PredictionSettings(batch=5))
    found = list(itertools.islice(predicted, 10))
    assert len(found) == 10
    with pytest.raises(VideoError, match="breaks off"):
        next(predicted)


def test_stopping_early_closes_the_video_and_leaves_no_thread(predictor):
    closed = threading.Event()

    def endless():
        try:
            yield from frames_of(lit(90) for _ in itertools.count())
        finally:
            closed.set()

    before = threading.active_count()
    predicted = predict_frames(endless(), predictor)
    assert next(predicted).faces
    predicted.close()
    assert closed.is_set()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_neutral_photograph_is_subtracted_everywhere(predictor, tmp_path):
    Image.fromarray(lit(140)).save(tmp_path / "neutral.png")
    Image.fromarray(lit(190)).save(tmp_path / "smile.png")
    neutral = neutral_expression(predictor, tmp_path / "neutral.png")
    settings = PredictionSettings(neutral=neutral)
    (row,) = predict_paths([tmp_path / "smile.png"], predictor, settings=settings)
    assert row["e_00"] == pytest.approx(0.5 * predictor.contract.expression_std[0])
    found = predict_frames(frames_of([lit(140)] * 3), predictor, settings)
    np.testing.assert_allclose(first_coefficients(found), 0, atol=1e-9)


def test_a_neutral_photograph_must_show_a_face(predictor, tmp_path):
    Image.fromarray(np.full((50, 50, 3), 90, np.uint8)).save(tmp_path / "wall.png")
    with pytest.raises(NoFaceError, match=r"wall\.png: no face"):
        neutral_expression(predictor, tmp_path / "wall.png")
    with pytest.raises(ImageError, match=r"none\.png"):
        neutral_expression(predictor, tmp_path / "none.png")


def film_with_a_smile() -> list[np.ndarray]:
    """At rest at brightness 120, with two smiles to 220."""
    brightness = np.full(90, 120)
    brightness[20:35] = np.r_[np.linspace(120, 220, 8), np.linspace(220, 120, 7)]
    brightness[60:75] = brightness[20:35]
    return [lit(int(value)) for value in brightness]


def test_what_a_face_of_a_video_returns_to_is_taken_off(predictor):
    settings = PredictionSettings(calibrate_rest=True)
    found = list(predict_frames(frames_of(film_with_a_smile()), predictor, settings))
    values = first_coefficients(found)
    np.testing.assert_allclose(values[:20], 0, atol=1e-9)
    assert values[27] == pytest.approx(1.0, abs=0.02)


def test_a_calibrated_video_is_drawn_on_its_own_pictures(predictor, tmp_path):
    from models.video.decoding import probe, read_frames

    write_video(tmp_path / "film.mp4", film_with_a_smile(), fps=25)
    settings = PredictionSettings(calibrate_rest=True)
    rows = list(predict_paths([tmp_path / "film.mp4"], predictor, settings=settings, overlay=tmp_path / "drawn.mp4"))
    assert len(rows) == probe(tmp_path / "drawn.mp4").frames == 90
    assert abs(rows[5]["e_00"]) < 0.05 * predictor.contract.expression_std[0]
    first = next(read_frames(tmp_path / "drawn.mp4", max_side=1000)).image
    assert np.median(first) == pytest.approx(120, abs=6)


def test_filtered_expressions_are_steadier_and_emotions_follow_them(contract):
    rng = np.random.default_rng(0)
    images = [lit(int(value)) for value in 120 + rng.normal(size=60) * 10]
    classifier = EcocSvm().fit(rng.normal(size=(70, 28)), np.tile(EMOTIONS, 10))
    predictor = Predictor(Brightness(contract), MarkedFaces(contract.template), classifier)
    plain, smooth = (
        list(predict_frames(frames_of(images), predictor, PredictionSettings(smoothing=smoothing)))
        for smoothing in (None, OneEuroSettings())
    )
    assert np.std(first_coefficients(smooth)[20:]) < 0.7 * np.std(first_coefficients(plain)[20:])
    last = smooth[-1].faces[0]
    np.testing.assert_allclose(last.probabilities[[EMOTIONS.index(name) for name in classifier.classes_]],
                               classifier.predict_proba(last.expression_whitened[None])[0])  # fmt: skip


def test_images_of_a_folder_are_not_smoothed_into_one_another(predictor, tmp_path):
    for number, brightness in enumerate([90, 190, 90, 190]):
        Image.fromarray(lit(brightness)).save(tmp_path / f"{number}.png")
    rows = predict_paths([tmp_path], predictor, settings=PredictionSettings(smoothing=OneEuroSettings()))
    values = [row["e_00"] / predictor.contract.expression_std[0] for row in rows]
    np.testing.assert_allclose(values, [0, 1, 0, 1], atol=1e-9)


def test_a_webcam_cannot_be_calibrated_at_its_end(predictor):
    with pytest.raises(VideoError, match="webcam 0: has no end"):
        list(predict_paths(["0"], predictor, settings=PredictionSettings(calibrate_rest=True)))


def test_a_webcam_that_is_not_there_is_one_error(predictor):
    with pytest.raises(VideoError, match="webcam 97: cannot be opened"):
        list(predict_paths(["97"], predictor))


def test_progress_is_shown_of_what_is_gone_through(predictor, tmp_path):
    for number in range(3):
        Image.fromarray(lit(90)).save(tmp_path / f"{number}.png")
    seen = []

    def show(items, name, total):
        for item in items:
            seen.append((name, total))
            yield item

    list(predict_paths([tmp_path], predictor, progress=show))
    assert seen == [("images", 3)] * 3


def test_models_are_found_by_name_by_variable_and_by_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPEXP3D_MODEL", raising=False)
    shipped, own = tmp_path / "shipped", tmp_path / "data" / "champion"
    monkeypatch.setattr("models.expression.shipped.SHIPPED_FOLDER", shipped)
    monkeypatch.setattr("models.expression.shipped.CHECKOUT", tmp_path / "elsewhere")
    with pytest.raises(WeightsMissingError, match="none came with the installation"):
        model_folder()
    for name in ("deepexp3d-resnet50", "deepexp3d-small"):
        with pytest.raises(WeightsMissingError, match=f"{name}: this network did not come"):
            model_folder(name)
        (shipped / name).mkdir(parents=True)
        (shipped / name / "network.onnx").touch()
        assert model_folder() == model_folder(name) == shipped / name
    own.mkdir(parents=True)
    (own / "network.onnx").touch()
    assert (tmp_path / model_folder()).resolve() == own
    monkeypatch.setenv("DEEPEXP3D_MODEL", "deepexp3d-small")
    assert model_folder() == shipped / "deepexp3d-small"
    assert model_folder(tmp_path / "mine") == tmp_path / "mine"
