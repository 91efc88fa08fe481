"""Photographs from files, as the rest of the project wants them."""

from pathlib import Path

import numpy as np

from models.errors import ImageError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def read_image(path: Path | str) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB, turned upright as its EXIF data say; grey and 16-bit files included.

    Raises
    ------
    ImageError
        The file is missing, may not be read, or is no image.
    """
    import cv2

    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check the path and the permissions.") from error
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    except cv2.error as error:
        raise ImageError(f"{path}: is too large or damaged ({error.err}); scale it down or export it again.") from error
    if image is None:
        raise ImageError(f"{path}: is no image that can be decoded; export it as JPEG or PNG.")
    return image
