"""Plain renderings of a face's shape: clay on its own, or laid over a photograph."""

import numba
import numpy as np

from models.morphable_model.model import EYE, MOUTH_CAVITY, SKIN, TEETH, TONGUE, MorphableModel
from models.rendering.rasteriser import camera_points, rasterise

# How far teeth and tongue are drawn behind where the model has them, mm.
_TEETH_SETBACK = 6.0
_CLAY = {SKIN: 0.78, EYE: 0.92, TEETH: 0.95, TONGUE: 0.6, MOUTH_CAVITY: 0.35}
# Two lights, from the upper left and the right, so that both halves of a face show their relief.
_LIGHTS = np.array([[-0.45, 0.5, 0.75], [0.7, 0.1, 0.5]])
_LIGHT_STRENGTHS = np.array([0.75, 0.25])
_AMBIENT = 0.22


@numba.njit(cache=True, nogil=True)
def vertex_normals(vertices, triangles):
    """Unit normals (N, 3) of vertices (N, 3): triangles' normals averaged with their areas as weights."""
    normals = np.zeros_like(vertices)
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for i in range(len(normals)):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2) + 1e-9
        for k in range(3):
            normals[i, k] /= length
    return normals


def frontal_camera(model: MorphableModel, size: tuple[int, int]) -> tuple[float, np.ndarray]:
    """Scale (pixels per mm) and translation (2,) that fit the front of the mean head into `size` (height, width)."""
    height, width = size
    low, high = model.mean.min(0), model.mean.max(0)
    scale = 0.94 * min(width / (high[0] - low[0]), height / (high[1] - low[1]))
    middle = (low + high)[:2] / 2
    return scale, np.array([(width - 1) / 2 - scale * middle[0], (height - 1) / 2 + scale * middle[1]])


def render_face(
    model: MorphableModel,
    identity: np.ndarray | None = None,
    expression: np.ndarray | None = None,
    size: int | tuple[int, int] = 256,
    rotation: np.ndarray | None = None,
) -> np.ndarray:
    """Clay rendering (H, W, 3) uint8, on white, of the face with these coefficients (mm).

    `size` is (height, width), or the side of a square.
    """
    size = (size, size) if isinstance(size, int) else size
    scale, translation = frontal_camera(model, size)
    rotation = np.eye(3) if rotation is None else rotation
    white = np.full((*size, 3), 255, np.uint8)
    return draw_mesh(white, model.shape(identity, expression), model, scale, rotation, translation)


def draw_mesh(
    image: np.ndarray,
    vertices: np.ndarray,
    model: MorphableModel,
    scale: float,
    rotation: np.ndarray,
    translation: np.ndarray,
    alpha: float = 1.0,
) -> np.ndarray:
    """Lay a shaded mesh over an image.

    Parameters
    ----------
    image : (H, W, 3) uint8 RGB
    vertices : (N, 3) mm, as `model.shape` gives them
    scale, rotation, translation : one frame of a `ScaledOrthographicCamera`
    alpha : opacity of the mesh

    Returns
    -------
    A new image (H, W, 3) uint8.
    """
    # Drawn at twice the size and averaged, the mesh's outline is smooth.
    height, width = image.shape[:2]
    fine_translation = 2 * np.asarray(translation) + 0.5
    points = camera_points(vertices, 2 * scale, rotation, fine_translation)
    # Fitted expressions are not checked for collisions: without this, teeth come through pressed lips and chins.
    inside = np.unique(model.triangles[np.isin(model.material, (TEETH, TONGUE))])
    points[inside, 2] -= _TEETH_SETBACK
    raster = rasterise(points, model.triangles, (2 * height, 2 * width))
    normals = vertex_normals(vertices.astype(np.float64), model.triangles) @ np.asarray(rotation, np.float64).T
    clay = np.array([_CLAY[material] for material in range(len(_CLAY))])[model.material]
    lights = _LIGHT_STRENGTHS[:, None] * _LIGHTS / np.linalg.norm(_LIGHTS, axis=1, keepdims=True)
    return _blend(image, raster.triangle, raster.barycentric, model.triangles, normals, clay, lights, float(alpha))


@numba.njit(cache=True, nogil=True)
def _blend(image, triangle, barycentric, triangles, normals, clay, lights, alpha):
    """Lay what a raster of twice the image's size shows over it: Phong-interpolated normals (N, 3), a brightness of
    every triangle (T,), lights (L, 3) as directions times strengths."""
    height, width, channels = image.shape
    drawn = image.copy()
    normal = np.empty(3)
    for y in range(height):
        for x in range(width):
            cover = 0.0
            shade = 0.0
            for k in range(4):
                row, column = 2 * y + k // 2, 2 * x + k % 2
                t = triangle[row, column]
                if t < 0:
                    continue
                for d in range(3):
                    normal[d] = (
                        barycentric[row, column, 0] * normals[triangles[t, 0], d]
                        + barycentric[row, column, 1] * normals[triangles[t, 1], d]
                        + barycentric[row, column, 2] * normals[triangles[t, 2], d]
                    )
                length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + 1e-9
                light = _AMBIENT
                for m in range(len(lights)):
                    towards = lights[m, 0] * normal[0] + lights[m, 1] * normal[1] + lights[m, 2] * normal[2]
                    light += max(0.0, towards / length)
                cover += 0.25
                shade += 0.25 * clay[t] * light
            if cover > 0:
                for channel in range(channels):
                    value = image[y, x, channel] * (1 - alpha * cover) + 255 * alpha * min(shade, 1.0)
                    drawn[y, x, channel] = np.uint8(min(255.0, value + 0.5))
    return drawn
