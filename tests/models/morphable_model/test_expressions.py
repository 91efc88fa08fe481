"""The sampler of natural expression."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.morphable_model.expressions import (
    EMOTION_PROTOTYPES,
    EXPRESSION_UNITS,
    ExpressionSettings,
    combined_activations,
    emotion_activations,
    group_activations,
    incidental_activations,
    sample_activations,
)

EMOTIONS = ["neutral", "angry", "disgusted", "fearful", "happy", "sad", "surprised"]


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([sample_activations(200, rng) for _ in range(60)])


def column(name: str) -> int:
    return EXPRESSION_UNITS.index(name)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 200), st.sampled_from([15.0, 24.0, 30.0, 60.0]))
def test_activations_stay_between_rest_and_full(seed, frames, rate):
    activations = sample_activations(frames, np.random.default_rng(seed), frames_per_second=rate)
    assert activations.shape == (frames, 43)
    assert activations.min() >= 0
    assert activations.max() <= 1


def test_the_same_seed_gives_the_same_sequence():
    first, second = (sample_activations(50, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_expression_is_sparse(many):
    assert 0.5 < (many < 0.02).mean() < 0.97


def test_every_unit_is_used(many):
    assert (many.max((0, 1)) > 0.15).all()


def test_left_and_right_move_together(many):
    flat = many.reshape(-1, many.shape[-1])
    for name in ("browDown", "mouthSmile", "eyeBlink", "noseSneer"):
        assert np.corrcoef(flat[:, column(f"{name}Left")], flat[:, column(f"{name}Right")])[0, 1] > 0.7


def test_movement_is_smooth(many):
    blinkless = [k for k, name in enumerate(EXPRESSION_UNITS) if not name.startswith("eye")]
    assert np.abs(np.diff(many[..., blinkless], axis=1)).max() < 0.3


def test_contradictions_are_resolved(many):
    assert (many[..., column("mouthClose")] <= many[..., column("jawOpen")]).all()
    assert (many[..., column("eyeWideLeft")] + many[..., column("eyeBlinkLeft")] <= 1 + 1e-9).all()


def test_a_face_without_events_rests():
    still = ExpressionSettings(events_per_second=0, blinks_per_second=0, speech_share=0)
    assert not sample_activations(60, np.random.default_rng(0), still).any()


def test_the_prototypes_are_the_emotions_in_order():
    assert list(EMOTION_PROTOTYPES) == EMOTIONS
    for movements in EMOTION_PROTOTYPES.values():
        for movement in movements.values():
            assert 0 <= movement.low <= movement.high <= 1


def test_emotions_show_their_action_units():
    rng = np.random.default_rng(1)
    happy, surprised, neutral = (emotion_activations(name, 1.0, rng) for name in ("happy", "surprised", "neutral"))
    assert min(happy[column("mouthSmileLeft")], happy[column("mouthSmileRight")]) > 0.2
    assert surprised[column("browInnerUp")] > 0.2
    assert not neutral.any()


def test_an_unknown_emotion_is_refused():
    with pytest.raises(KeyError, match="bored"):
        emotion_activations("bored", 1.0, np.random.default_rng(0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_combining_with_rest_changes_nothing(seed):
    face = incidental_activations(np.random.default_rng(seed))
    np.testing.assert_allclose(combined_activations(face, np.zeros(43)), face, atol=1e-12)


def test_groups_move_as_strongly_as_named_and_nothing_else_does():
    activations = group_activations({"mouthSmile": 0.7, "jawOpen": 0.4}, np.random.default_rng(0), asymmetry=0.0)
    expected = {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7, "jawOpen": 0.4}
    assert {name: activations[k] for k, name in enumerate(EXPRESSION_UNITS) if activations[k]} == expected


def test_the_sides_of_a_group_differ_by_the_asymmetry_and_stay_between_rest_and_full():
    rng = np.random.default_rng(0)
    left, right = column("browDownLeft"), column("browDownRight")
    faces = np.array([group_activations({"browDown": 0.5}, rng, asymmetry=0.2) for _ in range(400)])
    assert 0.09 < faces[:, left].std() < 0.11
    assert abs(np.corrcoef(faces[:, left], faces[:, right])[0, 1]) < 0.15
    strong = np.array([group_activations({"browDown": 0.95}, rng, asymmetry=0.3) for _ in range(50)])
    assert strong.min() >= 0
    assert strong.max() == 1
