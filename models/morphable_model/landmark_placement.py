"""The 68 landmarks of the MULTI-PIE mark-up as barycentric points on the embedded mesh.

Points at corners of the eyes, the nose and the lips are vertices of the mesh. Along the jaw and the brows the mesh is
too coarse for that: there a smooth curve runs through well-placed anchors and the landmarks lie evenly along it. The
subject's left half mirrors the right one exactly, as the mesh does.
"""

import numpy as np

# 0-based vertices of the base mesh for landmarks that coincide with one; the left half follows by mirroring.
_MIDLINE = {27: 133, 28: 131, 29: 201, 30: 297, 33: 317, 51: 455, 57: 5337, 62: 474, 66: 493}
_RIGHT = {
    31: 344, 32: 331,
    36: 4854, 37: 1057, 38: 4865, 39: 6769, 40: 4862, 41: 6776,
    48: 3736, 49: 448, 50: 450, 58: 486, 59: 484, 60: 430, 61: 470, 67: 481,
}  # fmt: skip
# Curves on the subject's right: landmarks at equal arc lengths along a spline through these vertices.
_RIGHT_CURVES = {
    (0, 1, 2, 3, 4, 5, 6, 7, 8): (5769, 5750, 869, 3696, 920, 727, 5296),
    (17, 18, 19, 20, 21): (255, 225, 224, 222, 223, 208),
}
_MIRRORED = {
    0: 16, 1: 15, 2: 14, 3: 13, 4: 12, 5: 11, 6: 10, 7: 9,
    17: 26, 18: 25, 19: 24, 20: 23, 21: 22,
    31: 35, 32: 34,
    36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46,
    48: 54, 49: 53, 50: 52, 58: 56, 59: 55, 60: 64, 61: 63, 67: 65,
}  # fmt: skip


def mirrored_vertices(vertices: np.ndarray) -> np.ndarray:
    """For each of the vertices (N, 3), which one lies at its mirror image across x = 0: (N,) indices."""
    from scipy.spatial import cKDTree

    return cKDTree(vertices).query(vertices * [-1, 1, 1])[1]


def closest_point_on_surface(
    point: np.ndarray, vertices: np.ndarray, triangles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The point of a surface that is closest to `point` (3,): its triangle's vertices (3,) and the weights (3,)."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    weights = np.stack([_clamped_to_edge(point, *edge) for edge in ((a, b), (b, c), (c, a))])
    on_edges = np.zeros((3, len(triangles), 3))
    for k in range(3):
        on_edges[k, :, k], on_edges[k, :, (k + 1) % 3] = 1 - weights[k], weights[k]
    inside = _on_plane(point, a, b, c)
    # A foot outside its triangle is no point of the surface; the nearest edge then holds the closest one.
    inside = np.where((inside >= 0).all(1, keepdims=True), inside, on_edges[0])
    candidates = np.concatenate([on_edges, inside[None]])
    positions = np.einsum("mtk,tkd->mtd", candidates, vertices[triangles])
    kind, triangle = np.unravel_index(np.argmin(((positions - point) ** 2).sum(-1)), candidates.shape[:2])
    return triangles[triangle], candidates[kind, triangle]


def place_landmarks(
    vertices: np.ndarray, triangles: np.ndarray, base_vertices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (68, 3) and barycentric weights (68, 3) of the landmarks.

    Parameters
    ----------
    vertices : (N, 3) mesh cut from the base mesh, mirror symmetric
    triangles : (T, 3) of the outer skin, on which the curves lie
    base_vertices : (N,) which vertex of the base mesh each one was
    """
    index_of = {base: k for k, base in enumerate(base_vertices.tolist())}
    mirror = mirrored_vertices(vertices)
    corners, weights = np.zeros((68, 3), np.int64), np.zeros((68, 3))
    for landmark, base in (_MIDLINE | _RIGHT).items():
        corners[landmark], weights[landmark] = index_of[base], [1.0, 0.0, 0.0]
    for landmarks, anchors in _RIGHT_CURVES.items():
        points = _evenly_along(vertices[[index_of[base] for base in anchors]], len(landmarks))
        for landmark, point in zip(landmarks, points, strict=True):
            corners[landmark], weights[landmark] = closest_point_on_surface(point, vertices, triangles)
    for right, left in _MIRRORED.items():
        corners[left], weights[left] = mirror[corners[right]], weights[right]
    return corners, weights


def _evenly_along(anchors: np.ndarray, count: int) -> np.ndarray:
    """`count` points at equal arc lengths on the cubic spline through the anchors (A, 3)."""
    from scipy.interpolate import CubicSpline

    chord = np.r_[0, np.cumsum(np.linalg.norm(np.diff(anchors, axis=0), axis=1))]
    fine = CubicSpline(chord, anchors)(np.linspace(0, chord[-1], 500))
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))]
    at = np.linspace(0, length[-1], count)
    return np.stack([np.interp(at, length, fine[:, d]) for d in range(3)], 1)


def _clamped_to_edge(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Position in [0, 1] along each edge of the point closest to `point`."""
    along = end - start
    return np.clip(((point - start) * along).sum(1) / np.maximum((along**2).sum(1), 1e-12), 0, 1)


def _on_plane(point: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Barycentric weights (T, 3) of the point's foot on the plane of each triangle."""
    u, v, w = b - a, c - a, point - a
    uu, uv, vv = (u * u).sum(1), (u * v).sum(1), (v * v).sum(1)
    wu, wv = (w * u).sum(1), (w * v).sum(1)
    determinant = np.maximum(uu * vv - uv * uv, 1e-12)
    second, third = (vv * wu - uv * wv) / determinant, (uu * wv - uv * wu) / determinant
    return np.stack([1 - second - third, second, third], 1)
