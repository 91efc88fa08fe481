"""What a camera does to light: focus, exposure, colour cast, noise, eight bits."""

from dataclasses import dataclass

import numba
import numpy as np

from models.rendering.noise import smooth_path


@dataclass(frozen=True)
class Sensor:
    """A camera's imperfections over F frames.

    Attributes
    ----------
    blur : standard deviation of the point spread, pixels
    noise : standard deviation of the noise, grey levels of 255
    gain : (F,) exposure
    cast : (3,) factors on the colours
    gamma : exponent on the signal
    grey : True for a camera without colour
    """

    blur: float
    noise: float
    gain: np.ndarray
    cast: np.ndarray
    gamma: float
    grey: bool


def sample_sensor(
    frames: int,
    largest_blur: float,
    largest_noise: float,
    rng: np.random.Generator,
    frames_per_second: float,
) -> Sensor:
    """A camera whose exposure drifts slowly."""
    drift = smooth_path(frames, 1, 3.0, rng, frames_per_second)[:, 0]
    return Sensor(
        blur=rng.uniform(0, largest_blur),
        noise=rng.uniform(0, largest_noise),
        gain=1 + 0.03 * drift,
        cast=1 + 0.02 * rng.normal(size=3),
        gamma=rng.uniform(0.8, 1.2),
        grey=bool(rng.random() < 0.05),
    )


def expose(light: np.ndarray, sensor: Sensor, frame: int, rng: np.random.Generator) -> np.ndarray:
    """The image (H, W, 3) uint8 that a camera makes of `light` (H, W, 3) float32, 1 being white."""
    import cv2

    if sensor.blur > 0.2:
        light = cv2.GaussianBlur(light, (0, 0), sensor.blur)
    if sensor.grey:
        light = cv2.cvtColor(cv2.cvtColor(light, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    # What demosaicing and compression leave of noise is mostly in the brightness.
    noise = rng.standard_normal(light.shape[:2], dtype=np.float32)
    # A camera without colour has no cast either.
    cast = np.ones(3) if sensor.grey else sensor.cast
    exposure = (sensor.gain[frame] * cast * 256).astype(np.float32)
    return _digitised(light, exposure, _curve(sensor.gamma), noise, np.float32(sensor.noise))


def shrunk(image: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """An image (H, W, 3) uint8 of about `factor` times the size, and the exact factors (2,) of width and height."""
    import cv2

    size = np.array(image.shape[1::-1])
    smaller = np.maximum(np.round(size * factor), 8).astype(int)
    result = cv2.resize(image, (int(smaller[0]), int(smaller[1])), interpolation=cv2.INTER_AREA)
    return result, smaller / size


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """An image (H, W, 3) uint8 after JPEG of a quality from 1 to 100."""
    import cv2

    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


@numba.njit(cache=True, nogil=True)
def _digitised(light, exposure, curve, noise, noise_level):
    """Exposed light through a response curve, with noise, as (H, W, 3) uint8; one pass over the pixels."""
    image = np.empty(light.shape, np.uint8)
    for y in range(light.shape[0]):
        for x in range(light.shape[1]):
            for c in range(3):
                level = min(max(int(light[y, x, c] * exposure[c]), 0), len(curve) - 1)
                value = curve[level] + noise_level * noise[y, x] + np.float32(0.5)
                image[y, x, c] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))
    return image


def _curve(gamma: float) -> np.ndarray:
    """Grey levels (512,) float32 for light from 0 to 2: a power law whose shoulder begins at 0.8."""
    light = np.arange(512) / 256
    shoulder = 0.8 + 0.2 * np.tanh((light - 0.8) / 0.2)
    return (255 * np.where(light < 0.8, light, shoulder) ** gamma).astype(np.float32)
