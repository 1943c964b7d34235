"""A simulated camera for flat scenes: blur, tone, noise, JPEG compression, the photo's shape."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from models.training.batch_random import BatchRandom
from segment2inpaint.detect.sam.checkpoint import PIXEL_MEAN

BLUR_RADIUS = 6  # px, half the width of the kernel
JPEG_BLOCK = 8  # px, side of a block of the discrete cosine transform

# Rows: luma and the two chroma channels of JFIF, from R, G, B.
RGB_TO_YCC = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))


def gaussian_blur(pictures: Tensor, sigma: Tensor) -> Tensor:
    """Blur pictures (n, 3, s, s) by ``sigma`` (n, 1, 1) px; below 0.2 it has almost no effect."""
    n, c, h, w = pictures.shape
    offsets = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=pictures.device)
    kernel = (-(offsets**2) / (2 * sigma[:, 0].clamp(min=0.15) ** 2)).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(c, 0)[:, None]
    flat = functional.pad(pictures.reshape(1, n * c, h, w), [BLUR_RADIUS] * 4, "reflect")
    flat = functional.conv2d(flat, kernel[..., None], groups=n * c)
    return functional.conv2d(flat, kernel[:, :, None], groups=n * c).view(n, c, h, w)


def photograph(pictures: Tensor, rng: BatchRandom) -> tuple[Tensor, Tensor]:
    """Return images as in ``FlatScenes``, and which pixels (n, s, s) belong to the photo."""
    side = pictures.shape[-1]
    photos = gaussian_blur(pictures, rng.uniform(0, 1.2) * rng.bernoulli(0.5) * side / 256)
    photos = photos.clamp(0.003, 1) ** (2 ** rng.uniform(-0.8, 0.4))[..., None]
    photos = photos * (1 + 0.08 * rng.normal(3, 1, 1))
    strength = 0.06 * rng.uniform(0, 1).square()[..., None]
    photos = photos + strength * rng.normal(3, side, side)
    photos = (jpeg_compress(photos * 255, rng)).round().clamp(0, 255)
    inside = _photo_area(side, rng)
    outside = torch.tensor(PIXEL_MEAN, device=pictures.device)[:, None, None]
    return torch.where(inside[:, None], photos, outside), inside


def jpeg_compress(images: Tensor, rng: BatchRandom) -> Tensor:
    """Quantise 70 % of the images as JPEG does, more coarsely at high frequencies."""
    n, c, h, w = images.shape
    to_ycc = torch.tensor(RGB_TO_YCC, device=images.device)
    ycc = torch.einsum("dc,nchw->ndhw", to_ycc, images - 128)
    basis = _cosine_basis(images.device)
    blocks = ycc.view(n, c, h // JPEG_BLOCK, JPEG_BLOCK, w // JPEG_BLOCK, JPEG_BLOCK)
    coefficients = torch.einsum("ai,ncyixj,bj->ncyxab", basis, blocks, basis)
    order = torch.arange(JPEG_BLOCK, device=images.device)
    step = (
        1
        + 0.6
        * (order[:, None] + order)
        * torch.tensor([1, 2, 2], device=images.device)[:, None, None]
    )
    step = step[None, :, None, None] * (10 * rng.uniform(0, 1, 1, 1, 1, 1, 1).square() + 0.1)
    quantised = torch.einsum(
        "ai,ncyxab,bj->ncyixj", basis, (coefficients / step).round() * step, basis
    )
    to_rgb = torch.linalg.inv(to_ycc.cpu()).to(images.device)
    decoded = torch.einsum("cd,ndhw->nchw", to_rgb, quantised.reshape(n, c, h, w)) + 128
    return torch.where(rng.bernoulli(0.7)[..., None], decoded, images)


def _cosine_basis(device: torch.device) -> Tensor:
    """Return the orthonormal cosine transform (JPEG_BLOCK, JPEG_BLOCK), one frequency per row."""
    order = torch.arange(JPEG_BLOCK, device=device)
    angle = order[:, None] * (2 * order + 1) * (math.pi / (2 * JPEG_BLOCK))
    basis = angle.cos() * math.sqrt(2 / JPEG_BLOCK)
    scale = torch.ones(JPEG_BLOCK, 1, device=device)
    scale[0] = 0.5**0.5
    return basis * scale


def _photo_area(side: int, rng: BatchRandom) -> Tensor:
    """Return a random photo's area: its long side fills the frame, its short side rarely does."""
    short_side = (rng.uniform(0.5, 1.1).clamp(max=1) * side).round()
    is_portrait = rng.bernoulli(0.4)
    index = torch.arange(side, device=short_side.device)
    rows = index[:, None] < torch.where(is_portrait, side, short_side)
    return rows & (index < torch.where(is_portrait, short_side, side))
