"""The one-euro filter: smooth where a signal rests, quick where it moves.

Casiez, Roussel, Vogel, "1 euro filter: a simple speed-based low-pass filter for noisy input", CHI 2012. Causal: it
needs no frame of the future, and so serves a webcam as well.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class OneEuroSettings:
    """How smooth and how quick.

    Attributes
    ----------
    minimum_cutoff : Hz, the cut-off frequency of a signal at rest; less is smoother
    speed_coefficient : Hz per unit a second that the cut-off rises with the speed; more is quicker
    speed_cutoff : Hz, the cut-off frequency of the speed itself
    """

    minimum_cutoff: float = 1.0
    speed_coefficient: float = 0.7
    speed_cutoff: float = 1.0


class OneEuroFilter:
    """Filters vectors given one after another, each coefficient on its own."""

    def __init__(self, settings: OneEuroSettings):
        self.settings = settings
        self._time: float | None = None

    def __call__(self, time: float, values: np.ndarray) -> np.ndarray:
        """Filtered values (D,) at a time in seconds; a time that does not advance gives the value before."""
        if self._time is None:
            self._time, self._values, self._speed = time, np.array(values, float), np.zeros(len(values))
            return self._values
        interval = time - self._time
        if interval <= 0:
            return self._values
        settings = self.settings
        speed = (values - self._values) / interval
        self._speed = self._speed + _share(settings.speed_cutoff, interval) * (speed - self._speed)
        cutoff = settings.minimum_cutoff + settings.speed_coefficient * np.abs(self._speed)
        self._values = self._values + _share(cutoff, interval) * (values - self._values)
        self._time = time
        return self._values


def _share(cutoff: np.ndarray | float, interval: float) -> np.ndarray | float:
    """How much of the way to a new value a first-order low-pass filter goes in an interval."""
    step = 2 * np.pi * np.asarray(cutoff) * interval
    return step / (1 + step)
