"""A confusion matrix as a picture, as the paper's Figs. 2 and 3."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# From this share on a cell is so dark that its number is written in white.
DARK = 55


def confusion_figure(confusion: np.ndarray, labels: tuple[str, ...], title: str = "") -> "Figure":
    """A confusion matrix (K, K) of counts, rows the truth, in per cent of each true class.

    The row of a class that was never asked is left empty.
    """
    from matplotlib.figure import Figure

    total = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(100 * confusion, total, out=np.zeros(confusion.shape), where=total > 0)
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(*shares.shape):
        if total[row]:
            colour = "white" if shares[row, column] > DARK else "#223"
            axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    figure.suptitle(title, fontsize=10)
    return figure
