"""What the HTTP service can take: `python -m benchmarks.serving --json FILE`.

Starts `deepexp3d serve` as a process and lets some clients, each with one connection, send photographs as fast as they
are answered. Prints images a second, latencies, errors, and the server's memory with its slope after the warm-up. In
the same minutes, before and after, a `Predictor` is called in a loop on the same files: on a machine that does other
things too, only the ratio of the two says something.

The photographs are those of the folder in the variable LONDON_FACES, else rendered faces. Without `--model` a ResNet-50
is measured: the shipped one, else an untrained one of the same speed, and `random_weights` says so.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path

import numpy as np
import psutil

from models.expression.images import read_image
from models.expression.predictor import Predictor
from models.morphable_model import MorphableModel
from models.morphable_model.embedded import build_embedded_model

PICTURES = 40
RENDERED_SIDE = 512
SEED = 61
# Shares of the time for the loop before and after, and for a warm-up that memory is not judged by.
LOOP_SHARE, WARM_UP_SHARE = 0.1, 0.1
STARTS_WITHIN_S = 120
CLIENT_TIMEOUT_S = 60
WATCH_EVERY_S = 1.0


@dataclass
class Load:
    """What clients saw. `latency_s` of answers with status 200 and `finished_s` when they came; `errors` of others."""

    latency_s: list[float] = field(default_factory=list)
    finished_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Memory:
    """Resident megabytes of the server and when each was read."""

    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)


def photographs(model: MorphableModel, folder: Path) -> list[Path]:
    """Photographs of London's people where they are at hand, else rendered ones, written to `folder`."""
    if london := os.environ.get("LONDON_FACES"):
        from models.expression.neutral_smile import paired_photographs

        return [photograph.path for photograph in paired_photographs(Path(london))][:PICTURES]
    from PIL import Image

    from models.morphable_model.expressions import EMOTION_PROTOTYPES
    from models.rendering.settings import SyntheticImageSettings
    from models.rendering.synthetic_images import render_emotion_image

    settings = SyntheticImageSettings(size=RENDERED_SIDE)
    emotions = cycle(EMOTION_PROTOTYPES)
    paths = [folder / f"{number:02d}.jpg" for number in range(PICTURES)]
    for number, (path, emotion) in enumerate(zip(paths, emotions, strict=False)):
        picture = render_emotion_image(model, emotion, number, seed=SEED, settings=settings)
        Image.fromarray(picture.image).save(path, quality=92)
    return paths


@contextmanager
def server(folder: Path, log: Path) -> Iterator[tuple[psutil.Process, str, int]]:
    """Context: the service as a process, with its address and port.

    Raises
    ------
    RuntimeError
        It does not start.
    """
    program = str(Path(sys.executable).with_name("deepexp3d"))
    with open(log, "w") as output:
        command = [program, "serve", "--model", str(folder), "--port", "0"]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + STARTS_WITHIN_S
        while not (lines := [line for line in log.read_text().splitlines() if '"serving"' in line]):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the service did not start:\n{log.read_text()}")
            time.sleep(0.1)
        host, port = json.loads(lines[0])["url"].removeprefix("http://").split(":")
        yield psutil.Process(process.pid), host, int(port)
    finally:
        process.terminate()
        process.wait(CLIENT_TIMEOUT_S)


