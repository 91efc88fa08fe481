"""Procedural skin: tone, blotches, lips, lids, brows, lashes, stubble, freckles and moles, painted on the texture.

Textures are (512, 512, 3) float32 in [0, 1], row 0 at v = 1. Needs a model with `mask_*` extras, as the embedded one.
"""

from dataclasses import dataclass

import numpy as np

from models.morphable_model.model import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE, MorphableModel
from models.rendering.noise import smooth_noise

_SUBPIXEL_BITS = 4
# Blood shows in green and blue more than in red.
_BLOOD = np.array([0.5, 1.0, 1.0], np.float32)


@dataclass(frozen=True)
class SkinAppearance:
    """What a person's skin looks like. Colours are RGB in [0, 1]; strengths lie in [0, 1].

    Attributes
    ----------
    tone : (3,) mean colour
    lips : (3,) factors on the tone
    blush, lids, stubble, lashes : strength of reddened cheeks, darkened lids, beard shadow and lash line
    brow_colour : (3,)
    brow_width, brow_density, brow_lift : half width and lift in texture pixels, share of hairs drawn
    unevenness : strength of blotches and pores
    freckles, moles : how many
    """

    tone: np.ndarray
    lips: np.ndarray
    blush: float
    lids: float
    stubble: float
    lashes: float
    brow_colour: np.ndarray
    brow_width: float
    brow_density: float
    brow_lift: float
    unevenness: float
    freckles: int
    moles: int


# From the darkest to the lightest skin, display-referred RGB.
_TONES = np.array([[0.33, 0.21, 0.16], [0.47, 0.31, 0.23], [0.62, 0.43, 0.32], [0.78, 0.58, 0.46], [0.90, 0.73, 0.63]])


def sample_skin(rng: np.random.Generator, lightness: float, hair_colour: np.ndarray) -> SkinAppearance:
    """Draw a skin of a lightness in [0, 1]; the brows take after the hair (3,)."""
    position = lightness * (len(_TONES) - 1)
    tone = np.array([np.interp(position, range(len(_TONES)), _TONES[:, k]) for k in range(3)])
    tone = np.clip(tone * (1 + 0.02 * rng.normal(size=3)), 0.05, 0.97)
    redness = rng.uniform(0.55, 0.8)
    return SkinAppearance(
        tone=tone,
        lips=np.array([rng.uniform(0.85, 1.05), redness, redness + 0.04]),
        blush=rng.uniform(0, 0.5),
        lids=rng.uniform(0, 0.5),
        stubble=rng.uniform(0.1, 0.9) if rng.random() < 0.3 else 0.0,
        lashes=rng.uniform(0.3, 1.0),
        brow_colour=np.clip(hair_colour * rng.uniform(0.4, 0.8), 0.02, 0.45),
        brow_width=rng.uniform(1.5, 5.0),
        brow_density=rng.uniform(0.4, 1.0),
        brow_lift=rng.uniform(-4.0, 1.0),
        unevenness=rng.uniform(0.4, 1.3),
        freckles=int(rng.poisson(120)) if rng.random() < 0.15 else 0,
        moles=int(rng.poisson(3)),
    )


def paint_skin(model: MorphableModel, skin: SkinAppearance, rng: np.random.Generator) -> np.ndarray:
    """Texture (512, 512, 3) float32 of a skin; `rng` decides where hairs, pores and moles are."""
    import cv2

    points = landmark_texels(model)
    masks = {name: model.extras[f"mask_{name}"].astype(np.float32) / 255 for name in ("lips", "eyelids")}
    shape = masks["lips"].shape
    texture = np.ones((*shape, 3), np.float32) * skin.tone.astype(np.float32)
    for wavelength, strength in ((1.5, 0.025), (4, 0.02), (20, 0.03), (80, 0.04)):
        texture *= 1 + skin.unevenness * strength * smooth_noise(shape, wavelength, rng)[..., None] * _BLOOD
    for cheek in (points[[1, 31, 48]].mean(0), points[[15, 35, 54]].mean(0)):
        texture *= 1 - 0.3 * skin.blush * _spot(shape, cheek, 32)[..., None] * _BLOOD
    texture *= 1 - 0.25 * skin.blush * _spot(shape, points[30], 16)[..., None] * _BLOOD
    texture = _with_spots(texture, points, skin, rng)
    if skin.stubble:
        texture = _with_stubble(texture, points, masks["lips"], skin, rng)
    lips = cv2.GaussianBlur(masks["lips"], (0, 0), 2.0)[..., None]
    texture *= 1 - lips * (1 - skin.lips.astype(np.float32))
    lids = cv2.GaussianBlur(masks["eyelids"], (0, 0), 5.0)
    texture *= 1 - (0.5 * skin.lids * lids)[..., None] * np.array([0.7, 1.0, 0.9], np.float32)
    texture = _with_brows(texture, points, skin, rng)
    texture = _with_lashes(texture, points, skin)
    return np.ascontiguousarray(texture.clip(0, 1), np.float32)


