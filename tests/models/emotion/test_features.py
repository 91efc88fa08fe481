"""Features of each kind are those of the photograph that they are said to be of."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.emotion.datasets.contents import Photograph
from models.emotion.detections import Detections
from models.emotion.features import FeatureSources, compute_features
from models.errors import ModelMismatchError
from models.fitting import fit_photographs


@pytest.fixture(scope="module")
def observed(small_model) -> tuple[list[Photograph], Detections]:
    """Two people, three photographs each, in alternating order; in the last photograph no face was found."""
    rng = np.random.default_rng(0)
    photographs, points = [], []
    identities = small_model.identity_std * rng.normal(size=(2, small_model.identity_size)) * 0.5
    for number in range(6):
        expression = small_model.expression_std * rng.normal(size=small_model.expression_size) * 0.5
        shape = small_model.landmarks(identities[number % 2], expression[None])[0]
        points.append(shape[:, :2] * [1.5, -1.5] + 200)
        photographs.append(Photograph(Path(f"{number}.png"), "happy", f"person {number % 2}"))
    points[5] = np.full((68, 2), np.nan)
    return photographs, Detections(np.array(points, np.float32), np.full((6, 146, 2), np.nan, np.float32))


def test_the_single_fit_of_a_photograph_knows_of_no_other(observed, small_model):
    photographs, detections = observed
    table = compute_features("image_fit", photographs, detections, FeatureSources(face_model=small_model))
    alone = fit_photographs(detections.points[2][None], small_model).expression / small_model.expression_std
    np.testing.assert_allclose(table.values[2], alone[0])
    np.testing.assert_array_equal(table.found, detections.found)


def test_the_shared_fit_takes_all_photographs_of_a_person_together(observed, small_model):
    photographs, detections = observed
    table = compute_features("shared_fit", photographs, detections, FeatureSources(face_model=small_model))
    for person in ([0, 2, 4], [1, 3]):
        together = fit_photographs(detections.points[person], small_model).expression / small_model.expression_std
        np.testing.assert_allclose(table.values[person], together)
    assert not table.found[5]


def test_processes_side_by_side_fit_the_same(observed, small_model):
    photographs, detections = observed
    alone, together = (
        compute_features("image_fit", photographs, detections, FeatureSources(face_model=small_model, workers=workers))
        for workers in (1, 2)
    )
    np.testing.assert_allclose(alone.values, together.values, atol=1e-9)


def test_who_is_not_named_shares_an_identity_with_nobody(observed, small_model):
    photographs, detections = observed
    unnamed = [Photograph(one.path, one.label, None) for one in photographs]
    sources = FeatureSources(face_model=small_model)
    shared, single = (compute_features(name, unnamed, detections, sources) for name in ("shared_fit", "image_fit"))
    np.testing.assert_allclose(shared.values, single.values)


def test_points_that_allow_no_fit_count_as_no_face(observed, small_model):
    photographs, detections = observed
    flat = detections.points.copy()
    flat[0] = 7.0
    table = compute_features(
        "image_fit", photographs, Detections(flat, detections.blendshape_points), FeatureSources(face_model=small_model)
    )
    np.testing.assert_array_equal(table.found, [False, True, True, True, True, False])


class BrightnessPredictor:
    """Its expression is the mean brightness of the picture; it remembers how many faces went through together."""

    expression_size = 2

    def __init__(self):
        self.together = []

    def crops(self, image, faces):
        from models.expression.predictor import Crops

        return Crops(np.full((1, 4, 4, 3), image.mean(), np.uint8), faces[0].points[None])

    def session(self, images, landmarks):
        self.together.append(len(images))
        return np.stack([images.mean(axis=(1, 2, 3)), landmarks[:, 0, 0]], axis=1)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_network_reads_each_photograph_with_its_own_landmarks(tmp_path, monkeypatch, workers):
    monkeypatch.setattr("models.emotion.features.BATCH", 2)
    points = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((68, 2), np.float32)
    points[1] = np.nan
    photographs = []
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8, 3), 10 * number, np.uint8))
        photographs.append(Photograph(tmp_path / f"{number}.png", "happy", None))
    predictor = BrightnessPredictor()
    table = compute_features(
        "deepexp3d",
        photographs,
        Detections(points, np.full((5, 146, 2), np.nan)),
        FeatureSources(predictor=predictor, workers=workers),
    )
    np.testing.assert_array_equal(table.values[[0, 2, 3, 4]], [[0, 0], [20, 2], [30, 3], [40, 4]])
    np.testing.assert_array_equal(table.found, [True, False, True, True, True])
    assert predictor.together == [2, 2]


def test_blendshapes_are_scored_where_the_detector_has_their_points(monkeypatch):
    monkeypatch.setattr(
        "models.landmarks.blendshapes.blendshape_network", lambda: lambda points: np.full(52, points.mean())
    )
    points = np.stack([np.full((146, 2), 3.0), np.full((146, 2), np.nan)])
    photographs = [Photograph(Path(name), "sad", None) for name in ("a", "b")]
    table = compute_features("blendshapes", photographs, Detections(np.zeros((2, 68, 2)), points), FeatureSources())
    np.testing.assert_array_equal(table.values[0], np.full(52, 3.0))
    np.testing.assert_array_equal(table.found, [True, False])


@pytest.mark.parametrize(("name", "need"), [("deepexp3d", "network"), ("shared_fit", "face model")])
def test_what_is_missing_is_named(observed, name, need):
    with pytest.raises(ModelMismatchError, match=need):
        compute_features(name, *observed, FeatureSources())
