"""Photographs from files, as the rest of the project wants them."""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from models.errors import ImageError

HEIF_SUFFIXES = (".heic", ".heif")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", *HEIF_SUFFIXES)

# What is read of pictures that come from strangers. Pillow knows many more formats, some of them through programs or
# libraries with a history.
TRUSTED_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")

# Passes over all its pixels that a progressive JPEG file may make; usual are six to twelve. Each costs as much time as
# one more picture, and takes some dozens of bytes: a file of a megabyte could keep a processor for minutes.
MOST_SCANS = 40
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_WITHOUT_LENGTH = (0x01, 0xD8)

# What shows through where a picture is transparent: neither of the colours that hair and skin stand out from best.
BACKGROUND = 128

# What Pillow raises over files whose parts contradict each other.
_DAMAGE = (SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error, zlib.error)


@dataclass(frozen=True)
class Photograph:
    """A picture as its maker saw it.

    Attributes
    ----------
    image : (H, W, 3) uint8 RGB, upright
    scale : (2,) pixels of `image` per pixel of the file (upright), along x and y
    remark : what a reader should know of the file; empty for an ordinary one
    """

    image: np.ndarray
    scale: np.ndarray
    remark: str = ""


def read_image(path: Path | str) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB, as `read_photograph` gives it in full size.

    Raises
    ------
    ImageError
        As `read_photograph`.
    """
    return read_photograph(path).image


def read_photograph(path: Path | str, max_side: int | None = None) -> Photograph:
    """An image file upright as its EXIF data say, in 8-bit RGB: grey, 16-bit, CMYK, with a palette or transparent too.

    Of an animated picture the first frame is read, and `remark` says so. One whose longer side exceeds `max_side`
    pixels comes scaled down to it; large JPEG files are never decoded in full for that.

    Raises
    ------
    ImageError
        The file is missing, may not be read, is no image, is damaged, or has more than 178 million pixels.
    """
    from PIL import UnidentifiedImageError

    path = Path(path)
    if path.suffix.lower() in HEIF_SUFFIXES:
        _prepare_heif(path)
    try:
        return _read_by_pillow(path, str(path), max_side)
    except UnidentifiedImageError:
        return _read_by_opencv(path, max_side)


def decode_photograph(data: bytes, name: str, *, max_side: int | None = None, max_pixels: int) -> Photograph:
    """The bytes of an image file that a stranger sent, as `read_photograph` would give it; `name` is for errors.

    Only formats of `TRUSTED_FORMATS` are read, and the size that the file's head states is looked at before a pixel is
    decoded: a file of some kilobytes may stand for gigabytes.

    Raises
    ------
    ImageError
        It is no image of these formats, is damaged, has more than `max_pixels`, or makes far more passes over them than
        any picture needs.
    """
    from PIL import UnidentifiedImageError

    if data[:2] == b"\xff\xd8" and _jpeg_scans(data) > MOST_SCANS:
        raise ImageError(
            f"{name}: a JPEG of more than {MOST_SCANS} scans keeps a decoder busy for long; save it again."
        )
    try:
        return _read_by_pillow(io.BytesIO(data), name, max_side, max_pixels, TRUSTED_FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: is no {', '.join(TRUSTED_FORMATS)} image; export it as JPEG or PNG.") from error


def _jpeg_scans(data: bytes) -> int:
    """How many scans a JPEG file has; counted no further than where there are too many."""
    place, scans = 2, 0
    # Other segments are skipped by their length: thumbnails in them have scans of their own.
    while (found := _NEXT_MARKER.search(data, place)) and scans <= MOST_SCANS:
        marker = data[found.end() - 1]
        if marker == _END_OF_IMAGE:
            break
        scans += marker == _START_OF_SCAN
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        place = found.end() + (0 if marker in _WITHOUT_LENGTH else length)
    return scans


def _read_by_pillow(
    source: Path | BinaryIO,
    name: str,
    max_side: int | None,
    max_pixels: int | None = None,
    formats: Sequence[str] | None = None,
) -> Photograph:
    from PIL import Image, ImageOps, UnidentifiedImageError

    # Pictures of 89 to 178 million pixels are read; Pillow would warn of them.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    try:
        with Image.open(source, formats=formats) as picture:
            size = np.array(picture.size)
            if max_pixels is not None and size.prod() > max_pixels:
                raise ImageError(
                    f"{name}: {size[0]} x {size[1]} pixels are more than {max_pixels / 1e6:g} million; scale it down."
                )
            frames = getattr(picture, "n_frames", 1)
            if max_side is not None:
                picture.draft(None, (max_side, max_side))
            pixels = _eight_bit_rgb(picture)
            turned = picture.getexif().get(0x0112, 1) >= 5
            ImageOps.exif_transpose(pixels, in_place=True)
            image = np.asarray(pixels)
    except UnidentifiedImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: is too large ({error}); scale it down.") from error
    except OSError as error:
        if error.errno is None:
            raise ImageError(f"{name}: is damaged ({error}); copy or export it again.") from error
        raise ImageError(f"{name}: cannot be read ({error.strerror}); check the path and the permissions.") from error
    except _DAMAGE as error:
        raise ImageError(f"{name}: is damaged ({error}); copy or export it again.") from error
    image = _shrunk(image, max_side)
    remark = f"first of {frames} frames" if frames > 1 else ""
    return Photograph(image, image.shape[1::-1] / (size[::-1] if turned else size), remark)


def _eight_bit_rgb(picture):
    """A Pillow image in mode RGB, its EXIF data kept."""
    from PIL import Image

    exif = picture.getexif()
    if picture.mode.startswith("I") or picture.mode == "F":
        deep = np.asarray(picture).astype(np.float64)
        # 16 bits are stored as such or in 32; floating-point pictures run from 0 to 1.
        full = 1.0 if picture.mode == "F" else 65535.0
        converted = Image.fromarray(np.clip(deep * (255 / full) + 0.5, 0, 255).astype(np.uint8)).convert("RGB")
    elif picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        opaque = Image.new("RGBA", picture.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255))
        opaque.alpha_composite(picture.convert("RGBA"))
        converted = opaque.convert("RGB")
    else:
        # Pillow would copy a picture that is in this mode already.
        picture.load()
        converted = picture if picture.mode == "RGB" else picture.convert("RGB")
    converted.info["exif"] = exif.tobytes()
    return converted


def _prepare_heif(path: Path) -> None:
    """Let Pillow read the format of many telephones, where the decoder is installed."""
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(
            f"{path}: HEIC pictures need a further package (pip install pillow-heif); or export it as JPEG."
        ) from error
    pillow_heif.register_heif_opener()


def _read_by_opencv(path: Path, max_side: int | None) -> Photograph:
    """What Pillow does not know, such as 16-bit RGB TIFF."""
    import cv2

    data = np.fromfile(path, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    except cv2.error as error:
        raise ImageError(f"{path}: is too large or damaged ({error.err}); scale it down or export it again.") from error
    if image is None:
        raise ImageError(f"{path}: is no image that can be decoded; export it as JPEG or PNG.")
    size = np.array(image.shape[1::-1])
    image = _shrunk(image, max_side)
    return Photograph(image, image.shape[1::-1] / size)


def _shrunk(image: np.ndarray, max_side: int | None) -> np.ndarray:
    """An image whose longer side is at most `max_side`, by area averaging."""
    if max_side is None or max(image.shape[:2]) <= max_side:
        return np.ascontiguousarray(image)
    import cv2

    share = max_side / max(image.shape[:2])
    width, height = (max(1, round(side * share)) for side in image.shape[1::-1])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
