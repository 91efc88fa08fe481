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
    pixels = images.permute(0, 3, 1, 2).float() / 255
    pixels, landmarks = _realigned(pixels, landmarks, settings, generator)
    pixels = _relit(pixels, settings, generator)
    pixels = _occluded(pixels, settings, generator)
    if settings.landmark_noise:
        noise = torch.randn(landmarks.shape, generator=generator, device=landmarks.device)
        landmarks = landmarks + settings.landmark_noise * noise
    return pixels.clamp(0, 1).permute(0, 2, 3, 1), landmarks


def _realigned(
    pixels: Tensor, landmarks: Tensor, settings: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Errors of the landmarks are not independent: they shift, turn and scale the whole alignment."""
    if not (settings.translation or settings.rotation_deg or settings.scale):
        return pixels, landmarks
    draw = torch.randn(len(pixels), 4, generator=generator, device=pixels.device)
    angle = draw[:, 0] * math.radians(settings.rotation_deg)
    zoom = torch.exp(-draw[:, 1] * settings.scale)
    shift = 2 * settings.translation * draw[:, 2:]
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    matrix = torch.stack(
        [torch.stack([cosine, -sine, shift[:, 0]], dim=1), torch.stack([sine, cosine, shift[:, 1]], dim=1)], dim=1
    )
    grid = torch.nn.functional.affine_grid(matrix, list(pixels.shape), align_corners=False)
    # The matrix takes a place in the new image to where its pixel comes from; landmarks go the other way. Places are
    # counted from -1 to 1 between the outer edges of the outer pixels.
    places = (2 * landmarks + 1) / IMAGE_SIZE - 1
    moved = torch.linalg.solve(matrix[:, :, :2], (places - matrix[:, None, :, 2]).transpose(1, 2)).transpose(1, 2)
    moved_pixels = torch.nn.functional.grid_sample(pixels, grid, align_corners=False)
    return moved_pixels, ((moved + 1) * IMAGE_SIZE - 1) / 2


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
