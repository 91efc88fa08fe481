"""How long it takes to read one face: `python -m benchmarks.inference --json FILE`.

Prints the paper's Table II with this machine's figures beside the published ones: ours in video mode (threads side by
side), with a camera (one step after another) and for a photograph (decoded, its face looked for anew), MediaPipe's Face
Landmarker with blendshapes, the per-image 3DMM fit, and eos where it is installed. All use two threads and pictures of
640x360. Times are the least of several: run it on a machine that does nothing else.

Networks that are not shipped are timed with random weights, and `NAME_random_weights` says so.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from benchmarks.inference.command import measure_command
from benchmarks.inference.networks import int8_relative_mse, networks_to_time, time_network
from benchmarks.inference.peers import time_peers
from benchmarks.inference.steps import clip_frames, time_steps, time_video
from benchmarks.inference.table import table_two
from models.morphable_model import MorphableModel
from models.morphable_model.embedded import build_embedded_model

THREADS = 2


def measure(model: MorphableModel, project: Path, scratch: Path) -> dict[str, float]:
    """All figures by their keys."""
    path, frames = clip_frames()
    figures: dict[str, float] = {"threads": THREADS, "load_average": os.getloadavg()[0]}
    for network in networks_to_time(model, project, scratch):
        name = network.name
        figures |= time_network(network, THREADS)
        figures |= {
            f"{name}_{key}": value for key, value in time_steps(network.folder, frames[0], THREADS, scratch).items()
        }
        fps, processor_ms = time_video(network.folder, path, frames, THREADS, decode=False)
        figures |= {f"{name}_fps": fps, f"{name}_processor_ms_a_frame": processor_ms}
        figures[f"{name}_fps_with_decoding"] = time_video(network.folder, path, frames, THREADS, decode=True)[0]
        figures |= {
            key if name == "resnet50" else f"{name}_{key}": value
            for key, value in measure_command(network.folder, scratch / "picture.jpg", path, THREADS).items()
        }
        increase = int8_relative_mse(network, project)
        if increase is not None:
            figures["int8_relative_mse"] = max(increase, figures.get("int8_relative_mse", increase))
            figures[f"{name}_int8_relative_mse"] = increase
    figures["resnet50_ms"] = figures["resnet50_network_ms"]
    figures["landmarks_ms"] = figures["resnet50_landmarks_ms"]
    return figures | time_peers(frames[0].image, model)


def main() -> None:
    """Measure, print the tables, write the JSON file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.inference", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures as one flat JSON object")
    parser.add_argument("--project", type=Path, default=Path(), help="a project, for its face model and training data")
    arguments = parser.parse_args()
    made = arguments.project / "data" / "morphable_model" / "model.npz"
    model = MorphableModel.load(made) if made.exists() else build_embedded_model()
    with tempfile.TemporaryDirectory() as name:
        figures = measure(model, arguments.project, Path(name))
    for key, value in figures.items():
        print(f"{key:<36}{value:>12.3f}")
    print("\n" + table_two(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
