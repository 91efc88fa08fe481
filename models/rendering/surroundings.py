"""What is around a head: a background, the subject's shoulders, glasses, and things that pass in front."""

from dataclasses import dataclass, replace

import numpy as np

from models.morphable_model.model import LEFT_EYE, RIGHT_EYE, MorphableModel
from models.rendering.head import HeadPose
from models.rendering.noise import smooth_noise, smooth_path

_SUBPIXEL_BITS = 4


def sample_background(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """An out-of-focus room or street (H, W, 3) float32: a wall, a few flat things, stains of light."""
    import cv2

    height, width = size
    image = np.ones((height, width, 3), np.float32) * rng.uniform(0.1, 0.9, 3).astype(np.float32)
    grey = image.mean(2, keepdims=True)
    image = grey + (image - grey) * np.float32(rng.uniform(0.1, 0.5))
    for _ in range(rng.integers(2, 14)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        w, h = rng.uniform(0.03, 0.4) * width, rng.uniform(0.05, 0.8) * height
        colour = tuple(float(c) for c in rng.uniform(0.05, 0.95) * (1 + 0.15 * rng.normal(size=3)))
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 7.0))
    for wavelength, strength in ((60, 0.08), (10, 0.03)):
        image *= 1 + strength * smooth_noise(size, wavelength, rng)[..., None]
    return image.clip(0, 1)


@dataclass(frozen=True)
class Shoulders:
    """Clothed shoulders below the neck.

    Attributes
    ----------
    colour : (3,) of the cloth
    neck : (3,) mm, lowest point of the head's mesh in the middle of the neck
    half_width, drop : mm, from the neck to the shoulder
    """

    colour: np.ndarray
    neck: np.ndarray
    half_width: float
    drop: float


def sample_shoulders(model: MorphableModel, rng: np.random.Generator) -> Shoulders:
    """Draw shoulders that fit the model's neck."""
    lowest = model.mean[model.mean[:, 1] < model.mean[:, 1].min() + 25]
    neck = np.array([0, model.mean[:, 1].min() + 22, lowest[:, 2].mean()])
    colour = np.clip(rng.uniform(0.05, 0.85) * (1 + 0.2 * rng.normal(size=3)), 0.02, 0.95)
    return Shoulders(colour, neck, rng.uniform(150, 215), rng.uniform(35, 75))


def draw_shoulders(image: np.ndarray, shoulders: Shoulders, pose: HeadPose) -> None:
    """Draw shoulders into `image` (H, W, 3) float32, in place; the head is drawn over them."""
    import cv2

    x, y = pose.points(shoulders.neck[None])[0, :2]
    t = np.linspace(-1, 1, 41)
    # From the collar outwards the line falls as cloth does over shoulders.
    fall = shoulders.drop * np.abs(t) ** 1.6 + 90 * np.clip(np.abs(t) - 0.85, 0, 1) * 4
    outline = np.stack([x + pose.scale * shoulders.half_width * t, y + pose.scale * (fall - 6 * (np.abs(t) < 0.25))], 1)
    bottom = image.shape[0] + 10
    outline = np.concatenate([outline, [[outline[-1, 0], bottom], [outline[0, 0], bottom]]])
    cv2.fillPoly(image, [_fixed(outline)], [float(c) for c in shoulders.colour], cv2.LINE_AA, _SUBPIXEL_BITS)


@dataclass(frozen=True)
class Glasses:
    """Rims around both eyes: closed curves (2, P, 3) in mm and a bridge (2, 3), grey level and thickness in mm."""

    rims: np.ndarray
    bridge: np.ndarray
    grey: float
    thickness: float


def sample_glasses(landmarks: np.ndarray, rng: np.random.Generator) -> Glasses:
    """Glasses that fit a face at rest, given its landmarks (68, 3) in mm."""
    right, left = landmarks[RIGHT_EYE].mean(0), landmarks[LEFT_EYE].mean(0)
    apart = np.linalg.norm(left - right)
    width, height = apart * rng.uniform(0.36, 0.42), apart * rng.uniform(0.24, 0.38)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    power = rng.uniform(0.5, 1.0)
    # A superellipse lies between an oval and a rectangle.
    oval = np.stack([np.sign(f(angle)) * np.abs(f(angle)) ** power for f in (np.cos, np.sin)], 1)
    rim = np.concatenate([oval * [width, height], np.full((len(angle), 1), 12.0)], 1)
    # The rims bend backwards with the face.
    rims = np.stack([centre + rim - [0, 0.04 * apart, 0] for centre in (right, left)])
    middle = landmarks[27, 0]
    rims[:, :, 2] = rims[:, :, 2].mean(1, keepdims=True) - 0.25 * (np.abs(rims[:, :, 0] - middle) - apart / 2)
    inner = np.stack([rims[0, np.argmax(rims[0, :, 0])], rims[1, np.argmin(rims[1, :, 0])]])
    inner[:, 1] += 2
    return Glasses(rims, inner, rng.uniform(0.02, 0.3), rng.uniform(1.2, 3.5))


