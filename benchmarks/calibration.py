"""What knowing a person's face at rest is worth: `python -m benchmarks.calibration --model NAME --json FILE`.

Rendered people of no training set, one video each, whose true expressions are known, go through `deepexp3d predict`'s
own code three times: as they are (key `mse_plain`), less the expression of one neutral photograph of the person
(`mse_neutral`), and less the rest expression found in the video itself (`mse_rest`). Errors are mean squares, in
standard deviations of the face model; `gain_neutral` and `gain_rest` are the shares by which they fall.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.expression.prediction import PredictionSettings, predict_frames
from models.expression.predictor import Predictor
from models.expression.sources import SourceFrame
from models.morphable_model import MorphableModel
from models.morphable_model.embedded import build_embedded_model
from models.rendering.settings import SyntheticVideoSettings
from models.rendering.synthetic_video import SyntheticVideo, synthesise_video

SEED = 20_003
FILMED = SyntheticVideoSettings(size=360, occluder_share=0.0, interruption_share=0.0)


def measure(predictor: Predictor, model: MorphableModel, people: int, frames: int) -> dict[str, float]:
    """Errors of all ways, over all people in whose neutral photograph a face is found."""
    squares: dict[str, list[np.ndarray]] = {"plain": [], "neutral": [], "rest": []}
    for person in range(people):
        video = synthesise_video(model, person, clip=0, seed=SEED, settings=replace(FILMED, frames=frames))
        photographed = predictor(neutral_photograph(model, person))
        if not photographed:
            continue
        pictures = list(video.images())
        truth = video.expression / model.expression_std
        ways = {
            "plain": PredictionSettings(),
            "neutral": PredictionSettings(neutral=photographed[0].expression_whitened),
            "rest": PredictionSettings(calibrate_rest=True),
        }
        for way, settings in ways.items():
            for frame in predict_frames(_frames(pictures), predictor, settings):
                if frame.faces:
                    found = next(iter(frame.faces.values())).expression_whitened
                    squares[way].append(np.mean((found - truth[frame.source.index]) ** 2))
    errors = {way: float(np.mean(values)) for way, values in squares.items()}
    gains = {f"gain_{way}": 1 - errors[way] / errors["plain"] for way in ("neutral", "rest")}
    return {f"mse_{way}": error for way, error in errors.items()} | gains


def neutral_photograph(model: MorphableModel, person: int) -> np.ndarray:
    """A picture (360, 360, 3) of the person of `synthesise_video`, at rest, looking at another camera."""
    settings = replace(FILMED, frames=2, largest_yaw=10.0, largest_pitch=5.0, largest_roll=5.0)
    video: SyntheticVideo = synthesise_video(model, person, clip=1, seed=SEED, settings=settings)
    return replace(video, expression=np.zeros_like(video.expression)).render(0)[0]


def _frames(pictures: list[np.ndarray]) -> Iterator[SourceFrame]:
    for index, picture in enumerate(pictures):
        time = index / FILMED.frames_per_second
        yield SourceFrame("rendered", index, time, picture, picture.shape[:2], np.ones(2))


def main() -> None:
    """Measure, print the figures, write the JSON file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calibration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", help="a shipped network or a folder, as for deepexp3d predict")
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--frames", type=int, default=150, help="of each video")
    parser.add_argument("--json", type=Path, help="write the figures as one flat JSON object")
    parser.add_argument("--project", type=Path, default=Path(), help="a project, for its face model")
    arguments = parser.parse_args()
    made = arguments.project / "data" / "morphable_model" / "model.npz"
    model = MorphableModel.load(made) if made.exists() else build_embedded_model()
    predictor = Predictor.load(arguments.model, features_only=True)
    figures = measure(predictor, model, arguments.people, arguments.frames)
    for name, value in figures.items():
        print(f"{name:<16}{value:>8.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