def made_up_skin(
    model: MorphableModel, texture: np.ndarray, skin: SkinAppearance, rng: np.random.Generator
) -> np.ndarray:
    """A photographed skin (512, 512, 3) uint8 made into another person's, as float32.

    It may be mirrored, sharpened, lit and tinted differently, and some people get brows, lashes, stubble or moles from
    `skin` on top of their own.
    """
    import cv2

    points = landmark_texels(model)
    texture = texture.astype(np.float32) / 255
    if rng.random() < 0.5:
        texture = _mirrored(texture, points)
    if rng.random() < 0.3:
        texture += rng.uniform(0.2, 0.8) * (texture - cv2.GaussianBlur(texture, (0, 0), 2.0))
    texture = texture.clip(0, 1) ** np.float32(rng.uniform(0.75, 1.3)) * np.float32(rng.uniform(0.75, 1.25))
    texture *= (1 + 0.03 * rng.normal(size=3)).astype(np.float32)
    for wavelength, strength in ((1.5, 0.015), (40, 0.04)):
        texture *= 1 + skin.unevenness * strength * smooth_noise(texture.shape[:2], wavelength, rng)[..., None]
    if rng.random() < 0.2:
        texture = _with_spots(texture, points, skin, rng)
    if skin.stubble:
        lips = model.extras["mask_lips"].astype(np.float32) / 255
        texture = _with_stubble(texture, points, lips, skin, rng)
    if rng.random() < 0.25:
        texture = _with_brows(texture, points, skin, rng)
    if rng.random() < 0.5:
        texture = _with_lashes(texture, points, skin)
    return np.ascontiguousarray(texture.clip(0, 1), np.float32)


