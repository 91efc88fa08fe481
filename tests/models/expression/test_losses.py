"""What errors cost, term by term."""

import numpy as np
import pytest
import torch

from models.expression.losses import (
    balanced_error,
    landmark_directions,
    landmark_error,
    pair_error,
    squared_l2,
    vertex_error,
)
from models.expression.settings import LossWeights, Resolution


@pytest.fixture(scope="module")
def errors():
    """Many errors of a network that always answers with the mean: independent, of unit variance."""
    return torch.randn(4000, 28, generator=torch.Generator().manual_seed(0))


def directions(model, **weights):
    found = landmark_directions(model.landmark_expression_basis, model.expression_std, LossWeights(**weights))
    return torch.tensor(found, dtype=torch.float32)


def test_each_term_is_one_for_a_guess_of_the_mean(small_model, errors):
    std = torch.tensor(small_model.expression_std, dtype=torch.float32)
    for cost in (squared_l2(errors), vertex_error(errors, std), landmark_error(errors, directions(small_model))):
        assert float(cost.mean()) == pytest.approx(1, rel=0.05)
    assert float(pair_error(errors[:500], torch.zeros(500), torch.ones(500))) == pytest.approx(1, rel=0.05)


def test_the_vertex_term_follows_the_vertices(small_model, errors):
    std = small_model.expression_std
    moved = small_model.shape(expression=errors[:5].numpy() * std) - small_model.mean
    cost = vertex_error(errors[:5], torch.tensor(std, dtype=torch.float32)).numpy()
    squared = (moved**2).sum(axis=(1, 2))
    np.testing.assert_allclose(cost / cost[0], squared / squared[0], rtol=1e-4)


def test_the_landmark_term_follows_the_landmarks(small_model, errors):
    moved = small_model.landmarks(expression=errors[:5].numpy() * small_model.expression_std)
    squared = ((moved - small_model.landmark_mean) ** 2).sum(axis=(1, 2))
    cost = landmark_error(errors[:5], directions(small_model)).numpy()
    np.testing.assert_allclose(cost / cost[0], squared / squared[0], rtol=1e-4)


@pytest.mark.parametrize(("region", "inside"), [("mouth", range(48, 68)), ("brows", range(17, 27))])
def test_a_weighted_region_counts_more_and_others_keep_their_proportions(small_model, region, inside):
    plain, weighted = (directions(small_model, **{region: factor}).reshape(68, -1).norm(dim=1) for factor in (1.0, 4.0))
    ratio = (weighted / plain).numpy()
    outside = sorted(set(range(68)) - set(inside))
    np.testing.assert_allclose(ratio[list(inside)], 2 * ratio[outside[0]], rtol=1e-4)
    np.testing.assert_allclose(ratio[outside], ratio[outside[0]], rtol=1e-4)


def test_errors_that_all_images_of_a_video_share_cost_nothing_within_it(errors):
    video = torch.tensor([0, 1, 0, 1, 2])
    habits = errors[:3][video]
    assert float(pair_error(habits, video, torch.ones(5))) == pytest.approx(0, abs=1e-6)


def test_pairs_are_compared_within_their_video_alone():
    error = torch.tensor([[0.0], [2.0], [100.0], [103.0], [7.0]])
    video = torch.tensor([4, 4, 2, 2, 9])
    assert float(pair_error(error, video, torch.ones(5))) == pytest.approx(0.5 * (4 + 9) / 2)
    weight = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0])
    assert float(pair_error(error, video, weight)) == pytest.approx(0.5 * 4)


def test_a_batch_without_pairs_costs_nothing_and_has_a_gradient():
    error = torch.randn(3, 28, requires_grad=True)
    cost = pair_error(error, torch.arange(3), torch.ones(3))
    cost.backward()
    assert float(cost) == 0
    assert torch.isfinite(error.grad).all()


@pytest.mark.parametrize("weights", [{"coefficients": 0.0}, {"vertices": -1.0}])
def test_weights_that_leave_nothing_to_learn_are_refused(weights):
    with pytest.raises(ValueError, match="negative, nor all zero"):
        LossWeights(**weights)


@pytest.mark.parametrize(("size", "share"), [(8, 0.5), (448, 0.5), (112, 1.0), (112, -0.1)])
def test_resolutions_out_of_range_are_refused(size, share):
    with pytest.raises(ValueError, match="sizes are 16 to 224"):
        Resolution(size, share)


def test_the_balanced_term_counts_seldom_used_coefficients_as_much_as_others():
    variance = torch.tensor([1.0, 0.5, 0.001])
    cost = [float(balanced_error(torch.eye(3)[[k]] * variance[k].sqrt(), variance)) for k in range(3)]
    assert cost[0] == pytest.approx(cost[1])
    # What is hardly ever used stays below the rest.
    assert cost[2] < 0.1 * cost[0]
