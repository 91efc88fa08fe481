"""Depth of a reconstruction is that of the head in the image, with the expression that the network reads."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from models.errors import ModelMismatchError
from models.landmarks.backend import Face, box_around
from models.rgbd.reconstructed_depth import face_depth, reconstruct_faces, with_reconstructions
from tests.models.rgbd.made_up_samples import made_up_samples

SCALE, CENTRE = 1.0, 112.0


def landmarks_of(model, expression: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) of the mean person, seen from the front in the middle of an image of 224 pixels."""
    shape = model.landmarks(np.zeros(model.identity_size), (expression * model.expression_std)[None])[0]
    return (SCALE * shape[:, :2] * [1, -1] + CENTRE).astype(np.float32)


class KnownPredictor:
    """Finds the same face in every image that is not black; remembers how large the images were."""

    def __init__(self, model, expression: np.ndarray):
        self.contract = SimpleNamespace(face_model=model.name, vertices=len(model.mean))
        self.points, self.expression, self.sizes = landmarks_of(model, expression), expression, []
        self.backend = SimpleNamespace(detect=self.detect)

    def detect(self, image):
        self.sizes.append(image.shape[0])
        points = self.points + (image.shape[0] - 224) / 2
        return [Face(points, box_around(points), 1.0)] if image.any() else []

    def crops(self, image, faces):
        return None

    def measure(self, faces, crops):
        return [SimpleNamespace(expression=self.expression)]


def test_the_depth_is_that_of_the_head_in_the_image(small_model):
    neutral = np.zeros(small_model.expression_size)
    depth = face_depth(landmarks_of(small_model, neutral), neutral, small_model, (224, 224))
    # Vertices of the mean head, seen from the front, away from its border.
    inner = np.abs(small_model.mean[:, :2]).max(axis=1) < 45
    columns, rows = np.rint(small_model.mean[inner, :2] * [1, -1] + CENTRE).astype(int).T
    found = depth[rows, columns]
    offset = np.nanmedian(found - small_model.mean[inner, 2])
    assert np.nanmedian(np.abs(found - small_model.mean[inner, 2] - offset)) < 3
    assert np.isnan(depth[0, 0])


def test_the_expression_is_the_networks_not_the_fits(small_model):
    neutral = np.zeros(small_model.expression_size)
    points = landmarks_of(small_model, neutral)
    strong = neutral.copy()
    strong[0] = 6.0
    still, moved = (face_depth(points, expression, small_model, (224, 224)) for expression in (neutral, strong))
    both = np.isfinite(still) & np.isfinite(moved)
    assert np.abs(still - moved)[both].max() > 5


def test_images_without_a_face_have_no_depth_and_are_counted(small_model):
    expression = np.linspace(-1, 1, small_model.expression_size)
    samples = made_up_samples(1)
    samples = replace(samples, colour=np.where(np.arange(len(samples))[:, None, None, None] == 3, 0, samples.colour))
    predictor = KnownPredictor(small_model, expression)
    made, problems = with_reconstructions(samples, predictor, small_model)
    assert not made.reconstructed_depth[3].any()
    assert not made.expression[3].any()
    np.testing.assert_allclose(made.expression[0], expression, rtol=1e-6)
    assert made.reconstructed_depth[0].max() == pytest.approx(1, abs=0.02)
    assert "1 of 12" in problems[0]
    # Detectors see some surroundings of what was cut close to the face.
    assert min(predictor.sizes) > 224


def test_a_network_of_another_face_model_is_refused(small_model):
    predictor = KnownPredictor(small_model, np.zeros(small_model.expression_size))
    predictor.contract.face_model = "another"
    with pytest.raises(ModelMismatchError, match="another"):
        reconstruct_faces(np.zeros((1, 224, 224, 3), np.uint8), predictor, small_model)
