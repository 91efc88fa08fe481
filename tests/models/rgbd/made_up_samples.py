"""Samples whose expressions can be seen in the depth, and less well in the colour, without any face."""

import cv2
import numpy as np

from models.rgbd.pipelines import CLASSES, DEPTH_SIZE
from models.rgbd.samples import COLOUR_SIZE, RgbdSamples


def made_up_samples(people: int = 6, intensities: tuple[int, ...] = (3, 4), seed: int = 0) -> RgbdSamples:
    """Each person shows each class once at each intensity: a bump, whose place tells the class.

    Colour images show the bump as a bright square, on a background that is the person's own.
    """
    rng = np.random.default_rng(seed)
    rows = [
        (person, label, intensity)
        for person in range(people)
        for label in range(len(CLASSES))
        for intensity in intensities
    ]
    depth = np.zeros((len(rows), DEPTH_SIZE, DEPTH_SIZE), np.float32)
    colour = np.zeros((len(rows), COLOUR_SIZE, COLOUR_SIZE, 3), np.uint8)
    for place, (person, label, intensity) in enumerate(rows):
        top, left = 8 + 24 * (label // 3), 4 + 20 * (label % 3)
        depth[place] = 0.05 * person + 0.02 * rng.normal(size=depth.shape[1:])
        depth[place, top : top + 12, left : left + 12] += 0.1 * intensity
        colour[place] = 20 + 10 * person
        colour[place, 3 * top : 3 * top + 40, 3 * left : 3 * left + 40] = 60 * intensity
    return RgbdSamples(
        colour=colour,
        depth=depth.clip(0, 1),
        depth_image=np.stack([cv2.resize(np.uint8(255 * one.clip(0, 1)), (COLOUR_SIZE, COLOUR_SIZE)) for one in depth]),
        labels=np.array([CLASSES[label] for _, label, _ in rows]),
        subjects=np.array([f"F{person + 1:04d}" for person, _, _ in rows]),
        intensities=np.array([intensity for _, _, intensity in rows]),
        synthetic=True,
    )
