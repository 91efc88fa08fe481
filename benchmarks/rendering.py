"""How fast synthetic videos and training faces are rendered: `python -m benchmarks.rendering --json FILE`."""

import argparse
import functools
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from models.expression.rendered_samples import render_samples
from models.landmarks import load_backend
from models.morphable_model import MorphableModel
from models.morphable_model.embedded import build_embedded_model
from models.rendering.settings import SyntheticVideoSettings, TrainingFaceSettings
from models.rendering.synthetic_video import render_video, synthesise_video

_SECONDS_OF_VIDEO = 5
_PEOPLE_A_JOB = 5


@functools.cache
def _model(path: Path) -> MorphableModel:
    return MorphableModel.load(path)


def render_clip(model_path: Path, folder: Path, subject: int, settings: SyntheticVideoSettings) -> int:
    """Render one video with its truth and return its number of frames."""
    import cv2

    # The processes share the cores among them; threads within one would only wait for each other.
    cv2.setNumThreads(1)
    video = synthesise_video(_model(model_path), subject, clip=0, settings=settings)
    render_video(video, folder / f"{subject}.mp4", folder / "truth" / f"{subject}.npz")
    return settings.frames


@functools.cache
def _detector():
    return load_backend("mediapipe")


def render_faces(model_path: Path, people: range, settings: TrainingFaceSettings) -> int:
    """Render, find, align and encode the training faces of some people and return how many were found."""
    import cv2

    cv2.setNumThreads(1)
    samples = render_samples(
        _model(model_path), _detector(), people, seed=0, settings=settings, skins=None, jpeg_quality=92
    )
    return len(samples)


def measure_training_faces(
    model: MorphableModel, processes: int, people: int, settings: TrainingFaceSettings | None = None
) -> dict[str, float]:
    """Training faces per second, from the drawing of a person to the aligned JPEG, with `processes` processes and with
    one alone, warmed up. Skin is painted; that of photographs takes less time."""
    settings = settings or TrainingFaceSettings()
    with tempfile.TemporaryDirectory() as name:
        model_path = Path(name) / "model.npz"
        model.save(model_path)
        rates = {}
        for workers in (1, processes):
            with ProcessPoolExecutor(workers) as pool:
                for future in [pool.submit(render_faces, model_path, range(1), settings) for _ in range(2 * workers)]:
                    future.result()
                start = time.perf_counter()
                jobs = [range(first, min(first + _PEOPLE_A_JOB, people)) for first in range(0, people, _PEOPLE_A_JOB)]
                futures = [pool.submit(render_faces, model_path, job, settings) for job in jobs]
                faces = sum(future.result() for future in futures)
                rates[workers] = faces / (time.perf_counter() - start)
    return {
        "training_faces_per_second": rates[processes],
        "training_faces_per_second_one_process": rates[1],
    }


def measure(model: MorphableModel, processes: int, videos: int, settings: SyntheticVideoSettings) -> dict[str, float]:
    """Frames per second of rendering videos to H.264 files with `processes` processes, warmed up, and of one alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model_path = folder / "model.npz"
        model.save(model_path)
        rates = {}
        for workers in (1, processes):
            with ProcessPoolExecutor(workers) as pool:
                # The first clips load the model and compile the kernels.
                warm_up = [
                    pool.submit(render_clip, model_path, folder, videos + k, SyntheticVideoSettings(frames=5))
                    for k in range(2 * workers)
                ]
                for future in warm_up:
                    future.result()
                start = time.perf_counter()
                clips = [pool.submit(render_clip, model_path, folder, subject, settings) for subject in range(videos)]
                frames = sum(future.result() for future in clips)
                rates[workers] = frames / (time.perf_counter() - start)
    return {
        "frames_per_second": rates[processes],
        "frames_per_second_one_process": rates[1],
        "processes": processes,
        "image_size": settings.size,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--model", type=Path, help="a built model.npz; built anew otherwise")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--people", type=int, default=40, help="who are rendered as training faces, 8 images each")
    arguments = parser.parse_args()
    model = MorphableModel.load(arguments.model) if arguments.model else build_embedded_model()
    settings = SyntheticVideoSettings(frames=30 * _SECONDS_OF_VIDEO)
    figures = measure(model, arguments.processes, arguments.videos, settings)
    figures |= measure_training_faces(model, arguments.processes, arguments.people)
    for name, value in figures.items():
        print(f"{name:40} {value:10.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
