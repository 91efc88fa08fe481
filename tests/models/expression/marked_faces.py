"""Faces that are painted into images, a backend that finds them, and networks whose answers are known."""

import cv2
import numpy as np

from models.landmarks.backend import Face, box_around

SIZE = 240


class MarkedFaces:
    """A backend that finds the faces painted into an image: one at each red spot, the template shifted there."""

    name = "marked"

    def __init__(self, template: np.ndarray):
        self.template = template * 0.3
        self.detections = 0

    def _faces(self, image):
        red = (image[..., 0] > 180) & (image[..., 1] < 90) & (image[..., 2] < 90)
        _, _, boxes, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
        for spot in boxes[1:, :2]:
            points = (self.template + spot).astype(np.float32)
            yield Face(points, box_around(points), 0.9)

    def detect(self, image, known=()):
        self.detections += 1
        return list(self._faces(image))

    def follow(self, image, faces):
        found = list(self._faces(image))
        return [next((other for other in found if abs(other.box - face.box).max() < 30), None) for face in faces]


def painted(*spots: tuple[int, int]) -> np.ndarray:
    image = np.full((SIZE, SIZE, 3), 90, np.uint8)
    for column, row in spots:
        image[row : row + 8, column : column + 8] = (255, 0, 0)
    return image


class Constant:
    """Stands for a network: the same expression for every image."""

    def __init__(self, contract):
        self.contract, self.expression_size, self.streams = contract, 28, 2

    def __call__(self, images, landmarks):
        assert images.shape[1:] == (224, 224, 3)
        return np.tile(np.linspace(-1, 1, 28), (len(images), 1))


class Brightness(Constant):
    """Stands for a network whose first coefficient is the brightness of the face, 0 at 90 and 1 at 190."""

    def __call__(self, images, landmarks):
        answer = np.zeros((len(images), 28))
        answer[:, 0] = (np.median(images.reshape(len(images), -1, 3)[:, :, 2], axis=1) - 90) / 100
        return answer
