"""Range images of scans (section 4.2): depth in mm on a grid of pixels, seen from the front."""

from dataclasses import dataclass, replace

import numpy as np

from models.errors import ScanError
from models.rendering.rasteriser import NOTHING, camera_points, rasterise
from models.rgbd.meshes import Mesh
from models.rgbd.settings import RangeImageSettings

# A hole is closed over this many rounds of averaging at most; more change nothing that can be seen.
_ROUNDS = 400
_CLOSED = 0.01  # mm


@dataclass(frozen=True)
class RangeImage:
    """Depth of a surface seen from the front, without perspective.

    Attributes
    ----------
    depth : (H, W) float32 mm, larger is nearer; NaN where there is nothing
    mm_per_pixel : size of a pixel
    origin : (2,) x and y, in mm, of the middle of the pixel in the upper left corner
    """

    depth: np.ndarray
    mm_per_pixel: float
    origin: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """(H, W) bool, True where there is a surface."""
        return np.isfinite(self.depth)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Columns and rows (P, 2) of points (P, 2 or 3) in mm."""
        return (np.asarray(points)[:, :2] - self.origin) * [1, -1] / self.mm_per_pixel


def range_image(mesh: Mesh, settings: RangeImageSettings | None = None) -> RangeImage:
    """The range image of a scan: spikes removed, small holes filled, the scan in the image's middle.

    The depth stays in millimetres and is measured from where the scan has its origin; nothing is normalised.

    Raises
    ------
    ScanError
        Hardly anything of the scan can be seen from the front.
    """
    settings = settings or RangeImageSettings()
    mesh = without_spikes(mesh, settings.spike_height)
    size = settings.size
    if len(mesh.triangles):
        used = mesh.vertices[np.unique(mesh.triangles)]
        low, high = used[:, :2].min(0).astype(np.float64), used[:, :2].max(0).astype(np.float64)
        mm_per_pixel = float(np.max(high - low) / ((1 - 2 * settings.margin) * (size - 1)))
        middle = (low + high) / 2
        origin = middle + np.array([-1, 1]) * mm_per_pixel * (size - 1) / 2
        scale = 1 / mm_per_pixel
        points = camera_points(mesh.vertices, scale, np.eye(3), scale * origin * [-1, 1])
        raster = rasterise(points, mesh.triangles, (size, size))
        depth = np.where(raster.depth > NOTHING, raster.depth, np.float32(np.nan))
        depth = _without_shreds(depth, settings.smallest_piece)
        depth = filled_holes(depth, settings.largest_hole / mm_per_pixel**2)
        if np.isfinite(depth).mean() > 0.01:
            return RangeImage(depth, mm_per_pixel, origin)
    raise ScanError("Hardly anything of the scan can be seen from the front; look at it in a viewer.", "empty scan")


def without_spikes(mesh: Mesh, height: float) -> Mesh:
    """A scan without the triangles at vertices whose depth is more than `height` mm off the median of its neighbours'.

    The median of a vertex's neighbours does not move with a spike among them, and follows slopes and ridges.
    """
    triangles = mesh.triangles
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ends = np.concatenate([ends, ends[:, ::-1]])
    z = mesh.vertices[:, 2]
    order = np.lexsort([z[ends[:, 1]], ends[:, 0]])
    vertex, neighbour = ends[order].T
    starts = np.flatnonzero(np.append(True, vertex[1:] != vertex[:-1]))
    counts = np.diff(np.append(starts, len(vertex)))
    lower, upper = (z[neighbour[starts + half]] for half in ((counts - 1) // 2, counts // 2))
    spikes = np.zeros(len(z), bool)
    spikes[vertex[starts]] = np.abs(z[vertex[starts]] - (lower + upper) / 2) > height
    return replace(mesh, triangles=triangles[~spikes[triangles].any(1)])


def filled_holes(depth: np.ndarray, largest: float) -> np.ndarray:
    """Depth (H, W) whose holes of up to `largest` pixels are closed by the smoothest surface through their rims.

    Holes that touch the image's border, and what surrounds the face, are none.
    """
    import cv2

    empty = ~np.isfinite(depth)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(empty.astype(np.uint8), connectivity=4)
    height, width = depth.shape
    left, top, wide, high, area = statistics.T
    inside = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
    filled = depth.copy()
    for label in np.flatnonzero(inside & (area <= largest)):
        window = np.s_[top[label] - 1 : top[label] + high[label] + 1, left[label] - 1 : left[label] + wide[label] + 1]
        if label:
            filled[window] = _bridged(filled[window], labels[window] == label)
    return filled


def _bridged(depth: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Depth (h, w) with a hole replaced by the mean of its neighbours, over and over until it is smooth."""
    import cv2

    rim = np.isfinite(depth) & ~hole
    # Neighbours across a step, or in another hole, take no part.
    known = np.where(rim, depth, 0).astype(np.float32)
    value = np.where(hole, np.median(depth[rim]), known).astype(np.float32)
    part = (rim | hole).astype(np.float32)
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)
    weight = np.maximum(cv2.filter2D(part, -1, cross, borderType=cv2.BORDER_CONSTANT), 1)
    for _ in range(_ROUNDS):
        mean = cv2.filter2D(value * part, -1, cross, borderType=cv2.BORDER_CONSTANT) / weight
        change = np.abs(mean - value)[hole].max()
        value[hole] = mean[hole]
        if change < _CLOSED:
            break
    return np.where(hole, value, depth)


def _without_shreds(depth: np.ndarray, smallest: float) -> np.ndarray:
    """Depth (H, W) without pieces smaller than `smallest` of the largest one."""
    import cv2

    there = np.isfinite(depth).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(there, connectivity=8)
    area = statistics[:, 4].copy()
    area[0] = 0
    return np.where((area >= smallest * area.max())[labels] & (labels > 0), depth, np.float32(np.nan))
