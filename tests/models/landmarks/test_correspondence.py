"""Learning where a detector's points lie on the face model."""

from dataclasses import replace

import numpy as np
import pytest

from models.landmarks.backend import Face, box_around
from models.landmarks.correspondence import learn_correspondence
from models.landmarks.settings import CorrespondenceSettings
from models.morphable_model.detector_errors import DetectorErrors
from models.morphable_model.embedded import EmbeddedModelSettings, build_embedded_model
from models.rendering import synthetic_images
from models.rendering.settings import SyntheticImageSettings

SETTINGS = CorrespondenceSettings(
    people=3,
    views=4,
    poses=0,
    largest_yaw=40.0,
    seed=5,
    image=SyntheticImageSettings(size=96),
    shrinkage=1e-3,
    response_shrinkage=1e3,
    patterns=2,
)


@pytest.fixture(scope="module")
def model():
    return build_embedded_model(EmbeddedModelSettings(heads=250, sequences=20, sequence_frames=60))


class DisplacedDetector:
    """Knows the true points, and finds them where a displaced model has them; every third picture with gross errors."""

    name = "displaced"

    def __init__(self, model, pictures):
        self.model, self.pictures, self.count = model, pictures, 0

    def detect(self, image):
        picture = self.pictures[self.count]
        self.count += 1
        points = picture.camera.project(self.model.landmarks(picture.identity, picture.expression))[0]
        if self.count % 3 == 0:
            points = points + 40
        return [Face(points.astype(np.float32), box_around(points), 1.0)]


def rendered(model, monkeypatch):
    """Let the pictures that are rendered for learning be known to the detector."""
    pictures, render = [], synthetic_images.render_emotion_image

    def recording(*arguments, **options):
        pictures.append(render(*arguments, **options))
        return pictures[-1]

    monkeypatch.setattr(synthetic_images, "render_emotion_image", recording)
    return pictures


def test_known_offsets_are_recovered_in_all_three_directions_despite_gross_errors(model, monkeypatch):
    offsets = np.random.default_rng(0).normal(scale=4, size=(68, 3))
    pictures = rendered(model, monkeypatch)
    detector = DisplacedDetector(model.with_landmark_offsets(offsets), pictures)
    found = learn_correspondence(model, detector, SETTINGS)
    assert found.pictures == 12
    assert np.abs(found.errors.offsets - offsets).max() < 0.5
    assert found.after.mean() < 0.1 * found.before.mean()


def test_without_any_face_there_are_no_offsets(model):
    class Blind:
        name = "blind"

        def detect(self, image):
            return []

    found = learn_correspondence(model, Blind(), SETTINGS)
    assert found.pictures == 0
    assert not found.errors.offsets.any()


def test_offsets_move_the_landmarks_and_nothing_else(model, tmp_path):
    offsets = np.ones((68, 3))
    moved = model.with_landmark_offsets(offsets)
    assert np.allclose(moved.landmarks() - model.landmarks(), 1)
    assert np.array_equal(moved.shape(), model.shape())
    moved.save(tmp_path / "moved.npz")
    model.save(tmp_path / "model.npz")
    assert (tmp_path / "moved.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()


class ErringDetector(DisplacedDetector):
    """Finds the true points but for what it makes of the expression, and of every person and picture."""

    def __init__(self, model, pictures, person, image):
        super().__init__(model, pictures)
        self.person, self.image = person, image

    def detect(self, image):
        picture = self.pictures[self.count]
        self.count += 1
        habit = np.random.default_rng(picture.subject).normal() * self.person
        chance = np.random.default_rng([7, self.count]).normal() * self.image
        moved = self.model.landmarks(picture.identity, picture.expression) + habit + chance
        points = picture.camera.project(moved)[0]
        return [Face(points.astype(np.float32), box_around(points), 1.0)]


def smooth_pattern(frequency):
    """Displacements (68, 3) in the plane of the face, alike at neighbouring points."""
    wave = np.sin(frequency * np.arange(68) / 68 * 2 * np.pi)
    return np.stack([wave, np.roll(wave, 5), 0 * wave], 1)


def test_the_response_to_the_expression_is_learned(model, monkeypatch):
    response = np.zeros((68, 3, model.expression_size))
    # Half of what the first component does to the chin is not seen.
    response[8] = -0.5 * model.landmark_expression_basis[8] * (np.arange(model.expression_size) == 0)
    none = DetectorErrors.none(68, model.expression_size)
    pictures = rendered(model, monkeypatch)
    detector = ErringDetector(model.with_detector(replace(none, response=response)), pictures, 0, 0)
    found = learn_correspondence(model, detector, replace(SETTINGS, people=8, poses=2, response_shrinkage=1e-3))
    np.testing.assert_allclose(found.errors.response[8, :2, 0], response[8, :2, 0], atol=0.15 * np.abs(response).max())
    assert np.abs(found.errors.response[40:]).max() < 0.05 * np.abs(response).max()


def test_patterns_of_people_and_of_pictures_are_told_apart(model, monkeypatch):
    person, image = 2.0 * smooth_pattern(1), 1.5 * smooth_pattern(3)
    pictures = rendered(model, monkeypatch)
    detector = ErringDetector(model, pictures, person, image)
    settings = replace(SETTINGS, people=24, views=3, largest_yaw=5.0, response_shrinkage=1e6, patterns=1)
    errors = learn_correspondence(model, detector, settings).errors

    def alignment(found, true):
        return abs(np.vdot(found, true)) / np.linalg.norm(found) / np.linalg.norm(true)

    assert alignment(errors.person[..., 0], person) > 0.95
    assert alignment(errors.image[..., 0], image) > 0.95
    assert np.linalg.norm(errors.image) == pytest.approx(np.linalg.norm(image), rel=0.3)
    assert errors.noise.max() < 0.5
