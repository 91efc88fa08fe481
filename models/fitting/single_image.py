"""The fit of single images: the whole-video energy for one frame."""

import numpy as np

from models.errors import FittingError
from models.fitting.reconstruction import Reconstruction
from models.fitting.settings import FitSettings
from models.fitting.whole_video import fit_photographs
from models.morphable_model import MorphableModel


def fit_image(landmarks: np.ndarray, model: MorphableModel, settings: FitSettings | None = None) -> Reconstruction:
    """Fit every image on its own: its identity, expression and camera.

    Parameters
    ----------
    landmarks : (68, 2) pixels of one image, or (B, 68, 2) of images that have nothing to do with one another

    Returns
    -------
    Reconstruction
        With identity (B, n_i), B being 1 for a single image.

    Raises
    ------
    FittingError
        An image has too few landmarks for a pose; the message gives its place in the batch.
    ModelMismatchError
        The model has another number of landmarks.
    """
    landmarks = np.asarray(landmarks, np.float64)
    if landmarks.ndim == 2:
        landmarks = landmarks[None]
    fits = []
    for place, image in enumerate(landmarks):
        try:
            fits.append(fit_photographs(image[None], model, settings))
        except FittingError as error:
            raise FittingError(f"image {place}: {error}") from error
    if not fits:
        raise FittingError("no image to fit; give at least one.")
    return Reconstruction(
        identity=np.stack([fit.identity for fit in fits]),
        converged=all(fit.converged for fit in fits),
        **{name: np.concatenate([getattr(fit, name) for fit in fits]) for name in _FRAME_WISE},
    )


_FRAME_WISE = ("expression", "rotation", "scale", "translation", "residual")
