"""What an error of the network costs: in standard deviations, over the head, at the landmarks, within a video.

Every term is about 1 for a network that always answers with the mean expression, so that weights compare. An error is
(B, n_e), estimate minus truth in standard deviations; where coefficients are not equally certain, it comes multiplied
by the square root of their confidence.
"""

import numpy as np
import torch
from torch import Tensor

from models.expression.settings import LossWeights

BROWS = slice(17, 27)
MOUTH = slice(48, 68)


def squared_l2(error: Tensor) -> Tensor:
    """Mean squared error of each sample, (B,)."""
    return error.square().mean(dim=1)


def l2(error: Tensor) -> Tensor:
    """Root mean squared error of each sample, (B,): the l2 norm but for a constant factor."""
    # The gradient of a square root has no bound at zero.
    return (squared_l2(error) + 1e-8).sqrt()


COEFFICIENT_LOSSES = {"squared_l2": squared_l2, "l2": l2}


def balanced_error(error: Tensor, prior_variance: Tensor) -> Tensor:
    """Mean over coefficients of squared errors (B,), each over the coefficient's natural variance.

    Standard deviations are those of movements over the whole head; natural expression uses up some coefficients far
    less than others, and these, brows and nose among them, would hardly count. Variances are taken for no smaller than
    a fifth of their mean: what is hardly ever seen must not outweigh the rest.

    Parameters
    ----------
    prior_variance : (n_e,) in squared standard deviations
    """
    variance = prior_variance.clamp(min=0.2 * float(prior_variance.mean()))
    return (error.square() / variance).mean(dim=1)


def vertex_error(error: Tensor, expression_std: Tensor) -> Tensor:
    """Mean square displacement of the head's vertices (B,), over that of expressions themselves.

    The basis is orthonormal: coefficients in millimetres are as long as the displacements of all vertices together.
    """
    variance = expression_std.square()
    return (error.square() * variance).sum(dim=1) / variance.sum()


def landmark_error(error: Tensor, directions: Tensor) -> Tensor:
    """Weighted mean square displacement of the landmarks (B,), over that of expressions themselves.

    `directions` (204, n_e) are those of `landmark_directions`.
    """
    return (error @ directions.T).square().sum(dim=1)


def landmark_directions(basis: np.ndarray, expression_std: np.ndarray, weights: LossWeights) -> np.ndarray:
    """Displacements (204, n_e) of the 68 landmarks, three axes each, for one standard deviation of each coefficient.

    Weighted by region, in units in which independent coefficients of unit variance have a total square of 1.

    Parameters
    ----------
    basis : (68, 3, n_e) mm per mm
    expression_std : (n_e,) mm
    """
    region = np.ones(len(basis))
    region[BROWS], region[MOUTH] = weights.brows, weights.mouth
    directions = (np.sqrt(region)[:, None, None] * basis * expression_std).reshape(-1, len(expression_std))
    return directions / np.linalg.norm(directions)


def pair_error(error: Tensor, video: Tensor, weight: Tensor) -> Tensor:
    """Half the mean squared difference between the errors of two samples of a video, over all pairs in the batch.

    `((e_hat_i - e_hat_j) - (e_i - e_j))^2`: errors that all images of a person share cost nothing here. 0 where no
    video has two samples.

    Parameters
    ----------
    video : (B,) the same number for samples of one video
    weight : (B,) of the samples; a pair has the product of its two
    """
    differences = (error[:, None] - error[None]).square().mean(dim=2)
    pairs = ((video[:, None] == video[None]) * weight[:, None] * weight[None]).triu(1)
    return 0.5 * (pairs * differences).sum() / pairs.sum().clamp(min=torch.finfo(error.dtype).tiny)


def confidence_of(uncertainty: Tensor, weight: Tensor, prior_variance: Tensor) -> Tensor:
    """How much each coefficient's error counts (B, n_e), from posterior standard deviations s (B, n_e).

    Prior over prior plus posterior variance, `v / (v + s^2)`: 1 for what is certain, 1/2 for what the landmarks said
    nothing about. Each coefficient's confidences are divided by their mean over the batch, samples counted by their
    `weight` (B,): frames are weighed against each other, and rare coefficients, of which no fit is ever sure, keep
    their share of the loss.

    Parameters
    ----------
    prior_variance : (n_e,) v, in the squared units of the uncertainties
    """
    confidence = prior_variance / (prior_variance + uncertainty.square())
    return confidence * weight.sum() / (weight[:, None] * confidence).sum(dim=0)
