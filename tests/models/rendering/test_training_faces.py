"""Faces to learn from: their labels are true, and every setting does what it says."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.errors import ModelMismatchError
from models.morphable_model.expressions import EXPRESSION_UNITS, UNIT_GROUPS, emotion_activations
from models.rendering import surroundings, training_faces
from models.rendering.photographed_skin import PhotographedSkin
from models.rendering.settings import TrainingFaceSettings
from models.rendering.subject import sample_subject
from models.rendering.training_faces import render_training_faces, sample_expression

# Nothing spoils these images.
PLAIN = TrainingFaceSettings(
    size=128,
    images_per_subject=3,
    turned_share=0.0,
    photographed_share=0.0,
    glasses_share=0.0,
    fringe_share=0.0,
    occluder_share=0.0,
    tight_share=0.0,
    small_share=0.0,
    compressed_share=0.0,
    grey_share=0.0,
    largest_blur=0.0,
    largest_noise=0.0,
)
QUICK = replace(PLAIN, size=64, oversampling=1.0)
EMOTIONS = {"angry", "disgusted", "fearful", "happy", "sad", "surprised"}


def faces(model, settings, subject=0, seed=0, skins=None):
    return list(render_training_faces(model, subject, seed=seed, settings=settings, skins=skins))


def interocular(face):
    return np.linalg.norm(face.landmarks[45] - face.landmarks[36])


def test_the_same_numbers_give_the_same_faces(embedded_model):
    spoilt = TrainingFaceSettings(size=96, images_per_subject=3)
    first, second, other_seed, other_person = (
        faces(embedded_model, spoilt, subject, seed) for subject, seed in ((4, 7), (4, 7), (4, 8), (5, 7))
    )
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.landmarks, two.landmarks)
        np.testing.assert_array_equal(one.expression, two.expression)
    for others in (other_seed, other_person):
        assert not np.array_equal(first[0].identity, others[0].identity)


def test_more_images_of_a_person_leave_the_first_ones_as_they_are(embedded_model):
    few, many = (faces(embedded_model, replace(QUICK, images_per_subject=count)) for count in (2, 4))
    for one, two in zip(few, many[:2], strict=True):
        np.testing.assert_array_equal(one.image, two.image)


def test_images_of_a_subject_share_the_person_but_not_the_expression(embedded_model):
    first, second, third = faces(embedded_model, QUICK, subject=2)
    assert [(face.subject, face.take) for face in (first, second, third)] == [(2, 0), (2, 1), (2, 2)]
    np.testing.assert_array_equal(first.identity, second.identity)
    assert not np.array_equal(first.expression, second.expression)
    assert not np.array_equal(first.image, second.image)


def posing(monkeypatch, **strengths):
    """Let every face show the named units."""
    activations = np.zeros(len(EXPRESSION_UNITS))
    for unit, strength in strengths.items():
        activations[EXPRESSION_UNITS.index(unit)] = strength
    monkeypatch.setattr(training_faces, "sample_expression", lambda rng, settings: (activations, None))
    return activations


def test_the_label_is_the_expression_that_is_seen(embedded_model, monkeypatch):
    posing(monkeypatch)
    (closed,) = faces(embedded_model, replace(PLAIN, images_per_subject=1))
    activations = posing(monkeypatch, jawOpen=1.0)
    (opened,) = faces(embedded_model, replace(PLAIN, images_per_subject=1))
    assert np.abs(closed.expression).max() == 0
    np.testing.assert_allclose(opened.expression, activations @ embedded_model.extras["units"], rtol=1e-6)
    # The lower lip, and the picture with it, moves; the brows and the picture around them do not.
    moved = np.linalg.norm(opened.landmarks - closed.landmarks, axis=1) / interocular(closed)
    assert moved[57] > 0.15
    assert moved[17:27].max() < 0.03
    difference = np.abs(opened.image.astype(int) - closed.image).mean(-1)

    def at(points):
        column, row = closed.landmarks[points].mean(0).astype(int)
        return difference[row - 3 : row + 4, column - 3 : column + 4].mean()

    assert at([57, 66]) > 10 * max(at([27]), 0.5)


def test_folds_come_with_the_expression(embedded_model, monkeypatch):
    """A frown is not in the shape alone: without its folds the picture is another."""
    posing(monkeypatch, browDownLeft=1.0, browDownRight=1.0)
    (folded,) = faces(embedded_model, replace(PLAIN, images_per_subject=1), subject=3)
    monkeypatch.setattr(training_faces.Wrinkles, "on", lambda self, skin, activations: skin)
    (smooth,) = faces(embedded_model, replace(PLAIN, images_per_subject=1), subject=3)
    changed = np.abs(folded.image.astype(int) - smooth.image).max(-1) > 1
    assert changed.any()
    row, column = np.nonzero(changed)
    brows = folded.landmarks[[21, 22]].mean(0)
    assert np.hypot(column - brows[0], row - brows[1]).max() < 0.8 * interocular(folded)


def test_yaw_is_positive_towards_the_subjects_left(embedded_model):
    settings = replace(QUICK, images_per_subject=12, turned_share=1.0, largest_yaw=50.0, nearest_camera=5000.0)
    turned = [face for face in faces(embedded_model, settings) if abs(face.yaw) > 15]
    assert {np.sign(face.yaw) for face in turned} == {-1, 1}
    for face in turned:
        nose, eyes = face.landmarks[30, 0], face.landmarks[[36, 45], 0].mean()
        assert np.sign(nose - eyes) == np.sign(face.yaw)


def test_heads_turn_as_far_as_they_may_and_no_farther(embedded_model):
    frontal, turned = (
        np.abs([face.yaw for face in faces(embedded_model, replace(QUICK, images_per_subject=24, **change))])
        for change in ({"turned_share": 0.0}, {"turned_share": 1.0, "largest_yaw": 40.0})
    )
    assert np.median(frontal) < 10
    assert np.median(turned) > 15
    assert 30 < turned.max() <= 40


def test_faces_are_as_large_as_the_settings_say(embedded_model):
    settings = replace(QUICK, images_per_subject=10, face_size=(0.4, 0.44), identity_spread=0.1, largest_yaw=0.0)
    sizes = [interocular(face) / 64 for face in faces(embedded_model, settings)]
    # Perspective, pitch and the person change them a little.
    assert 0.36 < min(sizes) < max(sizes) < 0.5


@pytest.mark.parametrize(
    ("share", "drawn"),
    [("glasses_share", "draw_glasses"), ("fringe_share", "draw_fringe"), ("occluder_share", "draw_occluder")],
)
def test_things_on_and_before_the_face_are_there_or_not(embedded_model, monkeypatch, share, drawn):
    draw, calls = getattr(surroundings, drawn), []

    def counted(*arguments):
        calls.append(drawn)
        return draw(*arguments)

    monkeypatch.setattr(surroundings, drawn, counted)
    without = faces(embedded_model, replace(QUICK, **{share: 0.0}))
    assert calls == []
    with_it = faces(embedded_model, replace(QUICK, **{share: 1.0}))
    assert len(calls) >= len(with_it)
    for bare, covered in zip(without, with_it, strict=True):
        np.testing.assert_allclose(bare.landmarks, covered.landmarks)
        assert not np.array_equal(bare.image, covered.image)


def test_grey_images_have_no_colour_and_others_do(embedded_model):
    for face in faces(embedded_model, replace(QUICK, grey_share=1.0)):
        np.testing.assert_array_equal(face.image[..., 0], face.image[..., 2])
    for face in faces(embedded_model, QUICK):
        assert np.abs(face.image[..., 0].astype(int) - face.image[..., 2]).mean() > 3


def test_a_tight_image_is_a_part_of_the_whole_one_and_its_landmarks_go_with_it(embedded_model):
    whole = faces(embedded_model, replace(PLAIN, images_per_subject=6))
    tight = faces(embedded_model, replace(PLAIN, images_per_subject=6, tight_share=1.0))
    smaller = 0
    for face, part in zip(whole, tight, strict=True):
        shift = (face.landmarks - part.landmarks).round(3)
        assert np.ptp(shift, axis=0).max() < 0.01
        left, top = np.rint(shift[0]).astype(int)
        height, width = part.image.shape[:2]
        assert min(height, width) >= 32
        np.testing.assert_array_equal(part.image, face.image[top : top + height, left : left + width])
        smaller += height * width < 0.8 * 128**2
    assert smaller >= 3


def test_small_faces_are_at_least_as_wide_as_said_and_their_landmarks_go_with_them(embedded_model):
    settings = replace(PLAIN, images_per_subject=10, smallest_face=20.0)
    whole = faces(embedded_model, settings)
    small = faces(embedded_model, replace(settings, small_share=1.0))
    for face, shrunk in zip(whole, small, strict=True):
        assert face.image.shape == (128, 128, 3)
        factor = np.array(shrunk.image.shape[1::-1]) / 128
        # A whole number of pixels is within one percent or two of the size that is wanted.
        assert interocular(shrunk) > 0.98 * min(20.0, interocular(face))
        np.testing.assert_allclose(shrunk.landmarks, (face.landmarks + 0.5) * factor - 0.5, atol=1e-3)
        expected = cv2.resize(face.image, shrunk.image.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(shrunk.image.astype(int) - expected).mean() < 1
    assert min(map(interocular, small)) < 25
    assert max(map(interocular, small)) > 28


def test_compressed_images_are_the_same_pictures_with_less_in_them(embedded_model):
    plain = faces(embedded_model, PLAIN)
    compressed = faces(embedded_model, replace(PLAIN, compressed_share=1.0, lowest_quality=94))
    ruined = faces(embedded_model, replace(PLAIN, compressed_share=1.0, lowest_quality=1))
    for face, slightly, badly in zip(plain, compressed, ruined, strict=True):
        np.testing.assert_array_equal(face.landmarks, badly.landmarks)
        losses = [np.abs(face.image.astype(int) - other.image).mean() for other in (slightly, badly)]
        assert 0 < losses[0] < 3
        assert losses[0] < losses[1] < 40


def dressed(model, settings, skins, subjects, monkeypatch):
    """The photographed skins, or None, that subjects get."""
    sample, given = training_faces.sample_subject, []

    def spying(model, rng, spread, photographed, **others):
        given.append(photographed)
        return sample(model, rng, spread, photographed, **others)

    monkeypatch.setattr(training_faces, "sample_subject", spying)
    for subject in range(subjects):
        faces(model, replace(settings, images_per_subject=0), subject, skins=skins)
    return given


@pytest.fixture(scope="module")
def skins():
    """Three skins, each of one colour."""
    colours = np.uint8([[30, 60, 200], [200, 40, 40], [50, 180, 60]])
    return PhotographedSkin(np.tile(colours[:, None, None], (1, 512, 512, 1)), ("blue", "red", "green"))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 5)])
def test_as_many_people_as_said_wear_photographed_skin(embedded_model, skins, monkeypatch, share, expected):
    settings = replace(QUICK, photographed_share=share, blended_share=0.0)
    given = dressed(embedded_model, settings, skins, 5, monkeypatch)
    worn = [texture for texture in given if texture is not None]
    assert len(worn) == expected
    for texture in worn:
        assert (texture == skins.textures).all((1, 2, 3)).any()


def test_without_photographs_all_skin_is_painted(embedded_model, monkeypatch):
    settings = replace(QUICK, photographed_share=1.0)
    assert dressed(embedded_model, settings, None, 2, monkeypatch) == [None, None]


def test_blended_skin_lies_between_two_photographs(embedded_model, skins, monkeypatch):
    settings = replace(QUICK, photographed_share=1.0, blended_share=1.0)
    mixed = [texture[0, 0] for texture in dressed(embedded_model, settings, skins, 6, monkeypatch)]
    pure = skins.textures[:, 0, 0]
    between = [colour for colour in mixed if not (colour == pure).all(1).any()]
    assert len(between) >= 2
    for colour in mixed:
        assert (pure.min(0) <= colour).all()
        assert (colour <= pure.max(0)).all()


def test_photographed_skin_is_what_is_seen(embedded_model, skins):
    blue = PhotographedSkin(skins.textures[:1], ("blue",))
    for face in faces(embedded_model, replace(QUICK, photographed_share=1.0), subject=1, skins=blue):
        column, row = face.landmarks[30].astype(int)
        red, _, blue_level = face.image[row - 2 : row + 3, column - 2 : column + 3].mean((0, 1))
        assert blue_level > 1.5 * red


def test_a_model_without_face_units_is_refused(small_model):
    with pytest.raises(ModelMismatchError, match="eye_local"):
        next(render_training_faces(small_model, 0, seed=0))


def drawn(count=600, **shares):
    """Activations (count, 43) and emotions of expressions with these settings."""
    none = {"rest": 0.0, "single": 0.0, "sparse": 0.0, "posed": 0.0, "exaggeration_share": 0.0}
    settings = TrainingFaceSettings(**(none | shares))
    rng = np.random.default_rng(0)
    activations, emotions = zip(*(sample_expression(rng, settings) for _ in range(count)), strict=True)
    return np.array(activations), list(emotions)


def test_every_unit_and_every_emotion_occurs_as_often_as_it_takes_to_learn_it():
    rng = np.random.default_rng(0)
    faces = [sample_expression(rng, TrainingFaceSettings()) for _ in range(3000)]
    activations, emotions = np.array([face[0] for face in faces]), [face[1] for face in faces]
    assert activations.min() >= 0
    for group, units in UNIT_GROUPS.items():
        shown = activations[:, [EXPRESSION_UNITS.index(unit) for unit in units]].max(1)
        assert (shown > 0.15).mean() > 0.005, group
    for emotion in EMOTIONS:
        assert 0.04 < emotions.count(emotion) / 3000 < 0.10
    assert 0.08 < emotions.count("neutral") / 3000 < 0.12


def test_a_face_at_rest_hardly_moves():
    activations, emotions = drawn(rest=1.0)
    assert set(emotions) == {"neutral"}
    assert activations.max() <= 0.3
    assert (activations < 0.02).mean() > 0.9


def test_single_movements_are_of_one_group_and_sometimes_of_one_side():
    blink = [EXPRESSION_UNITS.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    activations, emotions = drawn(single=1.0)
    assert set(emotions) == {None}
    of_group = np.array([[unit in units for unit in EXPRESSION_UNITS] for units in UNIT_GROUPS.values()])
    of_group[:, blink] = False
    jaw, lips = EXPRESSION_UNITS.index("jawOpen"), EXPRESSION_UNITS.index("mouthClose")
    closing = activations[:, lips] > 0
    groups = (activations @ of_group.T > 0).sum(1)
    assert groups[~closing].max() == 1
    assert closing.any()
    assert (activations[closing, jaw] >= activations[closing, lips]).all(), "lips close over an open jaw alone"
    for units in UNIT_GROUPS.values():
        one = activations[:, [EXPRESSION_UNITS.index(unit) for unit in units]]
        assert (one > 0).any()
        if len(units) == 2 and units[0] != "eyeBlinkLeft":
            assert ((one[:, 0] > 0) != (one[:, 1] > 0)).any()


def test_posed_faces_show_the_emotion_they_are_named_after():
    activations, emotions = drawn(posed=1.0, blend_share=0.0, extra_share=0.0, intensity=(1.0, 1.0))
    assert set(emotions) == EMOTIONS
    rng = np.random.default_rng(1)
    prototypes = {
        emotion: np.mean([emotion_activations(emotion, 1.0, rng) for _ in range(50)], 0) for emotion in EMOTIONS
    }
    for emotion in EMOTIONS:
        shown = activations[[place for place, name in enumerate(emotions) if name == emotion]].mean(0)
        nearest = max(prototypes, key=lambda name: np.corrcoef(shown, prototypes[name])[0, 1])
        assert nearest == emotion


def test_the_rest_comes_from_natural_sequences():
    _, emotions = drawn(count=100)
    assert set(emotions) == {None}


def test_only_exaggeration_goes_beyond_full_activation():
    shares = {"posed": 0.5, "sparse": 0.5, "intensity": (1.0, 1.3)}
    assert drawn(**shares)[0].max() <= 1
    exaggerated = drawn(**shares, exaggeration_share=1.0, largest_exaggeration=1.4)[0].max()
    assert 1.2 < exaggerated <= 1.4


def test_people_differ_at_rest_within_the_expression_span(embedded_model):
    model = embedded_model
    shapes = [
        sample_subject(model, np.random.default_rng(seed), resting_spread=1.0).resting / model.expression_std
        for seed in range(40)
    ]
    expected = np.sqrt(np.diag(model.extras["resting_covariance"])) / model.expression_std
    assert np.std(shapes, axis=0).mean() == pytest.approx(expected.mean(), rel=0.25)
    assert not sample_subject(model, np.random.default_rng(0)).resting.any()


def test_labels_know_nothing_of_the_resting_shape(embedded_model):
    alike, apart = (
        faces(embedded_model, replace(QUICK, images_per_subject=1, resting_spread=spread))[0] for spread in (0.0, 1.0)
    )
    np.testing.assert_array_equal(alike.expression, apart.expression)
    # The true landmarks do: brows and lips are elsewhere.
    assert np.abs(alike.landmarks - apart.landmarks).max() > 0.02 * interocular(alike)
