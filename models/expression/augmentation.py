"""What is done to training images, on the device and by the batch: light, colour, occlusion, a loose alignment."""

import math

import torch
from torch import Tensor

from models.expression.alignment import IMAGE_SIZE
from models.expression.settings import Augmentation


def augmented(
    images: Tensor, landmarks: Tensor, settings: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Augmented copies of images (B, S, S, 3) uint8, as floats in [0, 1], and of the landmarks found in them.

    Landmarks (B, 68, 2) are in pixels of the 224x224 image, whatever S is. The expression shown stays the same. The
    generator must live on the images' device; the same generator state gives the same result.
    """
    pixels = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    pixels, landmarks = _realigned(pixels, landmarks, settings, generator)
    pixels = _relit(pixels, settings, generator)
    pixels = _occluded(pixels, settings, generator)
    if settings.landmark_noise:
        noise = torch.randn(landmarks.shape, generator=generator, device=landmarks.device)
        landmarks = landmarks + settings.landmark_noise * noise
    return pixels.clamp_(0, 1).permute(0, 2, 3, 1), landmarks


def _realigned(
    pixels: Tensor, landmarks: Tensor, settings: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Errors of the landmarks are not independent: they shift, turn and scale the whole alignment."""
    if not (settings.translation or settings.rotation_deg or settings.scale):
        return pixels, landmarks
    draw = torch.randn(len(pixels), 4, generator=generator, device=pixels.device)
    angle = draw[:, 0] * math.radians(settings.rotation_deg)
    zoom = torch.exp(-draw[:, 1] * settings.scale)
    # As complex numbers, in units of half the image's side: a place z of the new image shows what was at
    # `factor z + shift`. Landmarks go the other way. Outer edges of the outer pixels are at -1 and 1.
    factor = torch.polar(zoom, angle)
    shift = 2 * settings.translation * torch.view_as_complex(draw[:, 2:].contiguous())
    height, width = pixels.shape[2:]
    rows = (2 * torch.arange(height, device=pixels.device) + 1) / height - 1
    columns = (2 * torch.arange(width, device=pixels.device) + 1) / width - 1
    across = torch.view_as_real(factor[:, None] * columns)[:, None]
    down = torch.view_as_real(1j * factor[:, None] * rows + shift[:, None])[:, :, None]
    moved_pixels = torch.nn.functional.grid_sample(pixels, across + down, align_corners=False)
    places = torch.view_as_complex((2 * landmarks + 1) / IMAGE_SIZE - 1)
    moved = torch.view_as_real((places - shift[:, None]) / factor[:, None])
    return moved_pixels, ((moved + 1) * IMAGE_SIZE - 1) / 2


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
