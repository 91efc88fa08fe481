"""Predictors for the service that answer at once, late, or when they are let."""

import io
import threading

import numpy as np
from PIL import Image

from models.emotion.labels import EMOTIONS
from models.expression.contract import NetworkContract
from models.expression.predictor import Predictor
from tests.models.expression.marked_faces import Brightness, MarkedFaces, painted


class EvenClassifier:
    """Finds every emotion as probable as the others."""

    classes_ = np.array(EMOTIONS)

    def predict_proba(self, features):
        return np.full((len(features), len(EMOTIONS)), 1 / len(EMOTIONS))


class HeldFaces(MarkedFaces):
    """Finds painted faces once it is let; counts who waits."""

    def __init__(self, template):
        super().__init__(template)
        self.let = threading.Event()
        self.let.set()
        self.reached = threading.Event()

    def detect(self, image, known=()):
        self.reached.set()
        assert self.let.wait(30)
        return super().detect(image, known)


class BatchSizes(Brightness):
    """Remembers how many faces came together."""

    def __init__(self, contract):
        super().__init__(contract)
        self.together = []

    def __call__(self, images, landmarks):
        self.together.append(len(images))
        return super().__call__(images, landmarks)


def painted_predictor(model) -> Predictor:
    """A predictor of painted faces (`HeldFaces`, `BatchSizes`)."""
    contract = NetworkContract.of(model, "resnet18_half", 56)
    return Predictor(BatchSizes(contract), HeldFaces(contract.template), EvenClassifier())


def painted_file(*spots: tuple[int, int], kind: str = "PNG") -> bytes:
    """An image file with a face at each spot."""
    buffer = io.BytesIO()
    Image.fromarray(painted(*spots)).save(buffer, kind)
    return buffer.getvalue()
