"""Folds are where and as deep as the face's movement makes them."""

import numpy as np
import pytest

from models.morphable_model.expressions import EXPRESSION_UNITS, UNIT_GROUPS
from models.rendering.skin import landmark_texels
from models.rendering.wrinkles import sample_wrinkles

SKIN = np.full((512, 512, 3), 0.6, np.float32)


def activated(**strengths):
    """Activations (43,) of unit groups or of single units."""
    activations = np.zeros(len(EXPRESSION_UNITS))
    for name, strength in strengths.items():
        for unit in UNIT_GROUPS.get(name, (name,)):
            activations[EXPRESSION_UNITS.index(unit)] = strength
    return activations


@pytest.fixture(scope="module")
def texels(embedded_model):
    return landmark_texels(embedded_model)


@pytest.fixture(scope="module")
def people(embedded_model):
    """The folds of a dozen people."""
    return [sample_wrinkles(embedded_model, np.random.default_rng(seed)) for seed in range(12)]


def darkening(wrinkles, **strengths):
    """How much darker each texel (512, 512) of even skin becomes."""
    return (SKIN - wrinkles.on(SKIN, activated(**strengths))).mean(-1)


def around(texels, points, reach):
    """Mask (512, 512) of what lies within `reach` distances of the eyes' outer corners of the points' mean."""
    unit = np.linalg.norm(texels[45] - texels[36])
    row, column = np.mgrid[:512, :512]
    middle = texels[points].mean(0)
    return np.hypot(column - middle[0], row - middle[1]) < reach * unit


def test_a_frown_folds_the_skin_between_the_brows_and_leaves_the_cheeks_alone(people, texels):
    cheeks = around(texels, [2, 31, 48], 0.15) | around(texels, [14, 35, 54], 0.15)
    brows = around(texels, [21, 22, 27], 0.2)
    for wrinkles in people:
        darker = darkening(wrinkles, browDown=1.0)
        assert darker[brows].max() > 0.005
        assert np.abs(darker[cheeks]).max() == 0
    assert np.mean([darkening(wrinkles, browDown=1.0)[brows].max() for wrinkles in people]) > 0.03


@pytest.mark.parametrize(
    ("group", "points", "reach"),
    [
        ("browInnerUp", [19, 24], 0.5),
        ("browOuterUp", [18, 25], 0.5),
        ("noseSneer", [27, 28], 0.25),
        ("mouthShrugLower", [8, 57], 0.3),
        ("cheekSquint", [36], 0.35),
        ("eyeSquint", [40, 41], 0.25),
        ("mouthSmile", [31, 48], 0.3),
        ("mouthFrown", [48], 0.35),
        ("mouthDimple", [48], 0.3),
    ],
)
def test_folds_come_where_a_movement_presses_the_skin_together(people, texels, group, points, reach):
    darker = np.mean([darkening(wrinkles, **{group: 1.0}) for wrinkles in people], axis=0).clip(0, None)
    place = around(texels, points, reach)
    assert darker[place].max() > 0.5 * darker.max() > 0


def test_a_face_at_rest_has_no_folds(people):
    for wrinkles in people:
        np.testing.assert_array_equal(wrinkles.on(SKIN, activated()), SKIN)


def test_the_skin_that_is_given_stays_as_it_is(people):
    given = SKIN.copy()
    assert not np.array_equal(people[0].on(given, activated(browDown=1.0, mouthSmile=1.0)), given)
    np.testing.assert_array_equal(given, SKIN)


def test_folds_deepen_with_the_movement_up_to_a_limit(people):
    half, full, beyond, far_beyond = (
        np.mean([darkening(wrinkles, noseSneer=strength).max() for wrinkles in people])
        for strength in (0.4, 1.0, 10.0, 20.0)
    )
    assert 1.5 * half < full < beyond == far_beyond
    assert far_beyond < 0.6


def test_one_side_of_the_face_folds_alone(people, texels):
    column = np.arange(512)
    middle = texels[[27, 30, 8], 0].mean()
    # The subject's right is on the left of the texture.
    right, left = column < middle - 25, column > middle + 25
    for wrinkles in people:
        darker = np.abs(darkening(wrinkles, mouthSmileLeft=1.0, cheekSquintLeft=1.0, browDownLeft=1.0))
        assert darker[:, left].max() > 0
        assert darker[:, right].max() == 0


def test_people_differ_in_how_deep_their_folds_are(people):
    depths = [darkening(wrinkles, browDown=1.0, mouthSmile=1.0, browInnerUp=1.0).max() for wrinkles in people]
    assert max(depths) > 3 * min(depths)


def test_every_fold_answers_to_a_movement_and_lies_on_the_texture(people):
    for wrinkles in people:
        assert len(wrinkles.folds) == 18
        for fold in wrinkles.folds:
            height, width = fold.field.shape
            assert fold.response.max() > 0
            assert 0 <= fold.row < fold.row + height <= 512
            assert 0 <= fold.column < fold.column + width <= 512


def test_the_same_generator_gives_the_same_folds(embedded_model, people):
    again = sample_wrinkles(embedded_model, np.random.default_rng(3))
    np.testing.assert_array_equal(
        again.on(SKIN, activated(mouthSmile=1.0)), people[3].on(SKIN, activated(mouthSmile=1.0))
    )
