"""How fast training images are read from shards: `python -m benchmarks.training_input --json FILE`."""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.expression.alignment import IMAGE_SIZE
from models.expression.loading import shard_loader
from models.expression.shards import Sample, write_shards

SAMPLES, BATCH = 2000, 64


def photographs() -> Iterator[Sample]:
    """Shifted and tinted cuts of a photograph: as hard to compress as faces are."""
    import skimage.data

    image = skimage.data.astronaut()
    rng = np.random.default_rng(0)
    for index in range(SAMPLES):
        top, left = rng.integers(0, 512 - IMAGE_SIZE, 2)
        cut = image[top : top + IMAGE_SIZE, left : left + IMAGE_SIZE] * rng.uniform(0.6, 1.0, 3)
        landmarks = rng.uniform(0, IMAGE_SIZE, (68, 2))
        yield Sample(cut.astype(np.uint8), rng.normal(size=28), landmarks, f"video-{index // 100}", index % 100)


def images_per_second(folder: Path, input_size: int) -> float:
    """Decoded, shrunk and collated images a second in this process alone."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    loader = shard_loader(folder, batch_size=BATCH, workers=0, shuffle=True, seed=0, input_size=input_size)
    for _ in loader:
        pass
    started = time.process_time()
    count = sum(len(batch["image"]) for batch in loader)
    return count / (time.process_time() - started)


def main() -> None:
    """Measure, print a table, write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures as one flat JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "shards"
        started = time.process_time()
        write_shards(photographs(), folder, chunk_mb=16, jpeg_quality=90)
        written = SAMPLES / (time.process_time() - started)
        size = sum(file.stat().st_size for file in folder.iterdir()) / SAMPLES
        figures = {
            "images_per_second_per_core": images_per_second(folder, 224),
            "images_per_second_per_core_at_112": images_per_second(folder, 112),
            "images_written_per_second": written,
            "bytes_per_image": size,
        }
    for name, value in figures.items():
        print(f"{name:<36}{value:10.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
