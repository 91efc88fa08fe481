"""Shading of a rasterised head: light on skin, hair, eyes and teeth."""

from dataclasses import dataclass

import numba
import numpy as np

from models.morphable_model.model import EYE, SKIN
from models.rendering.rasteriser import Raster

# Single-precision numbers keep the kernels in single precision, which halves their cost.
_ZERO, _HALF, _ONE, _TINY = np.float32(0), np.float32(0.5), np.float32(1), np.float32(1e-9)
_WRAP = np.float32(0.2)


@dataclass(frozen=True)
class Lighting:
    """Light on a scene.

    Attributes
    ----------
    directions : (L, 3) unit vectors towards distant lights, in camera axes
    colours : (L, 3) RGB strengths
    ambient : (3,) RGB strength of light from everywhere
    gloss, gloss_power : strength and sharpness of highlights on skin
    occlusion : how much hollows darken, per mm of depth
    shadow : opacity of the shadow that the first light casts
    """

    directions: np.ndarray
    colours: np.ndarray
    ambient: np.ndarray
    gloss: float
    gloss_power: float
    occlusion: float
    shadow: float


def sample_lighting(rng: np.random.Generator) -> Lighting:
    """One to three lights, mostly from the front and above, exposed so that a facing surface is well lit."""
    count = rng.integers(1, 4)
    directions = np.stack(
        [0.8 * rng.normal(size=count), 0.3 + 0.4 * rng.normal(size=count), rng.uniform(0.35, 1.3, count)], 1
    )
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # Lamps and skies differ along the line from warm to cool.
    warmth = 0.07 * rng.normal(size=(count + 1, 1)) * [1, 0, -1]
    colours = rng.uniform(0.25, 1.0, (count, 1)) * (1 + warmth[1:])
    ambient = rng.uniform(0.25, 0.8) * (1 + warmth[0])
    exposure = rng.uniform(0.85, 1.2) / (ambient.mean() + (colours.mean(1) * directions[:, 2]).sum())
    return Lighting(
        directions,
        colours * exposure,
        ambient * exposure,
        gloss=rng.uniform(0.02, 0.2),
        gloss_power=rng.uniform(8, 40),
        occlusion=rng.uniform(0.02, 0.06),
        shadow=rng.uniform(0.3, 0.7) if rng.random() < 0.5 else 0.0,
    )


@dataclass(frozen=True)
class Surface:
    """What a head is made of, per vertex and as textures.

    Attributes
    ----------
    triangles, uv_triangles : (T, 3) int32
    material : (T,) uint8
    uv : (U, 2) float32, v upwards
    skin : (H, W, 3) float32 texture
    rest : (N, 3) float32 positions on the mean face, mm, on which hair is laid out
    hair : (N,) float32, above zero where hair grows
    strands : (S, S) float32 noise, tiled
    hair_colour : (3,)
    colours : (5, 3) of the materials; the iris is apart, the skin's is not used
    iris : (3,)
    iris_radius : of the eyeball's radius
    eye_local : (N, 3) float32 positions on the unit eyeball, looking along +z
    """

    triangles: np.ndarray
    uv_triangles: np.ndarray
    material: np.ndarray
    uv: np.ndarray
    skin: np.ndarray
    rest: np.ndarray
    hair: np.ndarray
    strands: np.ndarray
    hair_colour: np.ndarray
    colours: np.ndarray
    iris: np.ndarray
    iris_radius: float
    eye_local: np.ndarray


def shade(
    image: np.ndarray,
    raster: Raster,
    surface: Surface,
    lighting: Lighting,
    normals: np.ndarray,
    eye_local: np.ndarray,
    pixels_per_mm: float,
) -> None:
    """Draw a rasterised head into `image` (H, W, 3) float32, in place.

    Parameters
    ----------
    normals : (N, 3) float32 unit normals in camera axes
    eye_local : (N, 3) float32 positions on the unit eyeball, the gaze along +z
    """
    openness = _openness(raster, lighting.occlusion, pixels_per_mm)
    light = _unshadowed(raster, lighting, pixels_per_mm)
    _shade(
        image,
        raster.triangle,
        raster.barycentric,
        openness,
        light,
        surface.triangles,
        surface.uv_triangles,
        surface.material,
        surface.uv,
        surface.skin,
        surface.rest,
        surface.hair,
        surface.strands,
        surface.hair_colour.astype(np.float32),
        surface.colours.astype(np.float32),
        surface.iris.astype(np.float32),
        np.float32(surface.iris_radius),
        normals,
        eye_local,
        lighting.directions.astype(np.float32),
        lighting.colours.astype(np.float32),
        lighting.ambient.astype(np.float32),
        np.float32(lighting.gloss),
        np.float32(lighting.gloss_power),
    )


