"""Pictures of faces, and detections made by hand."""

import cv2
import numpy as np
import pytest
import skimage.data

from models.landmarks import Detections, load_backend


@pytest.fixture(scope="session")
def mediapipe():
    return load_backend("mediapipe")


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """A photograph (512, 512, 3) of one face, 91 pixels wide, in the public domain."""
    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def portrait_face(mediapipe, portrait):
    (face,) = mediapipe.detect(portrait)
    return face


@pytest.fixture
def resized():
    """Function that scales an image and takes points of the result back."""

    def scale(image, factor):
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        return cv2.resize(image, None, fx=factor, fy=factor, interpolation=method)

    return scale


@pytest.fixture
def detections_of():
    """Function from boxes {frame: [(x, y, width), ...]} to detections of faces as high as wide."""

    def make(faces, frames, fps=25.0):
        rows = [(frame, *face) for frame in sorted(faces) for face in faces[frame]]
        index = np.array([row[0] for row in rows], np.int64)
        corner = np.array([row[1:3] for row in rows], np.float32).reshape(-1, 2)
        width = np.array([row[3] for row in rows], np.float32)
        times = np.arange(frames) / fps
        # Points spread over the box; the first two are its corners.
        spread = np.random.default_rng(0).uniform(0, 1, (68, 2)).astype(np.float32)
        spread[:2] = [[0, 0], [1, 1]]
        return Detections(
            landmarks=corner[:, None] + spread * width[:, None, None],
            boxes=np.concatenate([corner, corner + width[:, None]], 1),
            score=np.ones(len(rows), np.float32),
            frame_index=index,
            timestamps=times[index],
            frame_times=times,
            size=np.array([640, 360]),
        )

    return make
