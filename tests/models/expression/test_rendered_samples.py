"""Rendered faces become samples as real ones do: found by a detector, aligned, and left out where nobody is found."""

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
import pytest

from assets.morphable_model import load_model
from models.errors import ImageError
from models.expression.alignment import IMAGE_SIZE, template
from models.expression.rendered_samples import load_samples, render_samples, save_samples
from models.landmarks import load_backend
from models.landmarks.backend import Face, box_around
from models.rendering.settings import TrainingFaceSettings
from models.rendering.training_faces import render_training_faces

QUICK = TrainingFaceSettings(size=96, oversampling=1.0, images_per_subject=4)


@pytest.fixture(scope="module")
def model(prepared_project):
    return load_model(prepared_project)


@dataclass
class Believing:
    """A detector that finds a face just where it is told to look, but not in every `blind_every`-th image."""

    blind_every: int = 0
    error: float = 0.0
    looked: int = 0

    def follow(self, image, faces):
        self.looked += 1
        if self.blind_every and self.looked % self.blind_every == 0:
            return [None]
        points = faces[0].points + np.float32([self.error * np.ptp(faces[0].points[:, 0]), 0])
        return [Face(points, box_around(points), 1.0)]


def samples(model, backend, subjects=(0, 1), settings=QUICK, **changes):
    return render_samples(
        model, backend, subjects, settings=settings, **({"seed": 5, "skins": None} | changes), jpeg_quality=90
    )


@pytest.fixture(scope="module")
def rendered(model):
    return samples(model, Believing())


def test_labels_are_exact_and_in_standard_deviations(model, rendered):
    truth = [face for subject in (0, 1) for face in render_training_faces(model, subject, seed=5, settings=QUICK)]
    assert len(rendered) == len(truth) == 8
    for place, face in enumerate(truth):
        np.testing.assert_allclose(
            rendered.expression[place], face.expression / model.expression_std, rtol=1e-4, atol=1e-6
        )
        assert (rendered.subject[place], rendered.take[place]) == (face.subject, face.take)
        assert rendered.emotion[place] == (face.emotion or "")
        assert rendered.yaw[place] == pytest.approx(face.yaw)
    assert rendered.expression.dtype == np.float32


def test_images_are_aligned_and_their_landmarks_lie_on_the_face(model, rendered):
    target = template(model)
    frontal = np.abs(rendered.yaw) < 20
    assert frontal.any()
    for place, jpeg in enumerate(rendered.images):
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)
        if frontal[place]:
            assert np.linalg.norm(rendered.landmarks[place, 17:] - target[17:], axis=1).mean() < 0.1 * IMAGE_SIZE


def test_the_region_that_the_detector_looks_at_is_a_little_off(model):
    """As it is one frame later: a detector that always looks at the truth would err less than it does on videos."""
    seen = []

    class Watching(Believing):
        def follow(self, image, faces):
            seen.append(faces[0].points)
            return super().follow(image, faces)

    samples(model, Watching(), subjects=(0,))
    truth = [face.landmarks for face in render_training_faces(model, 0, seed=5, settings=QUICK)]
    for points, exact in zip(seen, truth, strict=True):
        shift = np.linalg.norm(points.mean(0) - exact.mean(0)) / np.ptp(exact[:, 0])
        assert 0.001 < shift < 0.2


def test_faces_that_nobody_finds_are_counted_and_not_kept(model, rendered):
    found = samples(model, Believing(blind_every=3))
    assert (len(found), found.refused) == (6, 2)
    assert found.images == [image for place, image in enumerate(rendered.images) if place not in (2, 5)]
    np.testing.assert_array_equal(found.take, np.delete(rendered.take, [2, 5]))


def test_points_far_from_the_truth_count_as_not_found(model):
    with pytest.raises(ImageError, match="no face in any rendered image"):
        samples(model, Believing(error=0.5), subjects=(0,))


def test_the_same_numbers_give_the_same_samples(model, rendered):
    again = samples(model, Believing())
    for field in fields(rendered):
        assert np.array_equal(getattr(rendered, field.name), getattr(again, field.name)), field.name
    assert samples(model, Believing(), seed=6).images != rendered.images


def test_samples_survive_saving(rendered, tmp_path):
    save_samples(tmp_path / "part.npz", replace(rendered, refused=3))
    loaded = load_samples(tmp_path / "part.npz")
    assert list(loaded.images) == list(rendered.images)
    assert loaded.refused == 3
    for field in fields(rendered):
        if field.name not in ("images", "refused"):
            np.testing.assert_array_equal(getattr(loaded, field.name), getattr(rendered, field.name))


@pytest.fixture(scope="module")
def mediapipe():
    return load_backend("mediapipe")


@pytest.mark.parametrize(
    "spoilt", [{"tight_share": 1.0}, {"small_share": 1.0, "smallest_face": 24.0}, {"nearest_camera": 300.0}]
)
def test_the_real_detector_finds_the_points_near_the_truth(model, mediapipe, spoilt):
    """However the image was cut or shrunk, and however near the camera: its landmarks went with it."""
    clear = {"occluder_share": 0.0, "fringe_share": 0.0, "tight_share": 0.0, "small_share": 0.0, "turned_share": 0.0}
    settings = TrainingFaceSettings(size=192, images_per_subject=5, **(clear | spoilt))
    errors = []
    for face in (face for person in (0, 1) for face in render_training_faces(model, person, seed=2, settings=settings)):
        about = face.landmarks + np.float32(0.05 * np.ptp(face.landmarks[:, 0]))
        (found,) = mediapipe.follow(face.image, [Face(about, box_around(about), 1.0)])
        if found is not None:
            distance = np.linalg.norm(found.points - face.landmarks, axis=1)[17:].mean()
            errors.append(distance / np.linalg.norm(face.landmarks[45] - face.landmarks[36]))
    assert len(errors) >= 8
    assert np.median(errors) < 0.08


def test_the_real_detector_finds_most_faces(model, mediapipe):
    found = samples(model, mediapipe, settings=replace(QUICK, size=192, images_per_subject=8))
    assert len(found) + found.refused == 16
    assert found.refused <= 4
