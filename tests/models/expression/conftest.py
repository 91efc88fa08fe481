"""A little data set whose images show their expression: quick to learn, and impossible to guess."""

import numpy as np
import pytest

from models.expression.settings import Augmentation, Hardware, Optimisation, TrainingSettings
from models.expression.shards import Sample, write_shards

PATCHES = 6


def patterned_image(expression: np.ndarray) -> np.ndarray:
    """A 224x224 chequered image whose first patches are as bright as the first coefficients are large."""
    cells = np.full(36, 0.5)
    cells[: 2 * PATCHES : 2] = 0.5 + 0.2 * expression[:PATCHES]
    pixels = np.kron(cells.reshape(6, 6), np.ones((38, 38)))[:224, :224]
    return (np.clip(pixels, 0, 1)[..., None] * 255).repeat(3, axis=2).astype(np.uint8)


def make_patterned_samples(count: int, seed: int, hidden: float = 0.0) -> list[Sample]:
    """Samples whose images show six coefficients; two more, of standard deviation `hidden`, only the landmarks show."""
    rng = np.random.default_rng(seed)
    expressions = np.zeros((count, 28), np.float32)
    expressions[:, :PATCHES] = rng.normal(size=(count, PATCHES))
    expressions[:, PATCHES : PATCHES + 2] = hidden * rng.normal(size=(count, 2))
    # The detector sees two coefficients that the image does not show.
    landmarks = np.tile(np.linspace(40, 180, 68)[:, None], (count, 1, 2)) + rng.normal(size=(count, 68, 2))
    landmarks[:, :30] += 10 * expressions[:, None, PATCHES : PATCHES + 2]
    return [
        Sample(patterned_image(expression), expression, points, f"video-{index // 8}", index % 8)
        for index, (expression, points) in enumerate(zip(expressions, landmarks, strict=True))
    ]


@pytest.fixture(scope="session")
def patterned_samples():
    """Function of a count and a seed that gives samples."""
    return make_patterned_samples


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Folder with `train` (96 samples) and `val` (32 samples)."""
    folder = tmp_path_factory.mktemp("shards")
    write_shards(make_patterned_samples(96, seed=0), folder / "train", chunk_mb=0.05, jpeg_quality=90)
    write_shards(make_patterned_samples(32, seed=1), folder / "val", chunk_mb=0.05, jpeg_quality=90)
    return folder


@pytest.fixture(scope="session")
def quick_settings() -> TrainingSettings:
    return TrainingSettings(
        backbone="resnet18_half",
        input_size=28,
        landmark_input=False,
        batch_size=16,
        max_epochs=12,
        max_steps=None,
        max_minutes=None,
        gradient_clip=1.0,
        ema_decay=0.0,
        checkpoint_every_steps=4,
        uncertainty_weights=True,
        optimisation=Optimisation("squared_l2", 3e-3, 0.01, "cosine", 5),
        augmentation=Augmentation(0.005, 0.5, 0.005, 0.01, 0.02, 0.02, 0.1, 0.01, 0.0, 0.0, 0.0),
    )


@pytest.fixture(scope="session")
def one_cpu() -> Hardware:
    return Hardware(accelerator="cpu", devices=1, precision="32-true", workers=0)
