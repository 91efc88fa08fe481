"""Training samples in LitData chunks: a few large files instead of millions of small ones.

A sample on disk is an aligned face as JPEG, the landmarks found in it, its expression in standard deviations and how
uncertain each coefficient is, its weight and where it comes from.
Chunks of the same samples have the same bytes, whenever and wherever they are written.
"""

import errno
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from models.errors import DiskFullError, ImageError, ModelMismatchError
from models.expression.alignment import IMAGE_SIZE

INDEX = "index.json"
# LitData's name for the way in which each value of a record is stored. Older releases wrote other records.
FORMATS = {
    "image": "bytes",
    "expression": "no_header_numpy",
    "landmarks": "no_header_numpy",
    "uncertainty": "no_header_numpy",
    "weight": "float",
    "video_id": "bytes",
    "frame": "int",
}


@dataclass(frozen=True)
class Sample:
    """One training image.

    Attributes
    ----------
    image : (224, 224, 3) uint8 aligned face, or such an image as JPEG, which is kept as it is
    expression : (n_e,) in standard deviations
    landmarks : (68, 2) what the detector found, pixels of `image`; points may lie outside of it
    video_id, frame : where it comes from
    weight : how much its error counts; 1 is ordinary
    uncertainty : (n_e,) posterior standard deviation of each coefficient, in the units of `expression`; kept in half
        precision. None says that the expression is exact
    """

    image: np.ndarray | bytes
    expression: np.ndarray
    landmarks: np.ndarray
    video_id: str
    frame: int
    weight: float = 1.0
    uncertainty: np.ndarray | None = None


def write_shards(samples: Iterable[Sample], folder: Path | str, *, chunk_mb: float, jpeg_quality: int) -> int:
    """Write samples, in the order given, as LitData chunks; return how many there were.

    The folder appears whole or not at all; one that exists is replaced once the new one is complete.

    Raises
    ------
    ImageError
        A sample is not an aligned uint8 image with 68 finite landmarks, a finite expression vector and, if any, finite
        uncertainties of the same length, or there is no sample at all.
    DiskFullError
        No space left.
    """
    from litdata.streaming.writer import BinaryWriter

    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_remains(folder)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        writer = BinaryWriter(str(building), chunk_bytes=int(chunk_mb * 2**20))
        count = 0
        for count, sample in enumerate(samples, 1):
            writer.add_item(count - 1, _record(sample, jpeg_quality))
        if not count:
            raise ImageError(f"{folder}: there is no sample to write; every video was refused or pruned.")
        writer.done()
        writer.merge(1)
        _drop_timestamp(building / INDEX)
        _replace_folder(building, folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"{folder}: no space left on the disk; free some and run again.") from error
        raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return count


def read_samples(folder: Path | str) -> Iterator[Sample]:
    """The samples of a folder, in the order in which they were written.

    Raises
    ------
    ModelMismatchError
        The folder holds no such chunks.
    """
    dataset = shard_dataset(folder, shuffle=False, seed=0, input_size=IMAGE_SIZE)
    for index in range(len(dataset)):
        item = dataset[index]
        yield Sample(
            image=item["image"],
            expression=item["expression"],
            landmarks=item["landmarks"],
            video_id=item["video_id"],
            frame=int(item["frame"]),
            weight=float(item["weight"]),
            uncertainty=item["uncertainty"].astype(np.float32),
        )


def shard_dataset(folder: Path | str, *, shuffle: bool, seed: int, input_size: int):
    """A `litdata.StreamingDataset` over the chunks; items are dicts with an (S, S, 3) uint8 image.

    The order depends on `seed` and the epoch alone, so that a loader can stop in the middle of an epoch and go on.

    Raises
    ------
    ModelMismatchError
        The folder holds no such chunks.
    """
    from litdata import StreamingDataset

    folder = Path(folder)
    _check_index(folder)
    return StreamingDataset(
        str(folder.resolve()),
        shuffle=shuffle,
        seed=seed,
        drop_last=False,
        # A bound for copies of remote chunks; these are read where they lie, but LitData would speak of it every epoch.
        max_cache_size="100GB",
        transform=partial(_decoded, input_size=input_size),
    )


def shard_loader(folder: Path | str, *, batch_size: int, workers: int, shuffle: bool, seed: int, input_size: int):
    """A `litdata.StreamingDataLoader`, whose place within an epoch is part of a training checkpoint.

    Batches are dicts: image (B, S, S, 3) uint8, landmarks (B, 68, 2) float32 in pixels of the 224x224 image whatever S
    is, expression and uncertainty (B, n_e) float32, weight (B,), video_id, frame.
    """
    from litdata import StreamingDataLoader

    dataset = shard_dataset(folder, shuffle=shuffle, seed=seed, input_size=input_size)
    return StreamingDataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=workers,
        persistent_workers=workers > 0,
        # A forked worker would inherit the locks of torch's threads; a fresh one reads the same chunks.
        multiprocessing_context="spawn" if workers else None,
        drop_last=shuffle and len(dataset) >= batch_size,
        collate_fn=_collated,
    )


