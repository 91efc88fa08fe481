"""How long it takes to read one face: `python -m benchmarks.inference --json FILE`.

Networks with random weights are timed, since time does not depend on what they have learnt. All figures are of one
image at a time, as a camera gives them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.expression.alignment import IMAGE_SIZE

THREADS = 2
WARM_UP, REPEATS = 5, 40
NETWORKS = {"resnet50": ("resnet50", 224), "small": ("resnet18_half", 112)}

COLD_START = """
import time
started = time.perf_counter()
import sys
import numpy as np
from models.expression import Predictor
predictor = Predictor.load(sys.argv[1], features_only=True)
image = np.load(sys.argv[2], allow_pickle=False)
predictor(image)
first = time.perf_counter() - started
for _ in range(20):
    predictor(image)
# The kernel's own high-water mark of this program; getrusage would count the parent's memory before the exec.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(first, int(status["VmHWM"].split()[0]) / 1024)
"""


def median_ms(work: Callable[[], object]) -> float:
    """Median wall time of a call, milliseconds, after some that do not count."""
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1e3 * float(np.median(times))


def export_random_network(backbone: str, input_size: int, folder: Path) -> None:
    """Export an untrained network for the embedded face model's dimensions."""
    import torch

    from models.expression.contract import NetworkContract
    from models.expression.export import export_onnx
    from models.expression.network import ExpressionNetwork, save_network

    torch.manual_seed(0)
    basis = np.zeros((68, 3, 28))
    points = np.random.default_rng(0).normal(size=(68, 3)) * 40
    contract = NetworkContract(
        backbone=backbone,
        input_size=input_size,
        template=template_of_a_face(),
        expression_std=np.ones(28),
        landmark_mean=points,
        landmark_expression_basis=basis,
        interocular_distance=90.0,
        face_model="none",
        vertices=1,
    )
    save_network(ExpressionNetwork(backbone, input_size, 28).eval(), contract, folder)
    export_onnx(folder, folder, opset=17)


def template_of_a_face() -> np.ndarray:
    """Landmarks (68, 2) of the photograph, scaled to fill an aligned image."""
    points = detected_face().points.astype(float)
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - low) / (high - low).max() * 0.7 * IMAGE_SIZE + 0.15 * IMAGE_SIZE


def photograph() -> np.ndarray:
    """A portrait in the public domain, 512x512, that comes with scikit-image."""
    import skimage.data

    return skimage.data.astronaut()


def detected_face():
    """The face in the photograph."""
    from models.landmarks.backend import load_backend

    return load_backend("mediapipe").detect(photograph())[0]


def time_networks(folder: Path) -> dict[str, float]:
    """Milliseconds and images a second of each network under either runtime."""
    from models.expression.runtime import RUNTIMES, NetworkSession

    image = photograph()[None, :IMAGE_SIZE, :IMAGE_SIZE]
    figures = {}
    for name, (backbone, input_size) in NETWORKS.items():
        export_random_network(backbone, input_size, folder / name)
        for runtime in RUNTIMES:
            session = NetworkSession.load(folder / name / "network.onnx", runtime=runtime, threads=THREADS)
            figures[f"{name}_{runtime}_ms"] = median_ms(lambda session=session: session(image))
        figures[f"{name}_ms"] = figures[f"{name}_openvino_ms"]
        figures[f"{name}_fps"] = 1e3 / figures[f"{name}_ms"]
    return figures


def time_landmarks() -> dict[str, float]:
    """Milliseconds to find a face anew, and to follow it."""
    from models.landmarks.backend import load_backend

    backend, image = load_backend("mediapipe"), photograph()
    faces = backend.detect(image)
    return {
        "landmarks_detect_ms": median_ms(lambda: backend.detect(image)),
        "landmarks_ms": median_ms(lambda: backend.follow(image, faces)),
    }


def time_whole_way(folder: Path) -> dict[str, float]:
    """Milliseconds from a video frame to expression and pose: follow, align, network, pose."""
    from models.expression import Predictor

    image = photograph()
    figures = {}
    for name in NETWORKS:
        predictor = Predictor.load(folder / name, features_only=True, threads=THREADS)
        faces = predictor.backend.detect(image)

        def frame(predictor=predictor, faces=faces):
            return predictor.read(image, predictor.backend.follow(image, faces))

        figures[f"{name}_frame_ms"] = median_ms(frame)
    return figures


def time_cold_start(folder: Path) -> dict[str, float]:
    """Seconds from the start of Python to the first answer, and the peak memory of that process."""
    picture = folder / "image.npy"
    np.save(picture, photograph())
    command = [sys.executable, "-c", COLD_START, str(folder / "small"), str(picture)]
    started = time.perf_counter()
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    elapsed = time.perf_counter() - started
    return {
        "cold_start_s": float(output[0]),
        "cold_start_with_20_more_images_s": elapsed,
        "peak_memory_mb": float(output[1]),
    }


def main() -> None:
    """Measure, print a table, write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures as one flat JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = {"threads": THREADS, **time_networks(folder), **time_landmarks(), **time_whole_way(folder)}
        figures |= time_cold_start(folder)
    for name, value in figures.items():
        print(f"{name:<36}{value:10.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
