"""Table 3 of the paper for a batch: image and mask go through one warp, then the image's intensities change."""

import math

import torch
from kornia.filters import gaussian_blur2d
from kornia.geometry.transform import warp_affine
from torch import Tensor

from lunglens.study.config.training import Augment, Range


def augment(images: Tensor, masks: Tensor, settings: Augment) -> tuple[Tensor, Tensor]:
    """Augment a batch.

    Args:
        images: (N, 1, H, W), 0..1.
        masks: (N, 1, H, W), 0 or 1.
        settings: ranges and probabilities; the defaults are the paper's.

    Returns:
        images, 0..1, and masks, 0 or 1, of the same shapes. Randomness comes from torch's global generator.
    """
    images, masks = warp(images, masks, settings)
    return intensities(images, settings), masks


def warp(images: Tensor, masks: Tensor, settings: Augment) -> tuple[Tensor, Tensor]:
    """Scale, rotation, shear (and flip, aspect, shift) composed into one affine warp; what enters is black.

    The image is interpolated linearly, the mask by its nearest neighbour. Scaling about the centre on a canvas of
    fixed size is the paper's "pad to, then centre crop to".
    """
    height, width = images.shape[-2:]
    matrices = random_affines(len(images), height, width, settings).to(images)
    images = warp_affine(images, matrices, (height, width), mode="bilinear", padding_mode="zeros")
    masks = warp_affine(masks, matrices, (height, width), mode="nearest", padding_mode="zeros")
    return images, masks


def random_affines(count: int, height: int, width: int, settings: Augment) -> Tensor:
    """(count, 2, 3) matrices from source to target pixel coordinates."""
    angle = torch.deg2rad(_uniform(count, (-settings.rotate_deg, settings.rotate_deg)))
    scale = _uniform(count, settings.scale)
    stretch = 1 + _uniform(count, (-settings.aspect, settings.aspect))
    mirror = 1 - 2 * _chosen(count, settings.flip_probability).float()
    shear = _uniform(count, (-settings.shear, settings.shear)) * _chosen(count, settings.shear_probability)
    cosine, sine, zero, one = angle.cos(), angle.sin(), torch.zeros(count), torch.ones(count)
    rotation = torch.stack([cosine, -sine, sine, cosine], 1).view(-1, 2, 2)
    shearing = torch.stack([one, shear, zero, one], 1).view(-1, 2, 2)
    scaling = torch.stack([scale * stretch * mirror, zero, zero, scale], 1).view(-1, 2, 2)
    linear = rotation @ shearing @ scaling
    centre = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    sides = torch.tensor([float(width), float(height)])
    shift = _uniform(2 * count, (-settings.shift, settings.shift)).view(count, 2) * sides
    offset = centre + shift - (linear @ centre)
    return torch.cat([linear, offset.unsqueeze(-1)], dim=-1)


def intensities(images: Tensor, settings: Augment) -> Tensor:
    """Gamma, salt and pepper, blur, noise (and contrast, brightness, sharpening); the result is clipped to 0..1."""
    count = len(images)
    images = images.clamp_min(1e-6) ** _column(_log_uniform(count, settings.gamma), images)
    images = _contrast_and_brightness(images, settings)
    images = _salt_and_pepper(images, settings)
    images = _blur_or_sharpen(images, settings)
    noisy = _chosen(count, settings.noise_probability).float() * settings.noise_gain
    spread = images.flatten(1).std(1).view(-1, 1, 1, 1)
    images = images + _column(noisy, images) * spread * torch.randn_like(images)
    return images.clamp(0, 1)


def _contrast_and_brightness(images: Tensor, settings: Augment) -> Tensor:
    count = len(images)
    mean = images.mean((1, 2, 3), keepdim=True)
    contrast = _column(_uniform(count, settings.contrast), images)
    brightness = _column(_uniform(count, (-settings.brightness, settings.brightness)), images)
    return ((images - mean) * contrast + mean + brightness).clamp(0, 1)


def _salt_and_pepper(images: Tensor, settings: Augment) -> Tensor:
    chosen = _column(_chosen(len(images), settings.salt_pepper_probability), images)
    draw = torch.rand_like(images)
    half = settings.salt_pepper_fraction / 2
    images = images.masked_fill((draw < half) & chosen.bool(), 0.0)
    return images.masked_fill((draw > 1 - half) & chosen.bool(), 1.0)


def _blur_or_sharpen(images: Tensor, settings: Augment) -> Tensor:
    count = len(images)
    sigma = _uniform(count, settings.blur_sigma).clamp_min(1e-3).to(images)
    blurred = gaussian_blur2d(images, (settings.blur_kernel,) * 2, torch.stack([sigma, sigma], 1))
    blur = _column(_chosen(count, settings.blur_probability), images).bool()
    sharpen = _column(_chosen(count, settings.sharpen_probability), images).bool()
    sharpened = images + (images - blurred)
    return torch.where(blur, blurred, torch.where(sharpen, sharpened, images))


def _uniform(count: int, bounds: Range) -> Tensor:
    return torch.rand(count) * (bounds[1] - bounds[0]) + bounds[0]


def _log_uniform(count: int, bounds: Range) -> Tensor:
    return _uniform(count, (math.log(bounds[0]), math.log(bounds[1]))).exp()


def _chosen(count: int, probability: float) -> Tensor:
    return torch.rand(count) < probability


def _column(values: Tensor, images: Tensor) -> Tensor:
    return values.to(images.device).view(-1, 1, 1, 1)
