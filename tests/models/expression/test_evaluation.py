"""Errors in each unit are what their definitions say, on the mesh itself."""

import numpy as np
import pytest

from models.errors import ModelMismatchError
from models.expression.contract import NetworkContract
from models.expression.evaluation import evaluate


@pytest.fixture(scope="module")
def contract(small_model):
    return NetworkContract.of(small_model, "resnet18_half", 56)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    expected = rng.normal(size=(50, 28))
    return expected + 0.3 * rng.normal(size=(50, 28)), expected


def test_the_vertex_error_is_that_of_the_meshes(small_model, contract, pair):
    predicted, expected = (values * small_model.expression_std for values in pair)
    distance = small_model.shape(expression=predicted) - small_model.shape(expression=expected)
    rms = np.sqrt((distance**2).sum(axis=-1).mean()) / small_model.interocular_distance
    assert evaluate(*pair, contract).vertex_rms == pytest.approx(rms, rel=1e-6)


def test_mean_squares_are_those_of_coefficients(small_model, contract, pair):
    errors = evaluate(*pair, contract)
    assert errors.mse == pytest.approx(((pair[0] - pair[1]) ** 2).mean())
    assert errors.mse_mm2 == pytest.approx((((pair[0] - pair[1]) * small_model.expression_std) ** 2).mean())
    assert errors.mse_of_coefficient.mean() == pytest.approx(errors.mse)
    assert errors.samples == 50


def test_the_mean_explains_nothing_and_the_truth_everything(contract, pair):
    _, expected = pair
    mean = np.broadcast_to(expected.mean(axis=0), expected.shape)
    assert evaluate(mean, expected, contract).explained_variance == pytest.approx(0, abs=1e-9)
    assert evaluate(expected, expected, contract).explained_variance == 1
    assert evaluate(expected, expected, contract).vertex_rms == 0


@pytest.mark.parametrize("shape", [(49, 28), (50, 27), (0, 28)])
def test_sets_that_do_not_match_are_refused(contract, pair, shape):
    with pytest.raises(ModelMismatchError, match="cannot be compared"):
        evaluate(np.zeros(shape), pair[1] if shape[0] else np.zeros(shape), contract)
