"""What is done to training images, on the device and by the batch: light, colour, occlusion, a loose alignment."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Strengths; zero switches a transform off. Each image draws its own values.

    Attributes
    ----------
    translation : standard deviation of a shift, as a share of the image's side
    rotation_deg : standard deviation of a rotation in the image plane
    scale : standard deviation of the logarithm of a magnification
    brightness : half width of a uniform offset, in units of full range
    contrast : half width of a uniform gain about 1
    colour : half width of a uniform gain of each channel about 1
    grey_share : share of images turned grey
    noise : highest standard deviation of pixel noise, in units of full range
    cutout_share : share of images with an occluded rectangle
    cutout_size : highest side of that rectangle, as a share of the image's side
    """

    translation: float
    rotation_deg: float
    scale: float
    brightness: float
    contrast: float
    colour: float
    grey_share: float
    noise: float
    cutout_share: float
    cutout_size: float


def augmented(images: Tensor, expression: Tensor, settings: Augmentation, generator: torch.Generator) -> dict:
    """Augmented copies of images (B, S, S, 3) uint8 as floats in [0, 1], with the expression that they still show.

    The generator must live on the images' device; the same generator state gives the same result.
    """
    pixels = images.permute(0, 3, 1, 2).float() / 255
    pixels = _realigned(pixels, settings, generator)
    pixels = _relit(pixels, settings, generator)
    pixels = _occluded(pixels, settings, generator)
    return {"image": pixels.clamp(0, 1).permute(0, 2, 3, 1), "expression": expression}


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
        return low + (high - low) * torch.rand(count, *shape, 1, 1, generator=generator, device=device)

    if settings.grey_share:
        grey = pixels.mean(dim=1, keepdim=True).expand_as(pixels)
        pixels = torch.where(between(0, 1, 1) < settings.grey_share, grey, pixels)
    pixels = pixels * between(1 - settings.contrast, 1 + settings.contrast, 1)
    pixels = pixels * between(1 - settings.colour, 1 + settings.colour, 3)
    pixels = pixels + between(-settings.brightness, settings.brightness, 1)
    if settings.noise:
        noise = torch.randn(pixels.shape, generator=generator, device=device)
        pixels = pixels + noise * between(0, settings.noise, 1)
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