def number_of_samples(folder: Path | str) -> int:
    """How many samples a folder of chunks holds, from its index alone."""
    return sum(chunk["chunk_size"] for chunk in _check_index(Path(folder))["chunks"])


def _record(sample: Sample, jpeg_quality: int) -> dict:
    import cv2

    expression = np.ascontiguousarray(sample.expression, np.float32)
    landmarks = np.ascontiguousarray(sample.landmarks, np.float32)
    stated = np.zeros_like(expression) if sample.uncertainty is None else sample.uncertainty
    uncertainty = np.ascontiguousarray(stated, np.float16)
    is_jpeg = isinstance(sample.image, bytes)
    if not (is_jpeg or _is_aligned(sample.image)) or expression.ndim != 1 or not np.isfinite(expression).all():
        raise ImageError(
            f"{sample.video_id}, frame {sample.frame}: a sample needs a uint8 image of {IMAGE_SIZE}x{IMAGE_SIZE}x3 and "
            f"a finite expression vector, got {sample.image.dtype} {sample.image.shape} and {expression.shape}."
        )
    if landmarks.shape != (68, 2) or not np.isfinite(landmarks).all():
        raise ImageError(
            f"{sample.video_id}, frame {sample.frame}: a sample needs 68 finite landmarks in pixels of its image, got "
            f"{landmarks.shape}; detect them again."
        )
    if uncertainty.shape != expression.shape or not (np.isfinite(uncertainty).all() and (uncertainty >= 0).all()):
        raise ImageError(
            f"{sample.video_id}, frame {sample.frame}: uncertainties must be finite, not negative, and as many as the "
            f"{len(expression)} coefficients, got {uncertainty.shape}; fit the video again."
        )
    # The name goes in as bytes: LitData takes a string that happens to be the path of a file for the file itself.
    return {
        "image": sample.image if is_jpeg else _as_jpeg(sample, jpeg_quality),
        "expression": expression,
        "landmarks": landmarks.reshape(-1),
        "uncertainty": uncertainty,
        "weight": float(sample.weight),
        "video_id": sample.video_id.encode(),
        "frame": int(sample.frame),
    }


def _is_aligned(image: np.ndarray) -> bool:
    return image.shape == (IMAGE_SIZE, IMAGE_SIZE, 3) and image.dtype == np.uint8


def _as_jpeg(sample: Sample, quality: int) -> bytes:
    import cv2

    done, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise ImageError(f"{sample.video_id}, frame {sample.frame}: cannot be encoded as JPEG.")
    return jpeg.tobytes()


def _decoded(item: dict, input_size: int) -> dict:
    """A stored record with its image decoded and shrunk to the size that the network works on."""
    import cv2

    image = cv2.imdecode(np.frombuffer(item["image"], np.uint8), cv2.IMREAD_COLOR_RGB)
    if image.shape[0] != input_size:
        image = cv2.resize(image, (input_size, input_size), interpolation=cv2.INTER_AREA)
    return {
        **item,
        "image": image,
        "landmarks": item["landmarks"].reshape(68, 2),
        "video_id": bytes(item["video_id"]).decode(),
    }


def _collated(items: list[dict]) -> dict:
    import torch

    return {
        "image": torch.from_numpy(np.stack([item["image"] for item in items])),
        "expression": torch.from_numpy(np.stack([item["expression"] for item in items])),
        "landmarks": torch.from_numpy(np.stack([item["landmarks"] for item in items])),
        "uncertainty": torch.from_numpy(np.stack([item["uncertainty"] for item in items]).astype(np.float32)),
        "weight": torch.tensor([item["weight"] for item in items], dtype=torch.float32),
        "video_id": [item["video_id"] for item in items],
        "frame": [item["frame"] for item in items],
    }


def _check_index(folder: Path) -> dict:
    """The index of a folder of chunks; refuses chunks that were not written here, some of whose formats unpickle."""
    try:
        index = json.loads((folder / INDEX).read_text())
        formats = [name.split(":")[0] for name in index["config"]["data_format"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelMismatchError(f"{folder}: holds no training chunks ({error}); write the shards first.") from error
    if formats != list(FORMATS.values()):
        raise ModelMismatchError(
            f"{folder}: chunks of another kind or of an older release ({', '.join(formats)}; this one reads "
            f"{', '.join(FORMATS.values())}: {', '.join(FORMATS)}); write the shards again."
        )
    return index


def _drop_timestamp(index: Path) -> None:
    content = json.loads(index.read_text())
    content["updated_at"] = "0"
    index.write_text(json.dumps(content, sort_keys=True))


def _replace_folder(new: Path, folder: Path) -> None:
    new.chmod(0o755)
    if folder.exists():
        old = new.with_name(new.name + "-old")
        folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old)
    else:
        new.rename(folder)


def _remove_remains(folder: Path) -> None:
    """Delete what killed runs left beside the folder; bring the old one back where one died between two renames."""
    for remains in folder.parent.glob(f".{folder.name}-*"):
        if remains.name.endswith("-old") and not folder.exists():
            remains.rename(folder)
        else:
            shutil.rmtree(remains, ignore_errors=True)
