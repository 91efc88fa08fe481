"""A z-buffer rasteriser: which triangle each pixel sees, where on it, and how far away."""

from dataclasses import dataclass

import numba
import numpy as np

# Depth where nothing was drawn.
NOTHING = np.float32(-np.inf)


@dataclass(frozen=True)
class Raster:
    """What an H x W image sees of a mesh.

    Attributes
    ----------
    depth : (H, W) float32, larger is nearer; -inf where there is nothing
    triangle : (H, W) int32 index of the nearest triangle, -1 where there is none
    barycentric : (H, W, 3) float32 weights of its corners
    """

    depth: np.ndarray
    triangle: np.ndarray
    barycentric: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """(H, W) bool, True where there is a triangle."""
        return self.triangle >= 0


def camera_points(vertices: np.ndarray, scale: float, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Vertices (N, 3) in mm as image points (N, 3) float32: x and y in pixels, z in mm towards the viewer.

    The projection is that of `models.fitting.camera.ScaledOrthographicCamera`.
    """
    turned = vertices @ np.asarray(rotation, vertices.dtype).T
    points = np.empty((len(vertices), 3), np.float32)
    points[:, 0] = scale * turned[:, 0] + translation[0]
    points[:, 1] = -scale * turned[:, 1] + translation[1]
    points[:, 2] = turned[:, 2]
    return points


def rasterise(
    points: np.ndarray, triangles: np.ndarray, size: tuple[int, int], cull_back_faces: bool = False
) -> Raster:
    """Rasterise triangles (T, 3) over image points (N, 3) into an image of `size` (height, width).

    A pixel belongs to a triangle when its centre, at integer coordinates, lies in it or on its border. Of triangles at
    equal depth the first one wins. Both sides of a triangle are drawn, or with `cull_back_faces` only the outer one,
    which spares work on surfaces that have no visible inside.
    """
    height, width = size
    depth = np.full((height, width), NOTHING, np.float32)
    triangle = np.full((height, width), -1, np.int32)
    barycentric = np.zeros((height, width, 3), np.float32)
    points, triangles = np.ascontiguousarray(points, np.float32), np.ascontiguousarray(triangles)
    _rasterise(points, triangles, cull_back_faces, depth, triangle, barycentric)
    return Raster(depth, triangle, barycentric)


def visible_points(points: np.ndarray, raster: Raster, tolerance: float = 2.0) -> np.ndarray:
    """Which image points (M, 3) lie inside the image and not more than `tolerance` mm behind what it sees there."""
    height, width = raster.depth.shape
    column, row = (np.rint(points[:, k]).astype(int) for k in (0, 1))
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    front = raster.depth[row.clip(0, height - 1), column.clip(0, width - 1)]
    return inside & (points[:, 2] > front - tolerance)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rasterise(points, triangles, cull_back_faces, depth, triangle, barycentric):
    height, width = depth.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        xa, ya, za = points[a, 0], points[a, 1], points[a, 2]
        xb, yb, zb = points[b, 0], points[b, 1], points[b, 2]
        xc, yc, zc = points[c, 0], points[c, 1], points[c, 2]
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        # Counter-clockwise from outside is clockwise in an image whose y points down: its area is negative.
        if not abs(area) > 1e-9 or (cull_back_faces and area > 0):
            continue
        first_column = max(0, int(np.ceil(min(xa, xb, xc))))
        last_column = min(width - 1, int(np.floor(max(xa, xb, xc))))
        first_row = max(0, int(np.ceil(min(ya, yb, yc))))
        last_row = min(height - 1, int(np.floor(max(ya, yb, yc))))
        inverse = np.float32(1.0) / area
        # Both weights are linear in x and y; only the part along x changes within a row.
        wb_per_x, wc_per_x = (yc - ya) * inverse, (ya - yb) * inverse
        for y in range(first_row, last_row + 1):
            dy = np.float32(y) - ya
            wb_at_a, wc_at_a = (xa - xc) * dy * inverse, (xb - xa) * dy * inverse
            for x in range(first_column, last_column + 1):
                dx = np.float32(x) - xa
                wb = wb_at_a + wb_per_x * dx
                wc = wc_at_a + wc_per_x * dx
                wa = np.float32(1.0) - wb - wc
                if wa < 0 or wb < 0 or wc < 0:
                    continue
                z = za + wb * (zb - za) + wc * (zc - za)
                if z > depth[y, x]:
                    depth[y, x] = z
                    triangle[y, x] = t
                    barycentric[y, x, 0] = wa
                    barycentric[y, x, 1] = wb
                    barycentric[y, x, 2] = wc
