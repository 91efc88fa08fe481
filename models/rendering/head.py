"""Drawing one subject into one image."""

from dataclasses import dataclass

import numpy as np

from models.rendering.mesh import vertex_normals
from models.rendering.rasteriser import Raster, camera_points, rasterise
from models.rendering.shading import Lighting, shade
from models.rendering.subject import Subject


@dataclass(frozen=True)
class HeadPose:
    """One frame of a `ScaledOrthographicCamera`: pixels per mm, (3, 3) rotation and (2,) translation in pixels.

    `distance`, in mm, is that of a camera with perspective from the model's origin, where `scale` then holds.
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray
    distance: float = np.inf

    def magnified(self, factor: float) -> "HeadPose":
        """The same view in an image of `factor` times the size, whose pixel centres are at integers as well."""
        translation = (np.asarray(self.translation) + 0.5) * factor - 0.5
        return HeadPose(self.scale * factor, self.rotation, translation, self.distance)

    def points(self, vertices: np.ndarray) -> np.ndarray:
        """Vertices (N, 3) in mm as image points (N, 3) float32: x and y in pixels, z in mm towards the viewer."""
        points = camera_points(vertices, self.scale, self.rotation, self.translation)
        if np.isfinite(self.distance):
            nearer = np.float32(self.distance) / (np.float32(self.distance) - points[:, 2:])
            middle = np.asarray(self.translation, np.float32)
            points[:, :2] = middle + (points[:, :2] - middle) * nearer
        return points


def rotation_from_angles(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation (3, 3) from angles in degrees: yaw turns the face to its left, pitch down, roll to its right shoulder.

    Yaw is applied first, about the head's own vertical axis, then pitch, then roll in the image plane.
    """
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def draw_head(
    image: np.ndarray, subject: Subject, offsets: np.ndarray, lighting: Lighting, gaze: np.ndarray, pose: HeadPose
) -> Raster:
    """Draw a head into `image` (H, W, 3) float32 RGB, in place, and return what was seen of it.

    Parameters
    ----------
    offsets : (N, 3) float32 mm, the expression
    gaze : (2,) degrees, eyes to the subject's left and up
    """
    surface = subject.surface
    vertices = subject.vertices + offsets
    raster = rasterise(pose.points(vertices), surface.triangles, image.shape[:2], cull_back_faces=True)
    normals = vertex_normals(vertices, surface.triangles) @ pose.rotation.T.astype(np.float32)
    looking = rotation_from_angles(gaze[0], -gaze[1], 0).astype(np.float32)
    # Turning the eyeball moves the iris over it; seen from the ball, the texture turns the other way.
    shade(image, raster, surface, lighting, normals, surface.eye_local @ looking, pose.scale)
    return raster
