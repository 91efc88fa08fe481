"""Skin from photographs: a face model is fitted to a photograph, which is then unwrapped onto the model's texture.

Procedural skin has none of what makes real skin hard: pores, folds, beards, make-up, brows that are not drawn. A person
at rest, photographed from the front, gives a texture that any identity and expression can wear.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import ImageError, ModelMismatchError
from models.fitting.camera import IMAGE_AXES, ScaledOrthographicCamera
from models.morphable_model.model import EYE, INNER_FACE, SKIN, MorphableModel
from models.rendering.mesh import vertex_normals
from models.rendering.rasteriser import rasterise
from models.storage import load_arrays, save_arrays

# Skin that turns away by more than this is stretched beyond use: cosines where it begins to fade and where it is gone.
_FACING = (0.42, 0.14)
# Inter-ocular distances from the middle of the face at which a correction of the fit begins to fade, and has gone.
_REACH = (1.3, 2.3)
# The jaw's ends lie in the hair.
_ANCHORS = np.concatenate([np.arange(4, 13), INNER_FACE])


@dataclass(frozen=True)
class PhotographedSkin:
    """Textures (P, H, W, 3) uint8 of people at rest, row 0 at v = 1, and what they were made from (P,)."""

    textures: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.textures)

    def save(self, path: Path | str) -> None:
        """Write the textures as npz."""
        save_arrays(path, textures=self.textures, names=np.array(self.names))

    @classmethod
    def load(cls, path: Path | str) -> "PhotographedSkin":
        """Read what `save` wrote."""
        arrays = load_arrays(path)
        return cls(arrays["textures"], tuple(str(name) for name in arrays["names"]))


def unwrap_photographs(photographs: Iterable[Path], model: MorphableModel, backend) -> PhotographedSkin:
    """Textures of photographs of people at rest who face the camera, one each; those without a face are left out.

    Parameters
    ----------
    photographs : image files
    model : embedded model with the errors of the detector (`MorphableModel.with_detector`)
    backend : a `LandmarkBackend`

    Raises
    ------
    ImageError
        A photograph cannot be read, or none has a face.
    ModelMismatchError
        The model has no texture masks.
    """
    from models.expression.images import read_image

    textures, names = [], []
    for path in photographs:
        image = read_image(path)
        faces = backend.detect(image)
        if faces:
            textures.append(unwrap(image, faces[0].points, model))
            names.append(Path(path).name)
    if not textures:
        raise ImageError("there is no face in any of the photographs; name a folder of frontal portraits.")
    return PhotographedSkin(np.stack(textures), tuple(names))


def unwrap(image: np.ndarray, landmarks: np.ndarray, model: MorphableModel) -> np.ndarray:
    """Texture (H, W, 3) uint8 of the face in an image (H', W', 3) uint8 with detected landmarks (68, 2).

    What the photograph does not show, or shows at a grazing angle, is filled with the colours around it.
    """
    import cv2

    if "mask_lips" not in model.extras:
        raise ModelMismatchError(f"face model '{model.name}' has no texture masks; build the embedded model.")
    points, facing = _seen_vertices(landmarks, model)
    triangle, barycentric = _texture_raster(model)
    covered = triangle >= 0
    corners = model.triangles[np.maximum(triangle, 0)]
    place = np.einsum("hwk,hwkc->hwc", barycentric, points[corners]).astype(np.float32)
    colour = cv2.remap(image, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cosine = np.einsum("hwk,hwk->hw", barycentric, facing[corners])
    weight = np.clip((cosine - _FACING[1]) / (_FACING[0] - _FACING[1]), 0, 1) * covered
    weight *= _on_the_face(model, barycentric, corners)
    weight *= 1 - np.clip(model.extras["mask_inside_mouth"].astype(np.float32) / 128, 0, 1)
    weight = cv2.GaussianBlur(weight.astype(np.float32), (0, 0), 2.0) * (weight > 0)
    return _filled(colour.astype(np.float32), weight)


def _seen_vertices(landmarks: np.ndarray, model: MorphableModel) -> tuple[np.ndarray, np.ndarray]:
    """Where a photograph shows the vertices (N, 2) in pixels, and the cosine (N,) between their normals and the view.

    The fit is within a few pixels of lids and lips, which is too much for skin: the rest is bent into place.
    """
    from scipy.interpolate import RBFInterpolator

    from models.fitting.whole_video import fit_photographs

    fit = fit_photographs(landmarks[None], model)
    camera = ScaledOrthographicCamera(fit.scale, fit.rotation, fit.translation)
    vertices = model.shape(fit.identity, fit.expression[0])
    points = fit.scale[0] * (vertices @ fit.rotation[0].T)[:, :2] * IMAGE_AXES + fit.translation[0]
    error = landmarks - camera.project(model.landmarks(fit.identity, fit.expression))[0]
    distance = model.interocular_distance * fit.scale[0]
    places = model.landmarks_of(points)[_ANCHORS]
    bend = RBFInterpolator(places, error[_ANCHORS], smoothing=1.0, kernel="thin_plate_spline")(points)
    away = np.linalg.norm(points - landmarks[INNER_FACE].mean(0), axis=1) / distance
    bend *= np.clip((_REACH[1] - away) / (_REACH[1] - _REACH[0]), 0, 1)[:, None]
    normals = vertex_normals(vertices.astype(np.float32), model.triangles)
    return points + bend, normals @ fit.rotation[0][2].astype(np.float32)


def _texture_raster(model: MorphableModel) -> tuple[np.ndarray, np.ndarray]:
    """Which skin triangle (H, W) covers each texel, -1 for none, and where on it (H, W, 3)."""
    size = model.extras["mask_lips"].shape
    skin = np.flatnonzero(model.material == SKIN)
    texels = np.column_stack([model.uv[:, 0] * size[1] - 0.5, (1 - model.uv[:, 1]) * size[0] - 0.5])
    raster = rasterise(np.column_stack([texels, np.zeros(len(texels))]), model.uv_triangles[skin], size)
    return np.where(raster.triangle >= 0, skin[raster.triangle], -1), raster.barycentric


def _on_the_face(model: MorphableModel, barycentric: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Weight (H, W) of texels that lie between hairline, ears and throat, fading towards their edge."""
    place = np.einsum("hwk,hwkc->hwc", barycentric, model.mean[corners])
    eyes = model.mean[np.unique(model.triangles[model.material == EYE])].mean(0)
    brows = model.landmark_mean[17:27, 1].mean()
    ears = model.landmark_mean[[0, 16], 2].mean()
    below = np.clip((brows + 48 - place[..., 1]) / 12, 0, 1)
    before = np.clip((place[..., 2] - ears - 4) / 14, 0, 1)
    above = np.clip((place[..., 1] - (eyes[1] - 125)) / 10, 0, 1)
    return below * before * above


def _filled(colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) where the weight (H, W) is 1; elsewhere those of ever wider surroundings. As uint8."""
    import cv2

    around = np.zeros_like(colour)
    found = np.zeros((*weight.shape, 1), np.float32)
    for width in (3, 8, 20, 60, 150):
        blurred = cv2.GaussianBlur(colour * weight[..., None], (0, 0), width)
        amount = cv2.GaussianBlur(weight, (0, 0), width)[..., None]
        share = np.clip(8 * amount, 0, 1) * (1 - found)
        around += share * blurred / np.maximum(amount, 1e-5)
        found += share
    around += (1 - found) * np.median(colour[weight > 0.9], axis=0)
    filled = colour * weight[..., None] + around * (1 - weight[..., None])
    return np.rint(filled.clip(0, 255)).astype(np.uint8)
