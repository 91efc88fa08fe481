"""What is done to training images, on the device and by the batch: light, colour, occlusion, a loose alignment."""

import math

import torch
from torch import Tensor

from models.expression.settings import Augmentation


def augmented(
    images: Tensor, landmarks: Tensor, settings: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Augmented copies of images (B, S, S, 3) uint8, as floats in [0, 1], and of the landmarks found in them.

    Landmarks (B, 68, 2) are in pixels of the 224x224 image, whatever S is. The image is moved under them: they lie on
    the template by construction, and what a detector has wrong in all points alike shows as an image out of place. The
    expression shown stays the same. The generator must live on the images' device; the same generator state gives the
    same result.
    """
    pixels = images.permute(0, 3, 1, 2).float() / 255
    pixels = _realigned(pixels, settings, generator)
    pixels = _relit(pixels, settings, generator)
    pixels = _occluded(pixels, settings, generator)
    if settings.landmark_noise:
        noise = torch.randn(landmarks.shape, generator=generator, device=landmarks.device)
        landmarks = landmarks + settings.landmark_noise * noise
    return pixels.clamp(0, 1).permute(0, 2, 3, 1), landmarks


def _realigned(pixels: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Errors of the landmarks are not independent: they shift, turn and scale the whole alignment."""
    if not (settings.translation or settings.rotation_deg or settings.scale):
        return pixels
    draw = torch.randn(len(pixels), 4, generator=generator, device=pixels.device)
    angle = draw[:, 0] * math.radians(settings.rotation_deg)
    zoom = torch.exp(-draw[:, 1] * settings.scale)
    shift = 2 * settings.translation * draw[:, 2:]
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    matrix = torch.stack(
        [torch.stack([cosine, -sine, shift[:, 0]], dim=1), torch.stack([sine, cosine, shift[:, 1]], dim=1)], dim=1
    )
    grid = torch.nn.functional.affine_grid(matrix, list(pixels.shape), align_corners=False)
    return torch.nn.functional.grid_sample(pixels, grid, align_corners=False)


def _relit(pixels: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    count, device = len(pixels), pixels.device

    def between(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator, device=device)

    # One matrix and one offset an image: every pass over all pixels costs as much as a layer of a small network.
    grey = (between(0, 1, 1, 1) < settings.grey_share).float()
    mixing = grey / 3 + (1 - grey) * torch.eye(3, device=device)
    gain = between(1 - settings.contrast, 1 + settings.contrast, 1, 1)
    gain = gain * between(1 - settings.colour, 1 + settings.colour, 3, 1)
    offset = between(-settings.brightness, settings.brightness, 1, 1)
    pixels = torch.baddbmm(offset, gain * mixing, pixels.flatten(2)).view_as(pixels)
    if settings.noise:
        noise = torch.randn(pixels.shape, generator=generator, device=device)
        pixels.addcmul_(noise, between(0, settings.noise, 1, 1, 1))
    return pixels


def _occluded(pixels: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    if not settings.cutout_share:
        return pixels
    count, _, height, width = pixels.shape
    draw = torch.rand(count, 8, 1, 1, generator=generator, device=pixels.device)
    rows = torch.arange(height, device=pixels.device)[:, None] / height
    columns = torch.arange(width, device=pixels.device)[None] / width
    half_height, half_width = draw[:, 0] * settings.cutout_size / 2, draw[:, 1] * settings.cutout_size / 2
    inside = ((rows - draw[:, 2]).abs() < half_height) & ((columns - draw[:, 3]).abs() < half_width)
    chosen = inside & (draw[:, 4] < settings.cutout_share)
    return torch.where(chosen[:, None], draw[:, 5:8], pixels)
