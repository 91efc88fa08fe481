"""The pictures of one fitted frame: what was filmed, the mesh laid over it, and the expression without the person."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from models.fitting.camera import IMAGE_AXES
from models.fitting.reconstruction import Reconstruction
from models.morphable_model import MorphableModel
from models.rendering.mesh import draw_mesh
from models.video.decoding import Frame

# What a portrait shows beside the 68 points, as shares of their height: forehead, chin, and the sides.
FOREHEAD, BELOW_CHIN, BESIDE = 0.3, 0.1, 0.1
PAPER = 255  # the white that sheets are printed on


@dataclass(frozen=True)
class View:
    """The part of a video that a panel shows, upright and at one zoom in both directions.

    Attributes
    ----------
    corner : (2,) upper left corner of the part in pixels of the video as displayed, where a pixel is one wide
    zoom : pixels of the panel per pixel of the video
    size : (height, width) of the panel
    """

    corner: np.ndarray
    zoom: float
    size: tuple[int, int]

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the video as displayed in pixels of the panel; pixel centres are at integers in both."""
        return (np.asarray(points) + 0.5 - self.corner) * self.zoom - 0.5

    def cut(self, frame: Frame) -> np.ndarray:
        """This part of a frame, (height, width, 3) uint8; white where the video ends."""
        import cv2

        # From a pixel of the panel to one of the frame, which may have been decoded smaller than it is displayed.
        step = frame.scale / self.zoom
        first = frame.from_video((0.5 / self.zoom) + self.corner - 0.5)
        matrix = np.array([[step[0], 0, first[0]], [0, step[1], first[1]]])
        return cv2.warpAffine(
            frame.image,
            matrix,
            self.size[::-1],
            flags=cv2.WARP_INVERSE_MAP | (cv2.INTER_CUBIC if self.zoom > 1 else cv2.INTER_LINEAR),
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(PAPER, PAPER, PAPER),
        )

    def decoded_side(self, width: float, height: float) -> int:
        """Longest side at which a video of this size need be decoded for this view: it spares work, and aliasing."""
        return max(1, round(max(width, height) * min(1.0, self.zoom)))


def view_of_face(landmarks: np.ndarray, side: int, margin: float = 0.35) -> View:
    """A square view of `side` pixels around one face (68, 2), with `margin` of its size on every side."""
    points = landmarks[np.isfinite(landmarks).all(-1)]
    low, high = points.min(0), points.max(0)
    # Hair and forehead lie above all points: the middle of what is wanted is above the middle of the points.
    centre = (low + high) / 2 + 0.5 - [0.0, 0.12 * (high - low)[1]]
    reach = (0.5 + margin) * float((high - low).max())
    return View(corner=centre - reach, zoom=side / (2 * reach), size=(side, side))


def view_of_track(landmarks: np.ndarray, video_size: tuple[float, float], height: int, margin: float = 0.6) -> View:
    """A view that stands still and shows a face (F, 68, 2) in all its frames, as far as the video shows it.

    A camera that followed the face would hide what a look at a fit must show: drift.

    Parameters
    ----------
    video_size : (width, height) of the video as displayed
    height : of the panel, pixels; its width follows from where the face goes, and is even
    """
    points = landmarks[np.isfinite(landmarks).all(-1)]
    face = np.nanmedian(np.ptp(landmarks, axis=1).max(-1))
    low = np.maximum(points.min(0) - margin * face, 0)
    high = np.minimum(points.max(0) + margin * face + 1, video_size)
    zoom = height / (high - low)[1]
    return View(corner=low, zoom=zoom, size=(height, 2 * round((high - low)[0] * zoom / 2)))


def mesh_panel(
    panel: np.ndarray, view: View, fit: Reconstruction, position: int, model: MorphableModel, alpha: float = 0.75
) -> np.ndarray:
    """A panel that `view` cut, with the mesh of the fit's frame number `position` laid over the face."""
    identity = fit.identity if fit.identity.ndim == 1 else fit.identity[position]
    return draw_mesh(
        panel,
        model.shape(identity, fit.expression[position]),
        model,
        float(fit.scale[position]) * view.zoom,
        fit.rotation[position],
        view.pixels(fit.translation[position]),
        alpha,
    )


def mark_points(panel: np.ndarray, points: np.ndarray, colour: tuple[int, int, int], radius: float) -> np.ndarray:
    """A copy of a panel with dots at `points` (P, 2); those that are not finite are left out."""
    import cv2

    marked = panel.copy()
    for x, y in points[np.isfinite(points).all(-1)]:
        # OpenCV takes coordinates in sixteenths of a pixel here.
        centre = round(float(x) * 16), round(float(y) * 16)
        cv2.circle(marked, centre, round(radius * 16), colour, -1, cv2.LINE_AA, 4)
    return marked


def portrait(
    model: MorphableModel, expression: np.ndarray, size: tuple[int, int], identity: np.ndarray | None = None
) -> np.ndarray:
    """An expression (n_e,) in mm from the front: what the network is taught to see (Fig. 4).

    Parameters
    ----------
    identity : (n_i,) in mm of the person it is drawn on; None is the mean

    Returns
    -------
    (height, width, 3) uint8, on white, the face as large as `size` (height, width) allows.
    """
    points = (model.landmark_mean if identity is None else model.landmarks(identity))[:, :2]
    low, high = points.min(0), points.max(0)
    face = (high - low)[1]
    low = low - np.array([BESIDE, BELOW_CHIN]) * face
    high = high + np.array([BESIDE, FOREHEAD]) * face
    scale = min(size[1] / (high - low)[0], size[0] / (high - low)[1])
    translation = (np.array(size[::-1]) - 1) / 2 - scale * IMAGE_AXES * (low + high) / 2
    paper = np.full((*size, 3), PAPER, np.uint8)
    return draw_mesh(paper, model.shape(identity, expression), model, scale, np.eye(3), translation)


def write(
    image: np.ndarray,
    text: str,
    at: tuple[float, float],
    size: int = 12,
    colour: tuple[int, int, int] = (40, 40, 40),
    anchor: str = "la",
) -> None:
    """Write text into an image, in place. `at` is where the anchor goes (Pillow's names: `la` is the upper left)."""
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(image)
    ImageDraw.Draw(canvas).text(at, text, font=_font(size), fill=colour, anchor=anchor)
    image[:] = np.asarray(canvas)


@cache
def _font(size: int):
    from PIL import ImageFont

    return ImageFont.load_default(size)
