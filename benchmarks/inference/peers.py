"""What others take for one picture of one face, from the same landmarks onwards."""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.inference.timing import least_ms
from benchmarks.reconstruction.peers import eos_library_fit, fit_baseline
from models.fitting.single_image import fit_image
from models.landmarks.backend import Face, load_backend
from models.landmarks.mediapipe import TASK, TASK_SHA256
from models.morphable_model import MorphableModel
from models.packages import FACE_LANDMARKER, packaged_file

BLENDSHAPES = "face_blendshapes.tflite"
# Of the 478 landmarks, those that MediaPipe's blendshape network reads (face_blendshapes_graph.cc).
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
FIT_NOISE = 0.03


def blendshape_network() -> Callable[[Face], np.ndarray]:
    """MediaPipe's scores (52,) of a face with its 478 landmarks, by its own network under LiteRT, one thread."""
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

    def scores(face: Face) -> np.ndarray:
        interpreter.set_tensor(entry, face.dense[None, BLENDSHAPE_POINTS, :2])
        interpreter.invoke()
        return interpreter.get_tensor(end)

    return scores


def time_peers(image: np.ndarray, model: MorphableModel) -> dict[str, float]:
    """Milliseconds a frame of each peer, from the decoded frame (H, W, 3) on, its landmarks followed as ours are.

    The per-image fit is this project's own, with identity, expression and camera; the per-frame baseline is the papers'
    [31]; eos is left out where it is not installed.
    """
    backend = load_backend("mediapipe")
    faces = backend.detect(image)[:1]
    scores = blendshape_network()

    def landmarks() -> Face:
        return backend.follow(image, faces)[0]

    peers: dict[str, Callable[[], object]] = {
        "mediapipe_blendshapes": lambda: scores(landmarks()),
        "per_image_fit": lambda: fit_image(landmarks().points, model),
        "per_frame_baseline": lambda: fit_baseline(landmarks().points[None], model, FIT_NOISE),
    }
    eos = eos_library_fit(model)
    if eos is not None:
        peers["eos"] = lambda: eos(landmarks().points[None], model, FIT_NOISE)
    return {f"{name}_ms": least_ms(work, repeats=15) for name, work in peers.items()}
