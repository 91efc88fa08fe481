"""Alignment undoes any similarity transform of the photograph, and keeps what the pixels show."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import NoFaceError
from models.expression.alignment import IMAGE_SIZE, align, similarity, template, transformed

angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.05, 20)
shifts = st.floats(-500, 500)


def a_similarity(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


def smooth_scene(points: np.ndarray) -> np.ndarray:
    """Colours in [40, 215] that vary slowly over the plane, at points (..., 2)."""
    x, y = points[..., 0], points[..., 1]
    waves = np.stack([np.sin(x / 17) + np.cos(y / 23), np.sin((x + y) / 29), np.cos((x - 2 * y) / 31)], axis=-1)
    return 127.5 + 40 * waves


def pixel_grid(width: int, height: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(float)


@given(angles, scales, shifts, shifts)
def test_a_similarity_is_recovered_exactly(angle, scale, x, y):
    points = np.random.default_rng(0).normal(size=(51, 2)) * 50
    matrix = a_similarity(angle, scale, x, y)
    np.testing.assert_allclose(similarity(points, transformed(points, matrix)), matrix, atol=1e-8 * max(1, scale))


@given(st.integers(0, 2**32 - 1))
def test_no_other_similarity_fits_better(seed):
    rng = np.random.default_rng(seed)
    points, target = rng.normal(size=(2, 51, 2)) * 50
    best = similarity(points, target)

    def misfit(matrix):
        return ((transformed(points, matrix) - target) ** 2).sum()

    a, b, x, y = best[0, 0], best[1, 0], *(best[:, 2] + rng.normal(size=2) * 0.1)
    nudged = np.array([[a + 0.01, -b + 0.02, x], [b - 0.02, a + 0.01, y]])
    assert misfit(best) <= misfit(nudged)


@settings(deadline=None, max_examples=25)
@given(angle=angles, scale=st.floats(0.4, 3), x=st.floats(-20, 20), y=st.floats(-20, 20))
def test_the_aligned_face_does_not_depend_on_where_the_camera_stood(small_model, angle, scale, x, y):
    """A scene is photographed from two places; both photographs are aligned to the same pixels."""
    target = template(small_model)
    placed = a_similarity(angle, scale, 450 + x, 450 + y)
    scene_points = target - IMAGE_SIZE / 2
    inverse = np.linalg.inv(np.vstack([placed, [0, 0, 1]]))[:2]
    photograph = smooth_scene(transformed(pixel_grid(900, 900), inverse)).round().astype(np.uint8)
    aligned, matrix = align(photograph, transformed(scene_points, placed), target)
    expected = smooth_scene(pixel_grid(IMAGE_SIZE, IMAGE_SIZE) - IMAGE_SIZE / 2)
    seen = transformed(pixel_grid(IMAGE_SIZE, IMAGE_SIZE), np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2])
    inside = ((seen > 2) & (seen < 897)).all(axis=-1)
    assert np.abs(aligned.astype(float) - expected)[inside].mean() < 1.0


def test_strong_shrinking_does_not_alias(small_model):
    """A fine chequerboard, ten times too large, comes out as even grey."""
    photograph = (np.indices((2400, 2400)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    target = template(small_model)
    aligned, _ = align(photograph, target * 10, target)
    assert aligned[5:-5, 5:-5].std() < 3


def test_a_face_at_the_border_is_completed_with_black(small_model):
    target = template(small_model)
    aligned, _ = align(np.full((300, 300, 3), 200, np.uint8), target - [150, 0], target)
    assert (aligned[:, :60] == 0).all()
    assert (aligned[10:200, 160:220] == 200).all()


def test_a_face_wholly_outside_the_image_gives_black_rather_than_a_crash(small_model):
    target = template(small_model)
    for factor in (1, 8):
        aligned, _ = align(np.full((50, 50, 3), 200, np.uint8), target * factor + 5000, target)
        assert aligned.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)
        assert (aligned == 0).mean() > 0.99


def test_the_template_is_the_mean_face_upright_and_within_the_image(small_model):
    points = template(small_model)
    assert ((points > 0) & (points < IMAGE_SIZE - 1)).all()
    assert points[36, 0] < points[45, 0], "the subject's right eye is on the left of the image"
    heights = small_model.landmark_mean[:, 1]
    assert points[heights.argmax(), 1] < points[heights.argmin(), 1]


@given(size=st.integers(16, 512))
@settings(deadline=None)
def test_the_template_scales_with_the_image(small_model, size):
    np.testing.assert_allclose((template(small_model, size) + 0.5) / size, (template(small_model) + 0.5) / IMAGE_SIZE)


@pytest.mark.parametrize("points", [np.zeros((68, 2)), np.full((68, 2), np.nan)])
def test_points_that_are_no_face_are_refused(small_model, points):
    with pytest.raises(NoFaceError):
        align(np.zeros((10, 10, 3), np.uint8), points, template(small_model))
