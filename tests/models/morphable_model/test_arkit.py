"""Expressions as ARKit's 52 weights."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from models.errors import ModelMismatchError
from models.morphable_model.arkit import (
    ARKIT_NAMES,
    arkit_weights,
    energy_kept,
    expression_of_weights,
    missing_names,
    write_live_link_csv,
    write_weights_json,
)
from models.morphable_model.expressions import EXPRESSION_UNITS, sample_activations

COLUMNS = [ARKIT_NAMES.index(name) for name in EXPRESSION_UNITS]


def natural_expressions(model, frames: int, seed: int = 0) -> np.ndarray:
    return sample_activations(frames, np.random.default_rng(seed)) @ model.extras["units"].astype(np.float64)


def by_scipy(expression: np.ndarray, model, ridge: float, sparsity: float) -> np.ndarray:
    """The same problem, one frame at a time; the linear term is completed to a square."""
    units = model.extras["units"].astype(np.float64)
    length = (units**2).sum(1).mean()
    system = np.vstack([units.T, np.sqrt(ridge * length) * np.eye(len(units))])
    shift = system @ np.linalg.solve(system.T @ system, np.full(len(units), sparsity * length / 2))
    frames = [np.concatenate([frame, np.zeros(len(units))]) - shift for frame in expression]
    return np.stack([lsq_linear(system, frame, (0, 1), method="bvls", tol=1e-14).x for frame in frames])


def test_the_52_names_are_apples():
    assert len(set(ARKIT_NAMES)) == 52
    assert set(EXPRESSION_UNITS) < set(ARKIT_NAMES)
    assert ARKIT_NAMES[:3] == ("eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft")
    assert ARKIT_NAMES[-1] == "tongueOut"


def test_gaze_and_tongue_are_missing_and_always_zero(embedded_model):
    missing = missing_names(embedded_model)
    assert set(missing) == {name for name in ARKIT_NAMES if name.startswith("eyeLook")} | {"tongueOut"}
    weights = arkit_weights(natural_expressions(embedded_model, 50), embedded_model)
    assert not weights[:, [ARKIT_NAMES.index(name) for name in missing]].any()


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    ridge=st.sampled_from([1e-4, 1e-3, 1e-2]),
    sparsity=st.sampled_from([0, 1e-3, 1e-2]),
    strength=st.floats(0, 3),
)
def test_all_frames_at_once_give_what_one_at_a_time_gives(embedded_model, seed, ridge, sparsity, strength):
    rng = np.random.default_rng(seed)
    expression = strength * rng.normal(size=(12, embedded_model.expression_size)) * embedded_model.expression_std
    weights = arkit_weights(expression, embedded_model, ridge=ridge, sparsity=sparsity)
    wanted = by_scipy(expression, embedded_model, ridge, sparsity)
    np.testing.assert_allclose(weights[:, COLUMNS], wanted, atol=1e-6)
    assert weights.min() >= 0
    assert weights.max() <= 1


def test_frames_do_not_know_of_one_another(embedded_model, monkeypatch):
    expression = natural_expressions(embedded_model, 30)
    weights = arkit_weights(expression, embedded_model)
    monkeypatch.setattr("models.morphable_model.arkit._FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(arkit_weights(expression, embedded_model), weights, atol=1e-9)
    np.testing.assert_allclose(arkit_weights(expression[11:12], embedded_model)[0], weights[11], atol=1e-9)


def test_natural_expressions_come_back(embedded_model):
    expression = natural_expressions(embedded_model, 400)
    weights = arkit_weights(expression, embedded_model)
    assert energy_kept(expression, weights, embedded_model) > 0.995
    true = sample_activations(400, np.random.default_rng(0))
    assert np.corrcoef(weights[:, COLUMNS].ravel(), true.ravel())[0, 1] > 0.9


def test_sparsity_leaves_fewer_weights_and_next_to_no_error(embedded_model):
    rng = np.random.default_rng(0)
    expression = natural_expressions(embedded_model, 200)
    noisy = expression + 0.03 * rng.normal(size=expression.shape) * embedded_model.expression_std
    plain, sparse = (arkit_weights(noisy, embedded_model, sparsity=sparsity) for sparsity in (0.0, 2e-3))
    assert (sparse > 0.01).sum() < 0.9 * (plain > 0.01).sum()
    assert energy_kept(noisy, sparse, embedded_model) > energy_kept(noisy, plain, embedded_model) - 0.005


def test_rest_is_no_weight_and_no_frames_are_none(embedded_model):
    rest = np.zeros((3, embedded_model.expression_size))
    assert not arkit_weights(rest, embedded_model).any()
    assert arkit_weights(rest[:0], embedded_model).shape == (0, 52)


def test_weights_beyond_full_activation_are_held_at_one(embedded_model):
    jaw = EXPRESSION_UNITS.index("jawOpen")
    weights = arkit_weights(1.4 * embedded_model.extras["units"][[jaw]], embedded_model)
    assert weights[0, ARKIT_NAMES.index("jawOpen")] == 1


def test_energy_kept_is_what_the_weights_give_back(embedded_model):
    expression = natural_expressions(embedded_model, 40)
    nothing = np.zeros((40, 52))
    assert energy_kept(expression, nothing, embedded_model) == 0
    weights = arkit_weights(expression, embedded_model)
    again = expression_of_weights(weights, embedded_model)
    assert energy_kept(again, weights, embedded_model) == pytest.approx(1)


def test_a_model_without_units_or_with_others_is_refused(small_model, embedded_model):
    with pytest.raises(ModelMismatchError, match="'small' has no face units"):
        arkit_weights(np.zeros((1, 28)), small_model)
    odd = replace(embedded_model, extras={"unit_names": np.array(["earWiggle"]), "units": np.ones((1, 28))})
    with pytest.raises(ModelMismatchError, match="ARKit does not: earWiggle"):
        missing_names(odd)


def test_expressions_of_another_model_are_refused(embedded_model):
    with pytest.raises(ModelMismatchError, match=r"shape \(5, 10\), but face model 'embedded' has 28"):
        arkit_weights(np.zeros((5, 10)), embedded_model)
    rest = np.zeros((1, 28))
    for expression, ridge, sparsity in ((rest * np.nan, 1e-3, 0.0), (rest, 0.0, 0.0), (rest, 1e-3, -1.0)):
        with pytest.raises(ValueError, match="finite"):
            arkit_weights(expression, embedded_model, ridge=ridge, sparsity=sparsity)


def test_the_csv_is_laid_out_as_live_link_face_does(embedded_model, tmp_path):
    weights = arkit_weights(natural_expressions(embedded_model, 60), embedded_model)
    write_live_link_csv(tmp_path / "talk.csv", weights, 25.0)
    with open(tmp_path / "talk.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:4] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft", "EyeLookDownLeft"]
    assert header[-9:] == [
        f"{part}{turn}" for part in ("Head", "LeftEye", "RightEye") for turn in ("Yaw", "Pitch", "Roll")
    ]
    assert header[2:54] == [name[0].upper() + name[1:] for name in ARKIT_NAMES]
    assert len(rows) == 60
    assert {len(row) for row in rows} == {63}
    assert {row[1] for row in rows} == {"61"}
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d:\d\d\.\d{3}", row[0]) for row in rows)
    assert [rows[frame][0] for frame in (0, 24, 25, 59)] == [
        *("00:00:00:00.000", "00:00:00:24.000", "00:00:01:00.000", "00:00:02:09.000")
    ]
    np.testing.assert_allclose(np.array([row[2:54] for row in rows], float), weights, atol=1e-6)


def test_the_json_says_what_is_missing(embedded_model, tmp_path):
    weights = arkit_weights(natural_expressions(embedded_model, 5), embedded_model)
    write_weights_json(tmp_path / "talk.json", weights, 30.0, missing_names(embedded_model))
    content = json.loads((tmp_path / "talk.json").read_text())
    assert content["names"] == list(ARKIT_NAMES)
    assert content["missing"] == list(missing_names(embedded_model))
    assert content["frames_per_second"] == 30.0
    np.testing.assert_allclose(content["weights"], weights, atol=1e-6)
