"""How fast synthetic videos are rendered: `python -m benchmarks.rendering --json FILE`."""

import argparse
import functools
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from models.morphable_model import MorphableModel
from models.morphable_model.embedded import build_embedded_model
from models.rendering.settings import SyntheticVideoSettings
from models.rendering.synthetic_video import render_video, synthesise_video

_SECONDS_OF_VIDEO = 5


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
    arguments = parser.parse_args()
    model = MorphableModel.load(arguments.model) if arguments.model else build_embedded_model()
    settings = SyntheticVideoSettings(frames=30 * _SECONDS_OF_VIDEO)
    figures = measure(model, arguments.processes, arguments.videos, settings)
    for name, value in figures.items():
        print(f"{name:32} {value:10.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
