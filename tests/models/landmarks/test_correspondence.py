"""Learning where a detector's points lie on the face model."""

import numpy as np
import pytest

from models.landmarks.backend import Face, box_around
from models.landmarks.correspondence import learn_correspondence
from models.landmarks.settings import CorrespondenceSettings
from models.morphable_model.embedded import EmbeddedModelSettings, build_embedded_model
from models.rendering import synthetic_images
from models.rendering.settings import SyntheticImageSettings

SETTINGS = CorrespondenceSettings(
    people=3, views=4, largest_yaw=40.0, seed=5, image=SyntheticImageSettings(size=96), shrinkage=1e-3
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
    assert np.abs(found.offsets - offsets).max() < 0.5
    assert found.after.mean() < 0.1 * found.before.mean()


def test_without_any_face_there_are_no_offsets(model):
    class Blind:
        name = "blind"

        def detect(self, image):
            return []

    found = learn_correspondence(model, Blind(), SETTINGS)
    assert found.pictures == 0
    assert not found.offsets.any()


def test_offsets_move_the_landmarks_and_nothing_else(model, tmp_path):
    offsets = np.ones((68, 3))
    moved = model.with_landmark_offsets(offsets)
    assert np.allclose(moved.landmarks() - model.landmarks(), 1)
    assert np.array_equal(moved.shape(), model.shape())
    moved.save(tmp_path / "moved.npz")
    model.save(tmp_path / "model.npz")
    assert (tmp_path / "moved.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()