def _mirrored(texture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A texture mirrored about the middle of the face."""
    import cv2

    across = points[[27, 30, 8, 51, 57], 0].mean()
    flip = np.float32([[-1, 0, 2 * across], [0, 1, 0]])
    return cv2.warpAffine(texture, flip, texture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


def landmark_texels(model: MorphableModel) -> np.ndarray:
    """Where the landmarks lie on the texture: (68, 2) column and row."""
    vertex_uv = np.zeros((len(model.mean), 2))
    vertex_uv[model.triangles] = model.uv[model.uv_triangles]
    height, width = model.extras["mask_lips"].shape
    uv = model.landmarks_of(vertex_uv)
    return np.stack([uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5], 1)


def _with_spots(texture: np.ndarray, points: np.ndarray, skin: SkinAppearance, rng: np.random.Generator) -> np.ndarray:
    import cv2

    low, high = points.min(0) - 20, points.max(0) + np.array([20, 0])
    spots = np.zeros(texture.shape[:2], np.float32)
    for count, radius, strength in ((skin.freckles, (0.6, 1.4), (0.1, 0.35)), (skin.moles, (1.2, 2.6), (0.4, 0.8))):
        for x, y in rng.uniform(low, high, (count, 2)):
            _disc(spots, (x, y), rng.uniform(*radius), rng.uniform(*strength))
    spots = cv2.GaussianBlur(spots, (0, 0), 0.7)
    return texture * (1 - spots[..., None] * np.array([0.7, 0.9, 1.0], np.float32))


def _with_brows(texture: np.ndarray, points: np.ndarray, skin: SkinAppearance, rng: np.random.Generator) -> np.ndarray:
    """Single hairs along the brow landmarks, thick near the nose and thin at the temples."""
    import cv2

    hairs = np.zeros(texture.shape[:2], np.float32)
    for outer_to_inner in (points[RIGHT_BROW], points[LEFT_BROW][::-1]):
        outwards = np.sign(outer_to_inner[0, 0] - outer_to_inner[-1, 0])
        for along in rng.uniform(0, 4, int(260 * skin.brow_density)):
            root = np.array([np.interp(along, range(5), outer_to_inner[:, k]) for k in (0, 1)])
            half_width = skin.brow_width * np.interp(along, [0, 1.5, 4], [0.3, 0.8, 1.0])
            root += [0, rng.uniform(-1, 1) * half_width - skin.brow_lift]
            # Inner hairs stand up, outer ones lie along the brow.
            lean = np.interp(along, [0, 4], [0.1, 1.2]) + 0.25 * rng.normal()
            tip = root + rng.uniform(4, 9) * np.array([outwards * np.cos(lean), -np.sin(lean)])
            _stroke(hairs, root, tip, rng.uniform(0.4, 0.9))
    hairs = cv2.GaussianBlur(hairs, (0, 0), 0.8)[..., None].clip(0, 1)
    return texture * (1 - hairs) + skin.brow_colour.astype(np.float32) * hairs


def _with_lashes(texture: np.ndarray, points: np.ndarray, skin: SkinAppearance) -> np.ndarray:
    shape = texture.shape[:2]
    for eye in (RIGHT_EYE, LEFT_EYE):
        upper, lower = points[eye[:4]], points[np.r_[eye[3:], eye[0]]]
        texture = texture * (1 - (skin.lashes * _line(shape, upper, 5, 1.2))[..., None])
        texture *= 1 - (0.4 * skin.lashes * _line(shape, lower, 3, 1.2))[..., None]
    return texture


def _with_stubble(
    texture: np.ndarray, points: np.ndarray, lips: np.ndarray, skin: SkinAppearance, rng: np.random.Generator
) -> np.ndarray:
    return texture * (1 - (skin.stubble * _stubble(points, lips, rng))[..., None] * np.float32([0.5, 0.45, 0.4]))


def _stubble(points: np.ndarray, lips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Field (H, W) in [0, 1] over moustache, chin and jaw."""
    import cv2

    field = np.zeros(lips.shape, np.float32)
    outline = np.concatenate([points[2:15], points[[54, 35, 33, 31, 48]][:, :] + [0, 4]])
    cv2.fillPoly(field, [np.rint(outline).astype(np.int32)], 1.0)
    bottom = int(points[8, 1])
    # The beard goes on below the jaw, as far as the texture does.
    field[bottom:] = np.maximum(field[bottom:], field[bottom - 1])
    field = cv2.GaussianBlur(field, (0, 0), 9) * (1 - cv2.GaussianBlur(lips, (0, 0), 3))
    return (field * (0.7 + 0.35 * smooth_noise(lips.shape, 2, rng))).clip(0, 1)


def _spot(shape: tuple[int, int], centre: np.ndarray, radius: float) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * radius**2)).astype(np.float32)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """A point in OpenCV's fixed-point coordinates."""
    return round(float(point[0]) * 2**_SUBPIXEL_BITS), round(float(point[1]) * 2**_SUBPIXEL_BITS)


def _disc(field: np.ndarray, centre: tuple[float, float], radius: float, value: float) -> None:
    import cv2

    cv2.circle(field, _fixed(centre), int(radius * 2**_SUBPIXEL_BITS), value, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _stroke(field: np.ndarray, start: np.ndarray, end: np.ndarray, value: float) -> None:
    import cv2

    cv2.line(field, _fixed(start), _fixed(end), value, 1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _line(shape: tuple[int, int], points: np.ndarray, thickness: int, softness: float) -> np.ndarray:
    import cv2

    field = np.zeros(shape, np.float32)
    fixed = np.array([_fixed(point) for point in points], np.int32)
    cv2.polylines(field, [fixed], False, 1.0, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    return cv2.GaussianBlur(field, (0, 0), softness)