def draw_glasses(image: np.ndarray, glasses: Glasses, pose: HeadPose) -> None:
    """Draw glasses into `image` (H, W, 3) float32, in place."""
    import cv2

    colour = [glasses.grey] * 3
    thickness = max(1, round(float(glasses.thickness * pose.scale)))
    curves = [(rim, True) for rim in glasses.rims] + [(glasses.bridge, False)]
    for curve, closed in curves:
        cv2.polylines(
            image, [_fixed(pose.points(curve)[:, :2])], closed, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS
        )


@dataclass(frozen=True)
class Occluder:
    """A thing that passes in front of the face: a rounded bar, such as a hand, a cup or a microphone.

    Attributes
    ----------
    centre : (F, 2) pixels
    direction : (F, 2) unit vectors along the bar
    length, radius : pixels
    colour : (3,)
    """

    centre: np.ndarray
    direction: np.ndarray
    length: float
    radius: float
    colour: np.ndarray


def sample_occluder(frames: int, size: tuple[int, int], rng: np.random.Generator, frames_per_second: float) -> Occluder:
    """An occluder that comes and goes: it hovers around the lower half of the image."""
    height, width = size
    drift = smooth_path(frames, 3, 2.0, rng, frames_per_second)
    centre = np.array([width, height]) * (rng.uniform([0.15, 0.45], [0.85, 0.95]) + drift[:, :2] * [0.15, 0.12])
    angle = rng.uniform(0, np.pi) + 0.4 * drift[:, 2]
    skin_like = np.array([0.72, 0.52, 0.42]) * rng.uniform(0.4, 1.2)
    colour = skin_like if rng.random() < 0.5 else rng.uniform(0.02, 0.9, 3)
    return Occluder(
        centre,
        np.stack([np.cos(angle), np.sin(angle)], 1),
        length=rng.uniform(0.05, 0.4) * width,
        radius=rng.uniform(0.04, 0.1) * width,
        colour=colour,
    )


def sample_hand(size: tuple[int, int], rng: np.random.Generator) -> list[Occluder]:
    """Something held before the face at one moment: a single thing, or a few fingers side by side."""
    first = sample_occluder(1, size, rng, 30.0)
    if rng.random() < 0.5:
        return [first]
    across = np.array([-first.direction[0, 1], first.direction[0, 0]])
    fingers = []
    for number in range(rng.integers(2, 5)):
        along = first.direction[0] * first.length * rng.uniform(-0.15, 0.15)
        shift = across * number * 1.7 * first.radius + along
        fingers.append(replace(first, centre=first.centre + shift))
    return fingers


def draw_fringe(image: np.ndarray, landmarks: np.ndarray, colour: np.ndarray, rng: np.random.Generator) -> None:
    """Draw strands of hair that fall over the forehead into `image` (H, W, 3) float32, in place.

    `landmarks` are (68, 2) in pixels.
    """
    import cv2

    right, left = landmarks[36], landmarks[45]
    across, upwards = left - right, np.array([(left - right)[1], (right - left)[0]])
    start, end = sorted(rng.uniform(-0.3, 1.3, 2))
    reach = rng.uniform(0.1, 0.55)
    sweep = 0.25 * rng.normal()
    for _ in range(rng.integers(8, 60)):
        root = right + across * rng.uniform(start, end) + upwards * rng.uniform(0.9, 1.2)
        tip = root - upwards * (rng.uniform(0.6, 1.0) * (1.05 - reach)) + across * (sweep + 0.08 * rng.normal())
        shade = [float(value) for value in colour * rng.uniform(0.5, 1.5)]
        ends = _fixed(np.stack([root, tip]))
        cv2.line(image, ends[0].tolist(), ends[1].tolist(), shade, int(rng.integers(1, 4)), cv2.LINE_AA, _SUBPIXEL_BITS)


def draw_occluder(image: np.ndarray, occluder: Occluder, frame: int) -> np.ndarray:
    """Draw an occluder of one frame into `image` (H, W, 3) float32, in place; its cover (H, W) in [0, 1]."""
    import cv2

    cover = np.zeros(image.shape[:2], np.float32)
    centre, direction = occluder.centre[frame], occluder.direction[frame]
    ends = np.stack([centre - direction * occluder.length / 2, centre + direction * occluder.length / 2])
    fixed = _fixed(ends)
    cv2.line(cover, fixed[0].tolist(), fixed[1].tolist(), 1.0, int(2 * occluder.radius), cv2.LINE_AA, _SUBPIXEL_BITS)
    cover = cv2.GaussianBlur(cover, (0, 0), 1.0)
    # Rounded by light: bright along its spine, dark at the edges.
    relief = cv2.GaussianBlur(cover, (0, 0), max(occluder.radius / 2, 1.0))
    image *= 1 - cover[..., None]
    image += (cover * (0.35 + 0.65 * relief))[..., None] * occluder.colour.astype(np.float32)
    return cover


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.rint(np.asarray(points) * 2**_SUBPIXEL_BITS).astype(np.int32)
