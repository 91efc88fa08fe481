"""Smooth random fields and paths, the raw material of skin, hair, backgrounds and motion."""

import numpy as np


def smooth_noise(shape: tuple[int, int], wavelength: float, rng: np.random.Generator) -> np.ndarray:
    """Field (H, W) float32 of zero mean and unit deviation that varies over about `wavelength` pixels."""
    import cv2

    # Drawn coarse and enlarged: the cost does not grow with the wavelength.
    step = max(1, int(wavelength / 2))
    coarse = rng.standard_normal((shape[0] // step + 3, shape[1] // step + 3), dtype=np.float32)
    coarse = cv2.GaussianBlur(coarse, (0, 0), max(0.4, 0.5 * wavelength / step))
    field = cv2.resize(coarse, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)[: shape[0], : shape[1]]
    return (field - field.mean()) / (field.std() + 1e-9)


def smooth_path(frames: int, dimensions: int, seconds: float, rng: np.random.Generator, frames_per_second: float):
    """Random path (F, D) of zero mean and unit deviation in the long run, which turns over about `seconds`."""
    sigma = max(seconds * frames_per_second / 2, 1.0)
    margin = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-margin, margin + 1) / sigma) ** 2)
    # Unit deviation follows from the kernel's own norm: a short clip may well stay on one side.
    kernel /= np.linalg.norm(kernel)
    white = rng.normal(size=(frames + 2 * margin, dimensions))
    return np.stack([np.convolve(white[:, d], kernel, mode="valid") for d in range(dimensions)], 1)
