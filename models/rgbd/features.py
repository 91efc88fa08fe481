"""What pretrained networks say of images, computed once and kept: 200 repeats of a protocol ask for the same images."""

import hashlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from models.rgbd.backbones import Backbone
from models.storage import load_arrays, save_arrays

log = logging.getLogger(__name__)

# Images that go through a network together, and that are computed before what was found is written.
BATCH = 16
SAVED_TOGETHER = 480

Progress = Callable[[Iterable, str, int | None], Iterable]


def backbone_features(
    images: np.ndarray,
    backbone: Backbone,
    *,
    cache: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> np.ndarray:
    """Globally average-pooled features (F, D) float32 of images (F, S, S, 3) uint8.

    Parameters
    ----------
    cache : folder that keeps features, in a file for each set of weights that knows images by their hash; images that
        are not yet in it are added. None keeps nothing
    device : that the network runs on
    progress : wraps what is gone through, given it, its name and its length; may show a bar
    """
    import torch

    show = progress or (lambda items, name, total: items)
    digests = [hashlib.sha256(np.ascontiguousarray(image)).hexdigest() for image in images]
    path = None if cache is None else cache / f"{backbone.name}-{backbone.digest[:16]}.npz"
    known = _read(path)
    unseen = list({digest: place for place, digest in enumerate(digests) if digest not in known}.values())
    batches = [unseen[start : start + BATCH] for start in range(0, len(unseen), BATCH)]
    trunk = backbone.trunk.to(device)
    since = 0
    for batch in show(batches, f"features of {backbone.name}", len(batches)) if batches else ():
        with torch.inference_mode():
            values = trunk(torch.from_numpy(images[batch]).to(device)).cpu().numpy()
        known |= {digests[place]: value for place, value in zip(batch, values, strict=True)}
        since += len(batch)
        if since >= SAVED_TOGETHER:
            _write(path, known)
            since = 0
    if since:
        _write(path, known)
    return np.stack([known[digest] for digest in digests])


def grey_images(depth: np.ndarray) -> np.ndarray:
    """Depth (F, S, S) uint8 as images (F, S, S, 3) uint8, for networks that expect photographs."""
    return np.repeat(depth[..., None], 3, axis=-1)


def _read(path: Path | None) -> dict[str, np.ndarray]:
    if path is None or not path.exists():
        return {}
    try:
        arrays = load_arrays(path)
        return {str(digest): value for digest, value in zip(arrays["sha256"], arrays["features"], strict=True)}
    except (ValueError, KeyError, OSError, EOFError) as error:
        log.warning("%s: not readable (%s); the features are computed again.", path, error)
        return {}


def _write(path: Path | None, known: dict[str, np.ndarray]) -> None:
    if path is not None:
        digests = sorted(known)
        save_arrays(path, sha256=np.array(digests), features=np.stack([known[digest] for digest in digests]))