def _half_depth(raster: Raster) -> tuple[np.ndarray, np.ndarray]:
    """Depth and cover (0 or 1) at half the resolution: what hides light varies slowly. Nothing is at depth 0."""
    depth = raster.depth[::2, ::2]
    cover = raster.covered[::2, ::2].astype(np.float32)
    return np.where(cover > 0, depth, np.float32(0)), cover


def _openness(raster: Raster, strength: float, pixels_per_mm: float) -> np.ndarray:
    """Share (H, W) of ambient light that reaches each pixel, less where it lies deeper than its surroundings."""
    import cv2

    depth, cover = _half_depth(raster)
    openness = np.ones_like(depth)
    for radius, weight in ((3.0, 1.6), (10.0, 0.6)):  # mm
        sigma = max(radius * pixels_per_mm / 2, 0.5)
        around = cv2.GaussianBlur(depth, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(cover, (0, 0), sigma), 0.1)
        openness *= np.exp(-weight * strength * np.clip(around - depth, 0, 40))
    return _full_size(openness, raster)


def _unshadowed(raster: Raster, lighting: Lighting, pixels_per_mm: float) -> np.ndarray:
    """Share (H, W) of the first light that arrives: a march through the depth map along the light's direction."""
    import cv2

    if lighting.shadow == 0:
        return np.ones(raster.depth.shape, np.float32)
    depth, cover = _half_depth(raster)
    depth = np.where(cover > 0, depth, np.float32(-500))
    direction = lighting.directions[0]
    hidden = np.zeros_like(depth)
    for distance in (6.0, 12.0, 20.0, 30.0):  # mm
        shift = distance * direction[:2] * [1, -1] * pixels_per_mm / 2
        moved = cv2.warpAffine(
            depth,
            np.float32([[1, 0, -shift[0]], [0, 1, -shift[1]]]),
            depth.shape[::-1],
            flags=cv2.INTER_NEAREST,
            borderValue=-500,
        )
        excess = moved - depth - np.float32(distance * direction[2])
        # What is far in front lets light pass behind it.
        hidden = np.maximum(hidden, np.clip((excess - 2) / 5, 0, 1) * (excess < 45))
    hidden = cv2.GaussianBlur(hidden, (0, 0), max(1.5 * pixels_per_mm, 0.5))
    return _full_size(1 - np.float32(lighting.shadow) * hidden, raster)


def _full_size(field: np.ndarray, raster: Raster) -> np.ndarray:
    import cv2

    height, width = raster.depth.shape
    return cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _sample(texture, u, v, colour):
    """Bilinear sample of a texture (H, W, 3) whose row 0 is at v = 1, written to `colour` (3,)."""
    height, width = texture.shape[:2]
    x = min(max(u * np.float32(width) - _HALF, _ZERO), np.float32(width) - np.float32(1.001))
    y = min(max((_ONE - v) * np.float32(height) - _HALF, _ZERO), np.float32(height) - np.float32(1.001))
    column, row = int(x), int(y)
    fx, fy = x - np.float32(column), y - np.float32(row)
    for c in range(3):
        top = texture[row, column, c] * (_ONE - fx) + texture[row, column + 1, c] * fx
        bottom = texture[row + 1, column, c] * (_ONE - fx) + texture[row + 1, column + 1, c] * fx
        colour[c] = top * (_ONE - fy) + bottom * fy


@numba.njit(cache=True, nogil=True, fastmath=True)
def _tiled(noise, x, y):
    """Bilinear sample of a square noise that repeats."""
    size = noise.shape[0]
    x, y = x % size, y % size
    column, row = int(x) % size, int(y) % size
    fx, fy = x - int(x), y - int(y)
    right, below = (column + 1) % size, (row + 1) % size
    top = noise[row, column] * (1 - fx) + noise[row, right] * fx
    return top * (1 - fy) + (noise[below, column] * (1 - fx) + noise[below, right] * fx) * fy


