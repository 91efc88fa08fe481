"""How far estimated expressions are from known ones, in each of the units that are reported."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.expression.contract import NetworkContract


@dataclass(frozen=True)
class ExpressionErrors:
    """Errors over a set of images.

    Attributes
    ----------
    mse : mean squared error of coefficients in standard deviations
    mse_mm2 : mean squared error of coefficients, mm^2
    vertex_rms : root mean square distance of the head's vertices, over the inter-ocular distance
    explained_variance : share of the coefficients' energy about their mean that the estimate explains
    mse_of_coefficient : (n_e,) as `mse`, each coefficient by itself
    samples : number of images
    """

    mse: float
    mse_mm2: float
    vertex_rms: float
    explained_variance: float
    mse_of_coefficient: np.ndarray
    samples: int


def evaluate(predicted: np.ndarray, expected: np.ndarray, contract: NetworkContract) -> ExpressionErrors:
    """Compare expressions (F, n_e), both in standard deviations.

    The basis is orthonormal, so that the squared length of a difference in coefficients is that of all vertices
    together.

    Raises
    ------
    ModelMismatchError
        The two, or their number of coefficients and the contract's, differ.
    """
    expected_shape = (len(expected), len(contract.expression_std))
    if predicted.shape != expected_shape or expected.shape != expected_shape or not len(expected):
        raise ModelMismatchError(
            f"expressions of shape {predicted.shape} and {expected.shape} cannot be compared under a contract of "
            f"{len(contract.expression_std)} coefficients."
        )
    squared = (np.asarray(predicted, np.float64) - expected) ** 2
    squared_mm = squared * contract.expression_std**2
    centred_mm = (expected - expected.mean(axis=0)) * contract.expression_std
    energy = (centred_mm**2).sum()
    return ExpressionErrors(
        mse=float(squared.mean()),
        mse_mm2=float(squared_mm.mean()),
        vertex_rms=float(np.sqrt(squared_mm.sum(axis=1).mean() / contract.vertices) / contract.interocular_distance),
        explained_variance=float(1 - squared_mm.sum() / energy) if energy else float("nan"),
        mse_of_coefficient=squared.mean(axis=0),
        samples=len(expected),
    )


def predict_shards(
    network, folder: Path | str, *, batch_size: int, workers: int = 0
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, int]]]:
    """Run a network over a folder of shards.

    Returns
    -------
    predicted, expected : (F, n_e) in standard deviations
    origin : (video_id, frame) of each
    """
    import torch

    from models.expression.loading import shard_loader

    loader = shard_loader(
        folder, batch_size=batch_size, workers=workers, shuffle=False, seed=0, input_size=network.input_size
    )
    device = next(network.parameters()).device
    predicted, expected, origin = [], [], []
    network.eval()
    with torch.inference_mode():
        for batch in loader:
            output = network(batch["image"].to(device), batch["landmarks"].to(device))
            predicted.append(output.float().cpu().numpy())
            expected.append(batch["expression"].numpy())
            origin += zip(batch["video_id"], batch["frame"].tolist(), strict=True)
    return np.concatenate(predicted), np.concatenate(expected), origin
