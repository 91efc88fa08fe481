"""How fast a fit is, how its time grows, and how much memory it takes."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.fitting import FitSettings, fit_video
from models.fitting.simulation import SimulationSettings, simulate_video
from models.morphable_model import MorphableModel
from models.storage import save_arrays

SEED = 5
SHORT, LONG, VERY_LONG = 2_000, 10_000, 100_000

# Loads, fits, and reports what the fit took and the kernel's own high-water mark of the process; getrusage would count
# the parent's memory before the exec.
FIT_ALONE = """
import sys, time
from models.fitting import fit_video
from models.morphable_model import MorphableModel
from models.storage import load_arrays
model, landmarks = MorphableModel.load(sys.argv[1]), load_arrays(sys.argv[2])["landmarks"]
started = time.perf_counter()
fit_video(landmarks, model)
seconds = time.perf_counter() - started
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(seconds, int(status["VmHWM"].split()[0]) / 1024)
"""


def measure_speed(
    model: MorphableModel, model_file: Path, quick: bool, very_long: bool, progress: Callable[[str], None]
) -> dict[str, float]:
    """Keys under "Speed and memory" of the package's docstring."""
    repeats = 1 if quick else 5
    figures = {"cores": float(len(os.sched_getaffinity(0))), "load_average": os.getloadavg()[0]}
    short, long = (simulate_video(model, SimulationSettings(frames=frames), SEED).landmarks for frames in (SHORT, LONG))
    seconds = median_seconds(lambda: fit_video(short, model), repeats)
    progress(f"{SHORT / seconds:.0f} frames a second")
    certain = median_seconds(lambda: fit_video(short, model, FitSettings(uncertainty=True)), repeats)
    figures |= {
        "frames_per_second": SHORT / seconds,
        "frames_per_second_with_uncertainty": SHORT / certain,
        "time_ratio_10000_to_2000": median_seconds(lambda: fit_video(long, model), repeats) / seconds,
        "peak_memory_mb": fit_in_a_process(model_file, long)[1],
    }
    progress(f"{LONG} frames take {figures['time_ratio_10000_to_2000']:.1f} times as long as {SHORT}")
    if very_long:
        landmarks = simulate_video(model, SimulationSettings(frames=VERY_LONG), SEED).landmarks
        figures["seconds_100000"], figures["peak_memory_mb_100000"] = fit_in_a_process(model_file, landmarks)
        progress(f"{VERY_LONG} frames take {figures['peak_memory_mb_100000']:.0f} MB")
    return figures


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of a call, after one that does not count."""
    work()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def fit_in_a_process(model_file: Path, landmarks: np.ndarray) -> tuple[float, float]:
    """Seconds of the fit and peak memory in MB of a fresh process that loads model and landmarks and fits them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "landmarks.npz"
        save_arrays(path, landmarks=landmarks)
        command = [sys.executable, "-c", FIT_ALONE, str(model_file), str(path)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, megabytes = map(float, printed.split()[-2:])
    return seconds, megabytes
