"""Training samples in LitData chunks: a few large files instead of millions of small ones.

A sample on disk is an aligned face as JPEG, the landmarks found in it, its expression in standard deviations and how
uncertain each coefficient is, its weight and where it comes from.
Chunks of the same samples have the same bytes, whenever and wherever they are written.
"""

import errno
import json
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import DiskFullError, ImageError, ModelMismatchError
from models.expression.alignment import IMAGE_SIZE
from models.expression.streaming import ChunkStream, is_streamed

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
    reader = ShardReader(folder)
    for index in range(len(reader)):
        yield reader.sample(index)


@dataclass(frozen=True)
class Record:
    """A sample as it is stored; see `Sample`. `jpeg` is (n,) uint8."""

    jpeg: np.ndarray
    expression: np.ndarray
    landmarks: np.ndarray
    uncertainty: np.ndarray
    weight: float
    video_id: str
    frame: int


class ShardReader:
    """Any sample of a folder, in any order, by any number of threads.

    LitData's own reader is made for one chunk after the other: a sample from another chunk costs it a hundred times as
    much. A chunk is the number of samples, the places where they and their end lie, and the samples; a sample is the
    sizes of its values, and the values.

    Of a streamed folder (`models.expression.streaming`) chunks are fetched as they are needed, and the least recently
    needed ones leave the disk when they take too much of it.

    Raises
    ------
    ModelMismatchError
        The folder holds no such chunks.
    """

    def __init__(self, folder: Path | str):
        chunks = _check_index(Path(folder))["chunks"]
        self.chunk_sizes = tuple(chunk["chunk_size"] for chunk in chunks)
        self._paths = [Path(folder) / chunk["filename"] for chunk in chunks]
        self._bytes = [chunk["chunk_bytes"] for chunk in chunks]
        self._mapped: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._mapping = threading.Lock()
        self._stream = ChunkStream(Path(folder)) if is_streamed(Path(folder)) else None
        for path, size in zip(self._paths, self._bytes, strict=True):
            if self._stream is None and (not path.exists() or path.stat().st_size != size):
                raise ModelMismatchError(f"{path}: missing or not whole; write the shards again.")
        self._starts = np.cumsum([0, *self.chunk_sizes])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Record:
        """Sample `index`, counted over all chunks."""
        chunk = int(np.searchsorted(self._starts, index, side="right")) - 1
        values = self._values(chunk, index - int(self._starts[chunk]))
        return Record(
            jpeg=values["image"],
            expression=values["expression"].view(np.float32),
            landmarks=values["landmarks"].view(np.float32).reshape(68, 2),
            uncertainty=values["uncertainty"].view(np.float16).astype(np.float32),
            weight=float(values["weight"].view(np.float64)[0]),
            video_id=values["video_id"].tobytes().decode(),
            frame=int(values["frame"].view(np.int64)[0]),
        )

    def sample(self, index: int) -> Sample:
        """Sample `index` with its image decoded."""
        record = self[index]
        return Sample(
            image=decoded(record.jpeg, IMAGE_SIZE),
            expression=record.expression,
            landmarks=record.landmarks,
            video_id=record.video_id,
            frame=record.frame,
            weight=record.weight,
            uncertainty=record.uncertainty,
        )

    def videos(self) -> np.ndarray:
        """A number for each sample, (n,): the same for samples of one video that were written one after the other."""
        numbers, latest = np.zeros(len(self), int), None
        for index in range(len(self)):
            chunk = int(np.searchsorted(self._starts, index, side="right")) - 1
            name = self._values(chunk, index - int(self._starts[chunk]))["video_id"].tobytes()
            numbers[index] = numbers[index - 1] + (name != latest) if index else 0
            latest = name
        return numbers

    def chunk_bytes(self, number: int) -> np.ndarray:
        """All of a chunk, (n,) uint8."""
        return self._chunk(number)[0]

    def _values(self, chunk: int, index: int) -> dict[str, np.ndarray]:
        """The bytes of each value of a sample."""
        data, places = self._chunk(chunk)
        sample = data[places[index] : places[index + 1]]
        header = 4 * len(FORMATS)
        ends = np.cumsum([header, *sample[:header].view(np.uint32)])
        # Copies: values do not lie at multiples of their size.
        return {name: sample[ends[i] : ends[i + 1]].copy() for i, name in enumerate(FORMATS)}

    def _chunk(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A chunk's bytes, mapped into memory, and the places (samples + 1,) where its samples begin and end."""
        with self._mapping:
            if number not in self._mapped:
                data = self._map(number)
                places = data[4 : 4 * (self.chunk_sizes[number] + 2)].view(np.uint32)
                self._mapped[number] = data, places.astype(np.int64)
                self._make_room(number)
            self._mapped.move_to_end(number)
            return self._mapped[number]

    def _map(self, number: int) -> np.ndarray:
        path = self._paths[number]
        while self._stream is not None:
            try:
                return np.asarray(np.memmap(self._stream.fetch(path.name, self._bytes[number]), np.uint8, mode="r"))
            except FileNotFoundError:
                # Another process made room in between.
                continue
        return np.asarray(np.memmap(path, np.uint8, mode="r"))

    def _make_room(self, needed: int) -> None:
        """Let go of streamed chunks, but for the one that is needed; who still reads one keeps its bytes."""
        if self._stream is None:
            return
        present = [number for number, path in enumerate(self._paths) if path.exists()]
        # What an earlier run left goes first.
        leaving = [number for number in present if number not in self._mapped]
        leaving += [number for number in self._mapped if number != needed]
        taken = sum(self._bytes[number] for number in present)
        for number in leaving:
            if taken <= self._stream.cache_bytes:
                return
            self._mapped.pop(number, None)
            self._paths[number].unlink(missing_ok=True)
            taken -= self._bytes[number]


def decoded(jpeg: np.ndarray, size: int) -> np.ndarray:
    """An image (size, size, 3) uint8 RGB from the bytes of a JPEG.

    The decoder leaves out what half or a quarter of the resolution does not show, the rest is averaged over areas.
    """
    import cv2

    reduced = {1: cv2.IMREAD_COLOR_BGR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
    factor = max(factor for factor in reduced if size * factor <= IMAGE_SIZE or factor == 1)
    image = cv2.imdecode(jpeg, reduced[factor])
    if image.shape[0] != size:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def first_chunk(folder: Path | str) -> np.ndarray:
    """The bytes of the folder's first chunk, (n,) uint8, fetched where chunks are streamed."""
    return ShardReader(folder).chunk_bytes(0)


def number_of_samples(folder: Path | str) -> int:
    """How many samples a folder of chunks holds, from its index alone."""
    return sum(chunk["chunk_size"] for chunk in _check_index(Path(folder))["chunks"])


def _record(sample: Sample, jpeg_quality: int) -> dict:
    expression = np.ascontiguousarray(sample.expression, np.float32)
    landmarks = np.ascontiguousarray(sample.landmarks, np.float32)
    stated = np.zeros_like(expression) if sample.uncertainty is None else sample.uncertainty
    uncertainty = np.ascontiguousarray(stated, np.float16)
    is_jpeg = isinstance(sample.image, bytes)
    if not _is_aligned(sample.image) or expression.ndim != 1 or not np.isfinite(expression).all():
        given = f"{len(sample.image)} bytes" if is_jpeg else f"{sample.image.dtype} {sample.image.shape}"
        raise ImageError(
            f"{sample.video_id}, frame {sample.frame}: a sample needs a uint8 image of {IMAGE_SIZE}x{IMAGE_SIZE}x3, or "
            f"such an image as JPEG, and a finite expression vector, got {given} and {expression.shape}."
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


def _is_aligned(image: np.ndarray | bytes) -> bool:
    if isinstance(image, bytes):
        return _is_aligned_jpeg(image)
    return image.shape == (IMAGE_SIZE, IMAGE_SIZE, 3) and image.dtype == np.uint8


def _is_aligned_jpeg(data: bytes) -> bool:
    """Whether a JPEG shows an image of the right size, as an eighth of its resolution tells."""
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8) if data else None
    return data[:2] == b"\xff\xd8" and image is not None and image.shape == (IMAGE_SIZE // 8, IMAGE_SIZE // 8)


def _as_jpeg(sample: Sample, quality: int) -> bytes:
    import cv2

    done, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise ImageError(f"{sample.video_id}, frame {sample.frame}: cannot be encoded as JPEG.")
    return jpeg.tobytes()


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
