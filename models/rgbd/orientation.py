"""Scans that stand on their heads or look away, found and turned back.

Scanners and converters differ in their axes. A face is expected with x to its left, y up and z towards the viewer; of
the half turns that mix these axes up, the one that makes a face of the scan is sought.
"""

from dataclasses import dataclass, replace

import numpy as np

from models.rgbd.meshes import EYES, LIPS, Mesh

# Half turns about the axes, by what has become of the face.
_HALF_TURNS = {
    "upright": np.array([1, 1, 1]),
    "upside down": np.array([-1, -1, 1]),
    "seen from behind": np.array([-1, 1, -1]),
    "upside down and seen from behind": np.array([1, -1, -1]),
}
# Landmarks that lie farther than this from the surface, mm, belong to the scan in another position.
_OFF_SURFACE = 8.0
# Where the ridge of the nose is looked for, above or below its tip, and what lies beside it, mm.
_NEAR, _FAR = 8.0, 22.0
_RIDGE = 4.0
_BESIDE = (14.0, 24.0)


@dataclass(frozen=True)
class Orientation:
    """How a scan stands.

    Attributes
    ----------
    position : "upright", "upside down", "seen from behind" or "upside down and seen from behind"
    landmarks_turned : whether the landmarks stand as the scan does; False where they are upright beside a turned scan
    """

    position: str
    landmarks_turned: bool = True

    @property
    def turned(self) -> bool:
        return self.position != "upright"


def orientation(mesh: Mesh, landmarks: np.ndarray | None = None) -> Orientation:
    """How a scan stands, by its landmarks (83, 3) and where it bulges, or without landmarks by the nose's profile."""
    used = np.unique(mesh.triangles)
    points = mesh.vertices[used]
    if landmarks is None:
        behind = _bulges_away(points)
        upside_down = _nose_points_up(points * [1, 1, -1] if behind else points)
        return Orientation(_position(upside_down, behind))
    # The scan may have been turned alone: then its landmarks lie beside it.
    position = min(_HALF_TURNS, key=lambda name: (_distance(points, landmarks * _HALF_TURNS[name]), name != "upright"))
    if position != "upright" and _distance(points, landmarks) > _OFF_SURFACE:
        return Orientation(position, landmarks_turned=False)
    upside_down = landmarks[EYES, 1].mean() < landmarks[LIPS, 1].mean()
    return Orientation(_position(upside_down, _bulges_away(points)))


def turned_back(mesh: Mesh, landmarks: np.ndarray | None, found: Orientation) -> tuple[Mesh, np.ndarray | None]:
    """Scan and landmarks, upright."""
    turn = _HALF_TURNS[found.position].astype(np.float32)
    if landmarks is not None and found.landmarks_turned:
        landmarks = landmarks * turn
    return replace(mesh, vertices=mesh.vertices * turn), landmarks


def _position(upside_down: bool, behind: bool) -> str:
    # Seen from behind by a turn about the vertical axis a face is upright, about the horizontal one it is not.
    if behind:
        return "upside down and seen from behind" if upside_down else "seen from behind"
    return "upside down" if upside_down else "upright"


def _distance(points: np.ndarray, landmarks: np.ndarray) -> float:
    """Median distance of landmarks from the nearest point of the scan, mm."""
    from scipy.spatial import cKDTree

    return float(np.median(cKDTree(points).query(landmarks)[0]))


def _bulges_away(points: np.ndarray) -> bool:
    """Whether the middle of a scan lies farther away than its rim. Windings are not asked: many are wrong."""
    low, high = np.percentile(points[:, :2], [2, 98], axis=0)
    radius = np.linalg.norm((points[:, :2] - (low + high) / 2) / ((high - low) / 2), axis=1)
    middle, rim = points[radius < 0.4, 2], points[(radius > 0.75) & (radius < 1.1), 2]
    return bool(len(middle) and len(rim) and np.median(middle) < np.median(rim))


def _nose_points_up(points: np.ndarray) -> bool:
    """Whether the ridge that leads to the tip of the nose comes from below: then the face is upside down.

    On the side of the ridge the middle stands farther out of what lies beside it than on the side of the lips. That is
    so whether or not the head nods, which the profile alone does not tell.
    """
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    middle = (low + high) / 2
    central = np.abs(points[:, :2] - middle).max(1) < 0.3 * (high - low).max()
    if not central.any():
        return False
    tip = points[central][np.argsort(points[central, 2])[-10:]].mean(0)
    above, below = (_prominence(points - tip, side) for side in (1, -1))
    return bool(above < below)


def _prominence(points: np.ndarray, side: int) -> float:
    """How far the middle stands out above (1) or below (-1) the tip of the nose, the origin; mm, NaN if unknown."""
    beside, along = np.abs(points[:, 0]), side * points[:, 1]
    near = (along > _NEAR) & (along < _FAR)
    ridge = points[near & (beside < _RIDGE), 2]
    cheeks = points[near & (beside > _BESIDE[0]) & (beside < _BESIDE[1]), 2]
    return float(np.median(ridge) - np.median(cheeks)) if len(ridge) and len(cheeks) else np.nan
