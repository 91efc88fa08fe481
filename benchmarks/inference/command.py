"""The command line from its start to its end: what a user waits for, and how much memory it takes."""

import subprocess
import sys
import time
from pathlib import Path

RUNS = 3
WATCH_EVERY = 0.005  # seconds


def measure_command(folder: Path, picture: Path, video: str, threads: int) -> dict[str, float]:
    """Seconds from the start of `deepexp3d predict PHOTO` to its end, the least of some; and the most memory, MB, that
    it takes for the photograph and for a video."""
    command = [Path(sys.executable).with_name("deepexp3d"), "predict", "--model", folder, "--threads", str(threads)]
    photograph = [_run([*command, picture]) for _ in range(RUNS)]
    film = _run([*command, video])
    return {
        "cold_start_s": min(seconds for seconds, _ in photograph),
        "photograph_memory_mb": photograph[0][1],
        "peak_memory_mb": max(photograph[0][1], film[1]),
    }


def _run(command: list) -> tuple[float, float]:
    """Seconds and megabytes of a program.

    The kernel's own high-water mark of the program itself is asked for, again and again while it runs: what it reports
    afterwards would count this program's memory before the new one took its place.
    """
    started = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0.0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        most = max([most, *(float(line.split()[1]) / 1024 for line in status.splitlines() if "VmHWM" in line)])
        time.sleep(WATCH_EVERY)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with status {process.returncode}.")
    return time.perf_counter() - started, most
