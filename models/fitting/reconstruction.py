"""The result of a fit, and its file."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.errors import FittingError
from models.fitting.camera import ScaledOrthographicCamera
from models.morphable_model import MorphableModel
from models.storage import load_arrays, save_arrays


@dataclass(frozen=True)
class Reconstruction:
    """Identity, expressions and cameras of one video.

    Attributes
    ----------
    identity : (n_i,) coefficients of equation (1), mm; (F, n_i) where every frame was fitted on its own
    expression : (F, n_e) coefficients of equation (1), mm
    rotation : (F, 3, 3) model to camera
    scale : (F,) pixels per mm
    translation : (F, 2) pixels
    residual : (F,) root mean square distance between the landmarks and where the fit expects to find them, its idea of
        the detector's errors included, over the inter-ocular distance of the model in the image; NaN in frames without
        landmarks. `landmarks` gives the mesh's own points
    converged : whether the fit stopped because its steps had become small
    energy : (iterations + 1,) energy before each step and after the last; it never rises. Empty where not computed
    landmark_noise : (68,) estimated standard deviation of each landmark's coordinates over the inter-ocular
        distance. Empty where not estimated
    expression_std : (F, n_e) posterior standard deviation of each expression coefficient, mm. Empty where not computed
    """

    identity: np.ndarray
    expression: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray
    translation: np.ndarray
    residual: np.ndarray
    converged: bool
    energy: np.ndarray = field(default_factory=lambda: np.zeros(0))
    landmark_noise: np.ndarray = field(default_factory=lambda: np.zeros(0))
    expression_std: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.scale)

    @property
    def camera(self) -> ScaledOrthographicCamera:
        return ScaledOrthographicCamera(scale=self.scale, rotation=self.rotation, translation=self.translation)

    def landmarks(self, model: MorphableModel) -> np.ndarray:
        """The reconstructed landmarks in the image, (F, 68, 2) pixels."""
        return self.camera.project(model.landmarks(self.identity, self.expression))

    def save(self, path: Path | str) -> None:
        """Write the npz of the `reconstructions` contract (float32 coefficients)."""
        save_arrays(
            path,
            identity=self.identity.astype(np.float32),
            expression=self.expression.astype(np.float32),
            rotation=self.rotation.astype(np.float32),
            scale=self.scale.astype(np.float32),
            translation=self.translation.astype(np.float32),
            residual=self.residual.astype(np.float32),
            converged=np.bool_(self.converged),
            energy=self.energy,
            landmark_noise=self.landmark_noise.astype(np.float32),
            expression_std=self.expression_std.astype(np.float32),
        )

    @classmethod
    def load(cls, path: Path | str) -> "Reconstruction":
        """Read a reconstruction.

        Raises
        ------
        FittingError
            The file is missing, unreadable, or lacks an array.
        """
        try:
            arrays = load_arrays(path)
            return cls(
                converged=bool(arrays.pop("converged")), **{name: arrays[name] for name in _ARRAYS if name in arrays}
            )
        except FileNotFoundError:
            raise FittingError(f"{path}: no reconstruction here; fit the video first.") from None
        except Exception as error:
            raise FittingError(f"{path}: not a readable reconstruction ({error}); fit the video again.") from error


_ARRAYS = (
    "identity",
    "expression",
    "rotation",
    "scale",
    "translation",
    "residual",
    "energy",
    "landmark_noise",
    "expression_std",
)


def residual_of(
    landmarks: np.ndarray, counts: np.ndarray, camera: ScaledOrthographicCamera, points: np.ndarray, interocular: float
) -> np.ndarray:
    """`Reconstruction.residual` (F,) of `points` (F, 68, 3) mm against landmarks (F, 68, 2) px of weights `counts`."""
    distance = np.where(counts[..., None] > 0, camera.project(points) - landmarks, 0.0)
    total = counts.sum(1)
    squared = np.einsum("fl,fld,fld->f", counts, distance, distance)
    mean = np.divide(squared, total, out=np.full(len(total), np.nan), where=total > 0)
    return np.sqrt(mean) / (camera.scale * interocular)
