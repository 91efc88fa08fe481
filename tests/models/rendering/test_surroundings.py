"""Hands and hair that cover parts of a face."""

import numpy as np
import pytest

from models.rendering.surroundings import draw_fringe, draw_occluder, sample_hand

SIZE = (128, 128)


@pytest.fixture
def landmarks(embedded_model):
    """The mean face (68, 2) in the middle of an image of 128 pixels, 50 pixels from eye to eye."""
    points = embedded_model.landmark_mean[:, :2] * [1, -1]
    return 64 + (points - points[27:48].mean(0)) * 50 / np.linalg.norm(points[45] - points[36])


def fringe(landmarks, seed, colour=(0.9, 0.1, 0.1)):
    """Where (128, 128) a fringe covers a white image, and the image."""
    image = np.ones((*SIZE, 3), np.float32)
    draw_fringe(image, landmarks, np.array(colour), np.random.default_rng(seed))
    return image.min(-1) < 0.9, image


def test_a_fringe_hangs_over_the_forehead_and_not_over_the_mouth(landmarks):
    for seed in range(10):
        covered, _ = fringe(landmarks, seed)
        assert covered.any()
        row, _ = np.nonzero(covered)
        assert row.max() < landmarks[30, 1]
        assert row.mean() < landmarks[[36, 45], 1].mean()


def test_a_fringe_has_the_colour_of_the_hair(landmarks):
    covered, image = fringe(landmarks, 0)
    red, green, _ = image[covered].mean(0)
    assert red > 2 * green


def test_a_fringe_goes_with_a_head_that_lies_on_its_side(landmarks):
    """The same strands, turned with the landmarks."""
    lying = np.stack([127 - landmarks[:, 1], landmarks[:, 0]], 1)
    covered, turned = fringe(landmarks, 2)[0], fringe(lying, 2)[0]
    overlap = (turned & np.rot90(covered, -1)).sum() / (turned | np.rot90(covered, -1)).sum()
    assert overlap > 0.8


def test_a_hand_is_one_thing_or_a_few_fingers_side_by_side():
    counts = set()
    for seed in range(40):
        fingers = sample_hand(SIZE, np.random.default_rng(seed))
        counts.add(len(fingers))
        first, across = fingers[0], fingers[0].direction[0][::-1] * [-1, 1]
        for finger in fingers:
            assert (finger.length, finger.radius) == (first.length, first.radius)
            np.testing.assert_array_equal(finger.direction, first.direction)
        places = [float(finger.centre[0] @ across) for finger in fingers]
        # Nearer than two radii: no gap shows what is behind.
        np.testing.assert_allclose(np.diff(places), 1.7 * first.radius)
    assert counts == {1, 2, 3, 4}


def test_a_hand_covers_what_it_is_drawn_over():
    image = np.ones((*SIZE, 3), np.float32) * 5
    cover = np.maximum.reduce(
        [draw_occluder(image, finger, 0) for finger in sample_hand(SIZE, np.random.default_rng(1))]
    )
    assert (cover > 0.99).sum() > 100
    assert image[cover > 0.99].max() < 1.5
    np.testing.assert_allclose(image[cover == 0], 5)
