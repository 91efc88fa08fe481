"""Faces through detector and alignment, and what methods answer about them."""

import numpy as np
import pytest

from models.expression.alignment import template
from models.expression.contract import NetworkContract
from models.expression.judgement import KnownFaces, fitted_figures, neutral_figures
from models.expression.observed_faces import (
    ObservedFaces,
    network_expressions,
    observe,
    per_frame_expressions,
    single_image_expressions,
)
from models.fitting.settings import FitSettings
from models.landmarks.backend import Face, box_around


class Finder:
    """Finds in a picture the points that its number, the first pixel, stands for; none in number 0."""

    name = "finder"

    def __init__(self, points: np.ndarray):
        self.points = points

    def detect(self, image: np.ndarray) -> list[Face]:
        number = int(image[0, 0, 0])
        points = self.points + number
        return [Face(points, box_around(points), 1.0)] if number else []

    def follow(self, image, faces):
        return [None for _ in faces]


@pytest.fixture(scope="module")
def faces(small_model) -> ObservedFaces:
    pictures = [np.full((300, 300, 3), number, np.uint8) for number in (5, 0, 9)]
    return observe(pictures, Finder(0.8 * template(small_model).astype(np.float32)), template(small_model))


def test_points_and_image_are_aligned_to_the_template(faces, small_model):
    assert faces.found.tolist() == [True, False, True]
    assert len(faces) == 3
    np.testing.assert_allclose(faces.aligned_points[0], template(small_model), atol=1e-2)
    assert np.median(faces.aligned[2]) == 9
    assert not faces.aligned[1].any()


def test_only_a_network_that_takes_points_gets_them(faces, small_model):
    given = []

    class Session:
        expression_size = 28

        def __init__(self, landmark_input: bool):
            self.contract = NetworkContract.of(small_model, "resnet18_half", 112, landmark_input)

        def __call__(self, images, *points):
            given.append([values.shape for values in points])
            return np.ones((len(images), 28))

    for landmark_input, shapes in ((False, []), (True, [(2, 68, 2)])):
        expressions = network_expressions(Session(landmark_input), faces)
        assert given.pop() == shapes
        assert np.isfinite(expressions).all(axis=1).tolist() == [True, False, True]


@pytest.mark.parametrize("method", [single_image_expressions, per_frame_expressions])
def test_the_mean_face_is_read_as_at_rest(faces, small_model, method):
    expressions = method(faces, small_model, FitSettings())
    assert np.isnan(expressions[1]).all()
    assert np.abs(expressions[[0, 2]]).max() < 0.1


def test_known_faces_survive_the_disk_and_can_be_joined(faces, small_model, tmp_path):
    known = KnownFaces.fitted(faces, np.zeros((3, 28)), "aab", ["neutral"] * 3, small_model, FitSettings())
    known.save(tmp_path / "known.npz")
    twice = KnownFaces.joined([known, KnownFaces.load(tmp_path / "known.npz")])
    assert len(twice.faces) == 6
    assert twice.subject.tolist() == list("aabaab")
    np.testing.assert_array_equal(twice.single_image[:3], twice.single_image[3:])


def test_figures_carry_the_prefix_of_their_method(faces, small_model):
    known = KnownFaces.fitted(faces, np.zeros((3, 28)), "aab", ["neutral"] * 3, small_model, FitSettings())
    answers = {"": np.full((3, 28), 0.2), "single_image_": known.single_image}
    figures = fitted_figures(answers, known) | neutral_figures(answers, known)
    assert figures["fitted_mse"] == pytest.approx(0.04)
    assert figures["fitted_single_image_mse"] < 0.01
    assert figures["neutral_variance"] == pytest.approx(0, abs=1e-20)
