"""The temporal prior of several clips laid end to end."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.fitting.priors import ExpressionPrior

# Rows of a clip's precision that differ from its middle, at either end, and one of the middle.
_TEMPLATE = 8


@dataclass(frozen=True)
class Chains:
    """Precision of the coordinates z of all frames; frames of different clips are independent.

    Attributes
    ----------
    starts : (C + 1,) first frame of each clip, and the number of frames
    priors : of each clip, at its own time step
    """

    starts: np.ndarray
    priors: tuple[ExpressionPrior, ...]

    @property
    def frames(self) -> int:
        return int(self.starts[-1])

    def bands(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Diagonals 0, 1 and 2 of rows `first` to `last`, (last - first, n_z) each.

        Row f of diagonals 1 and 2 couples frame f to the first and second frame after it, wherever that lies.
        """
        size = self.priors[0].size
        bands = np.zeros((3, last - first, size))
        clip = int(np.searchsorted(self.starts, first, side="right")) - 1
        while clip < len(self.priors) and self.starts[clip] < last:
            start, end = int(self.starts[clip]), int(self.starts[clip + 1])
            clip += 1
            if start == end:
                continue
            inside = np.arange(max(first, start), min(last, end))
            template = _template(self.priors[clip - 1], end - start)
            # The precision is the same in all frames but the first and the last ones.
            rows = inside - start
            if end - start > _TEMPLATE:
                near_end = end - inside < _TEMPLATE // 2
                rows = np.where(near_end, _TEMPLATE - (end - inside), np.minimum(rows, _TEMPLATE // 2))
            bands[:, inside - first] = template[:, rows]
        return bands[0], bands[1], bands[2]

    def times(self, z: np.ndarray, first: int = 0, last: int | None = None) -> np.ndarray:
        """Rows `first` to `last` of the precision times z (F, n_z)."""
        last = len(z) if last is None else last
        before = max(first - 2, 0)
        after = min(last + 2, len(z))
        return self.within(z[before:after], before)[first - before : last - before]

    def within(self, z: np.ndarray, first: int) -> np.ndarray:
        """The precision of the n frames from `first` on, cut out of all others, times their z (n, n_z)."""
        centre, beside, beyond = self.bands(first, first + len(z))
        out = centre * z
        out[:-1] += beside[:-1] * z[1:]
        out[1:] += beside[:-1] * z[:-1]
        out[:-2] += beyond[:-2] * z[2:]
        out[2:] += beyond[:-2] * z[:-2]
        return out

    def thinned(self, chosen: np.ndarray, stride: int) -> "Chains":
        """The chains of every `stride`-th frame, `chosen` in ascending order."""
        starts = np.searchsorted(chosen, self.starts)
        priors = tuple(prior.at_stride(stride) for prior in self.priors)
        return Chains(starts, priors)

    def left_out(self, stride: int) -> np.ndarray:
        """Precision (F, n_z) of what frames left out by `thinned` move on their own, beside the one kept.

        As many independent values as the coordinate takes while `stride` frames pass, less one.
        """
        left = np.empty((self.frames, self.priors[0].size))
        for prior, (first, last) in zip(self.priors, pairwise(self.starts), strict=True):
            left[first:last] = np.maximum(stride * (1 - prior.persistence ** (1 / stride)), 1) - 1
        return left


def _template(prior: ExpressionPrior, frames: int) -> np.ndarray:
    """(3, min(frames, _TEMPLATE), n_z): the diagonals of a short clip, which hold every row of a long one."""
    count = min(frames, _TEMPLATE)
    template = np.zeros((3, count, prior.size))
    for row, band in zip(template, prior.precision_bands(count), strict=True):
        row[: len(band)] = band
    return template