def send_load(host: str, port: int, pictures: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Photographs from some clients at once, each sending its next as soon as the last is answered."""
    load, numbers = Load(), count()
    end = time.perf_counter() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection(host, port, timeout=CLIENT_TIMEOUT_S)
        while (started := time.perf_counter()) < end:
            picture = pictures[next(numbers) % len(pictures)]
            try:
                connection.request("POST", "/predict", picture, {"Content-Type": "image/jpeg"})
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                load.errors.append(repr(error))
                connection.close()
                continue
            finished = time.perf_counter()
            if answer.status == 200 and json.loads(body)["faces"]:
                load.latency_s.append(finished - started)
                load.finished_s.append(finished)
            else:
                load.errors.append(f"{answer.status} {body[:200].decode(errors='replace')}")
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


@contextmanager
def watched(process: psutil.Process) -> Iterator[Memory]:
    """Context: the memory of a process, read every second."""
    memory, stopped = Memory(), threading.Event()

    def watch() -> None:
        while not stopped.wait(WATCH_EVERY_S):
            memory.seconds.append(time.perf_counter())
            memory.megabytes.append(process.memory_info().rss / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        stopped.set()
        thread.join()


def loop_rate(folder: Path, paths: Sequence[Path], seconds: float) -> float:
    """Images a second of a `Predictor` that is called in a loop, decoding included."""
    predictor = Predictor.load(folder, threads=len(os.sched_getaffinity(0)))
    predictor(read_image(paths[0]))
    started, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        predictor(read_image(paths[done % len(paths)]))
        done += 1
    return done / elapsed


def measure(folder: Path, paths: Sequence[Path], clients: int, seconds: float, log: Path) -> dict[str, float]:
    """All figures by their keys."""
    pictures = [path.read_bytes() for path in paths]
    loops = [loop_rate(folder, paths, seconds * LOOP_SHARE)]
    with server(folder, log) as (process, host, port):
        send_load(host, port, pictures, clients, max(3.0, seconds * WARM_UP_SHARE))
        before, own_before = process.cpu_times(), time.process_time()
        started = time.perf_counter()
        with watched(process) as memory:
            load = send_load(host, port, pictures, clients, seconds)
        elapsed = time.perf_counter() - started
        after, own = process.cpu_times(), time.process_time() - own_before
        handles = process.num_fds()
    loops.append(loop_rate(folder, paths, seconds * LOOP_SHARE))
    for error in load.errors[:5]:
        print(f"error: {error}", file=sys.stderr)
    answered = max(1, len(load.latency_s))
    milliseconds = 1000 * np.array(load.latency_s or [np.nan])
    busy = after.user + after.system - before.user - before.system
    minutes = np.array(memory.seconds) / 60
    return {
        "images_per_second": len(load.latency_s) / elapsed,
        "loop_images_per_second": float(np.mean(loops)),
        "ratio_to_loop": len(load.latency_s) / elapsed / float(np.mean(loops)),
        **{f"p{share}_ms": float(np.percentile(milliseconds, share)) for share in (50, 95, 99)},
        "largest_ms": float(milliseconds.max()),
        "images": len(load.latency_s),
        "errors": len(load.errors),
        "memory_start_mb": memory.megabytes[0],
        "memory_end_mb": memory.megabytes[-1],
        "memory_slope_mb_per_minute": float(np.polyfit(minutes, memory.megabytes, 1)[0]),
        "open_files": handles,
        "server_processor_ms_an_image": 1000 * busy / answered,
        "clients_processor_ms_an_image": 1000 * own / answered,
        "processors_had": (busy + own) / elapsed,
        "clients": clients,
        "seconds": elapsed,
        "threads": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    """Measure, print, write the JSON file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures as one flat JSON object")
    parser.add_argument("--model", help="name or folder of the network; by default a ResNet-50")
    parser.add_argument("--seconds", type=float, default=60.0, help="of load")
    parser.add_argument("--clients", type=int, default=16, help="at the same time")
    parser.add_argument("--project", type=Path, default=Path(), help="a project, for its face model")
    arguments = parser.parse_args()
    from benchmarks.inference.networks import network_to_time
    from models.expression.shipped import model_folder

    made = arguments.project / "data" / "morphable_model" / "model.npz"
    face_model = MorphableModel.load(made) if made.exists() else build_embedded_model()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if arguments.model:
            folder, untrained = model_folder(arguments.model), False
        else:
            network = network_to_time("resnet50", face_model, arguments.project, scratch)
            folder, untrained = network.folder, network.random_weights
        paths = photographs(face_model, scratch)
        figures = measure(folder, paths, arguments.clients, arguments.seconds, scratch / "service.log")
    figures["random_weights"] = untrained
    for key, value in figures.items():
        print(f"{key:<32}{value:>12.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
