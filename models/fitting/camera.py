"""Scaled orthographic camera: `u = s (R x)[:2] * (1, -1) + t`.

Model space is in millimetres with x to the subject's left, y up and z towards the viewer; image space is in
pixels with x right and y down, pixel centres at integers.
"""

from dataclasses import dataclass

import numpy as np

# Image y points down, model y points up.
IMAGE_AXES = np.array([1.0, -1.0])


@dataclass(frozen=True)
class ScaledOrthographicCamera:
    """One camera per frame.

    Attributes
    ----------
    scale : (F,) pixels per millimetre
    rotation : (F, 3, 3) model to camera, proper rotations
    translation : (F, 2) pixels
    """

    scale: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def __len__(self) -> int:
        return len(self.scale)

    def __getitem__(self, frames) -> "ScaledOrthographicCamera":
        """The cameras of some frames."""
        return ScaledOrthographicCamera(self.scale[frames], self.rotation[frames], self.translation[frames])

    def projection(self) -> np.ndarray:
        """The linear part of the projection, (F, 2, 3), pixels per millimetre."""
        return self.scale[:, None, None] * self.rotation[:, :2] * IMAGE_AXES[:, None]

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points (N, 3) shared by all frames, or (F, N, 3), to pixels (F, N, 2)."""
        linear = self.projection()
        if points.ndim == 2:
            return np.einsum("fdc,nc->fnd", linear, points) + self.translation[:, None]
        return np.einsum("fdc,fnc->fnd", linear, points) + self.translation[:, None]