@numba.njit(cache=True, nogil=True, fastmath=True)
def _iris_shade(radius, iris_radius):
    """Factor on the iris colour: dark pupil, rim and collarette; negative on the white of the eye."""
    if radius > iris_radius:
        return -1.0
    at = radius / iris_radius
    if at < 0.38:
        return 0.05
    if at > 0.9:
        return 0.45
    return 0.75 + 0.6 * (at - 0.38)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _shade(
    image, triangle, barycentric, openness, unshadowed, triangles, uv_triangles, material, uv, skin, rest, hair,
    strands, hair_colour, colours, iris, iris_radius, normals, eye_local, directions, light_colours, ambient, gloss,
    gloss_power,
):  # fmt: skip
    height, width = triangle.shape
    albedo = np.empty(3, np.float32)
    light = np.empty(3, np.float32)
    for y in range(height):
        for x in range(width):
            t = triangle[y, x]
            if t < 0:
                continue
            nx = ny = nz = u = v = rx = ry = rz = growth = _ZERO
            for k in range(3):
                w, i, j = barycentric[y, x, k], triangles[t, k], uv_triangles[t, k]
                nx += w * normals[i, 0]
                ny += w * normals[i, 1]
                nz += w * normals[i, 2]
                u += w * uv[j, 0]
                v += w * uv[j, 1]
                growth += w * hair[i]
            inverse = _ONE / np.sqrt(nx * nx + ny * ny + nz * nz + _TINY)
            nx, ny, nz = nx * inverse, ny * inverse, nz * inverse

            open_share = openness[y, x]
            shine = gloss
            kind = material[t]
            highlight = 0.0
            if kind == SKIN:
                _sample(skin, u, v, albedo)
                # Strands of hair reach a little beyond the line.
                if growth > -0.6:
                    for k in range(3):
                        w, i = barycentric[y, x, k], triangles[t, k]
                        rx += w * rest[i, 0]
                        ry += w * rest[i, 1]
                        rz += w * rest[i, 2]
                    strand = _tiled(strands, 1.6 * rx + 0.5 * rz, 0.14 * (ry - rz))
                    cover = min(max(0.5 + 1.6 * growth + 0.35 * strand * (growth > -0.3), 0.0), 1.0)
                    tint = 1.0 + 0.28 * strand
                    for c in range(3):
                        albedo[c] = albedo[c] * (1 - cover) + hair_colour[c] * tint * cover
                    shine *= 1 - 0.7 * cover
            elif kind == EYE:
                ex = ey = ez = 0.0
                for k in range(3):
                    w, i = barycentric[y, x, k], triangles[t, k]
                    ex += w * eye_local[i, 0]
                    ey += w * eye_local[i, 1]
                    ez += w * eye_local[i, 2]
                radius = np.sqrt(ex * ex + ey * ey) if ez > 0 else 9.0
                factor = _iris_shade(radius, iris_radius)
                for c in range(3):
                    albedo[c] = iris[c] * factor if factor > 0 else colours[EYE, c]
                if factor > 0:
                    # The cornea mirrors the first light as a small bright spot.
                    dx, dy = nx - 0.5 * directions[0, 0], ny - 0.5 * directions[0, 1]
                    highlight = 0.8 * max(0.0, 1 - np.sqrt(dx * dx + dy * dy) / 0.16)
                open_share = 0.25 + 0.75 * open_share
                shine = 0.0
            else:
                for c in range(3):
                    albedo[c] = colours[kind, c]
                open_share *= open_share
                shine *= 0.3

            above = 0.8 + 0.2 * ny
            for c in range(3):
                light[c] = ambient[c] * above * open_share
            specular = _ZERO
            for n in range(len(directions)):
                lx, ly, lz = directions[n, 0], directions[n, 1], directions[n, 2]
                # Wrapped diffuse light stands in for scattering below the skin.
                cosine = nx * lx + ny * ly + nz * lz
                arriving = unshadowed[y, x] if n == 0 else _ONE
                diffuse = max(_ZERO, (cosine + _WRAP) / (_ONE + _WRAP)) * arriving
                for c in range(3):
                    light[c] += diffuse * light_colours[n, c] * (0.4 + 0.6 * open_share)
                # Cosine to the half-way vector between the light and the viewer at (0, 0, 1).
                facing = (cosine + nz) / np.sqrt(np.float32(2) + np.float32(2) * lz + _TINY)
                # exp(-p (1 - x)) is close to x^p where either is bright, and far cheaper.
                falloff = gloss_power * (_ONE - facing)
                if falloff < 8:
                    specular += arriving * light_colours[n, 1] * np.exp(-falloff)
            for c in range(3):
                image[y, x, c] = albedo[c] * light[c] + shine * specular * open_share + highlight * light[c]
