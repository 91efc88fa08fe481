"""What others take for one picture of one face, from the same landmarks onwards."""

from collections.abc import Callable

import numpy as np

from benchmarks.inference.timing import least_ms
from benchmarks.reconstruction.peers import eos_library_fit, fit_baseline
from models.fitting.single_image import fit_image
from models.landmarks.backend import Face, load_backend
from models.landmarks.blendshapes import BLENDSHAPE_POINTS, blendshape_network
from models.morphable_model import MorphableModel

FIT_NOISE = 0.03


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
        "mediapipe_blendshapes": lambda: scores(landmarks().dense[BLENDSHAPE_POINTS, :2]),
        "per_image_fit": lambda: fit_image(landmarks().points, model),
        "per_frame_baseline": lambda: fit_baseline(landmarks().points[None], model, FIT_NOISE),
    }
    eos = eos_library_fit(model)
    if eos is not None:
        peers["eos"] = lambda: eos(landmarks().points[None], model, FIT_NOISE)
    return {f"{name}_ms": least_ms(work, repeats=15) for name, work in peers.items()}
