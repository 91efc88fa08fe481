"""MediaPipe's 52 blendshape scores, by its own network under LiteRT, without the mediapipe package."""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.landmarks.mediapipe import TASK, TASK_SHA256
from models.packages import FACE_LANDMARKER, packaged_file

BLENDSHAPES = "face_blendshapes.tflite"
BLENDSHAPE_COUNT = 52
# Of the 478 landmarks, those that the network reads (face_blendshapes_graph.cc).
# fmt: off
BLENDSHAPE_POINTS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249,
    251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314,
    317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382,
    384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473,
    474, 475, 476, 477,
])
# fmt: on


def blendshape_network() -> Callable[[np.ndarray], np.ndarray]:
    """A function from the 146 `BLENDSHAPE_POINTS` of a face (146, 2), pixels, to its scores (52,).

    Raises
    ------
    WeightsMissingError
        The network is neither cached nor obtainable.
    """
    from ai_edge_litert.interpreter import Interpreter

    with (
        zipfile.ZipFile(packaged_file(FACE_LANDMARKER, TASK, TASK_SHA256)) as bundle,
        tempfile.TemporaryDirectory() as name,
    ):
        path = Path(name) / BLENDSHAPES
        path.write_bytes(bundle.read(BLENDSHAPES))
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    entry, end = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def scores(points: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(entry, np.asarray(points, np.float32)[None])
        interpreter.invoke()
        return interpreter.get_tensor(end)

    return scores
