"""Figures of neutral and smiling faces of the same people."""

import numpy as np
import pytest

from models.errors import ImageError
from models.expression.neutral_smile import (
    SmileRule,
    best_accuracy,
    complete_pairs,
    measure_pairs,
    measure_subgroups,
    paired_photographs,
    subgroups,
)


def people(count: int, scatter: float, seed: int = 0, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Neutral faces that scatter about an offset, and smiles of length 1 away from them."""
    rng = np.random.default_rng(seed)
    neutral = scatter * rng.normal(size=(count, 6)) / np.sqrt(6)
    neutral[:, 1] += offset
    return neutral, neutral + np.eye(6)[0]


def test_spread_and_offset_are_in_units_of_the_smile():
    neutral, smiling = people(4000, 0.3, offset=0.5)
    for unit in (1.0, 25.0):
        measured = measure_pairs(unit * neutral, unit * smiling)
        assert measured["spread"] == pytest.approx(0.3, abs=0.01)
        assert measured["offset"] == pytest.approx(0.5, abs=0.02)


def test_equal_smiles_have_cosine_one_and_random_ones_none():
    neutral, smiling = people(50, 0.3)
    assert measure_pairs(neutral, smiling)["cosine"] == pytest.approx(1)
    random = neutral + np.random.default_rng(1).normal(size=neutral.shape)
    assert abs(measure_pairs(neutral, random)["cosine"]) < 0.1


def test_the_best_threshold_may_lie_below_everything():
    assert best_accuracy(np.array([5.0]), np.array([1.0, 2.0, 3.0])) == 0.75
    assert best_accuracy(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert best_accuracy(np.array([0.0, 2.5]), np.array([2.0, 3.0])) == 0.75


def test_a_rule_learned_on_some_people_holds_for_others():
    rule = SmileRule.learned(*people(200, 0.2, seed=1))
    assert rule.accuracy(*people(200, 0.2, seed=2)) > 0.95
    assert rule.threshold == pytest.approx(0.5, abs=0.05)


def test_a_rule_leaves_more_room_to_the_kind_that_varies_more():
    neutral, smiling = people(500, 0.1)
    smiling = neutral + np.random.default_rng(3).uniform(0.6, 1.4, (500, 1)) * np.eye(6)[0]
    thresholds = [SmileRule.learned(neutral, smiling, scatter).threshold for scatter in (0.0, 0.15, 10.0)]
    assert thresholds[0] < thresholds[1] < 0.4
    # What scatters far more than either leaves nothing to choose but the middle.
    assert thresholds[2] == pytest.approx(0.5, abs=0.01)


def test_only_people_of_whom_both_pictures_are_known_count():
    features = np.array([[1.0], [2.0], [np.nan], [4.0], [5.0], [6.0]])
    subjects = ["a", "a", "b", "b", "c", "d"]
    expressions = ["happy", "neutral", "neutral", "happy", "neutral", "happy"]
    neutral, smiling, who = complete_pairs(features, subjects, expressions)
    assert who == ["a"]
    assert neutral.tolist() == [[2.0]]
    assert smiling.tolist() == [[1.0]]


def test_subgroups_have_figures_of_their_own_and_small_ones_none():
    neutral, smiling = people(30, 0.1)
    neutral[:10] += 0.8 * np.eye(6)[0] * np.where(np.arange(10) % 2, 1, -1)[:, None]
    groups = [{"gender": "female" if place < 10 else "male" if place < 27 else "other"} for place in range(30)]
    figures = measure_subgroups(neutral, smiling, SmileRule(np.eye(6)[0], 0.5), groups)
    assert figures["people_gender_female"] == 10
    assert figures["spread_gender_female"] > 2 * figures["spread_gender_male"]
    assert figures["accuracy_gender_female"] < figures["accuracy_gender_male"] == 1.0
    assert not any("other" in key for key in figures)


def test_a_group_whose_faces_at_rest_look_different_has_an_offset():
    neutral, smiling = people(40, 0.05)
    neutral[:20, 3] += 0.6
    smiling[:20, 3] += 0.6
    groups = [{"gender": "male" if place < 20 else "female"} for place in range(40)]
    figures = measure_subgroups(neutral, smiling, SmileRule(np.eye(6)[0], 0.5), groups)
    assert figures["offset_gender_male"] == pytest.approx(0.3, abs=0.03)
    assert figures["offset_gender_female"] == pytest.approx(0.3, abs=0.03)


def test_tables_of_a_folder_are_read(tmp_path):
    (tmp_path / "manifest.csv").write_text("file,subject,expression\n1.jpg,001,neutral\n2.jpg,001,happy\n3.jpg,1,sad\n")
    (tmp_path / "subjects.csv").write_text(
        "face_id,face_age,face_gender,face_eth\n001,24,Female,white\n002,35,male,East Asian\n003,,male,black\n"
    )
    assert [(item.path.name, item.expression) for item in paired_photographs(tmp_path)] == [
        ("1.jpg", "neutral"),
        ("2.jpg", "happy"),
    ]
    groups = subgroups(tmp_path)
    assert groups["001"] == {"age": "under_25", "gender": "female", "ethnicity": "white"}
    assert groups["002"] == {"age": "35_and_over", "gender": "male", "ethnicity": "east_asian"}
    assert groups["003"]["age"] == "unknown"


def test_a_missing_table_or_column_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"manifest\.csv: cannot be read"):
        paired_photographs(tmp_path)
    (tmp_path / "manifest.csv").write_text("file,subject\n1.jpg,001\n")
    with pytest.raises(ImageError, match="lacks the column expression"):
        paired_photographs(tmp_path)
