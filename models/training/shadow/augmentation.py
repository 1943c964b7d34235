"""Camera effects on batches of pictures: tone, blur, grain, JPEG compression.

Pictures are float32 (n, 3, h, w) in [0, 1] as displayed, unless a docstring says otherwise.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

from models.training.batch_random import BatchRandom

DISPLAY_GAMMA = 2.2
JPEG_BLOCK = 8  # px, side of a block of the discrete cosine transform
BLUR_RADIUS = 8  # px, half the width of the default blur kernel


def to_linear(displayed: Tensor) -> Tensor:
    """Return linear light in [0, 1] of displayed values."""
    return displayed.clamp(0, 1) ** DISPLAY_GAMMA


def to_display(light: Tensor) -> Tensor:
    """Return displayed values of linear light."""
    return light.clamp(1e-4, 1) ** (1 / DISPLAY_GAMMA)


def gaussian_blur(
    maps: Tensor, sigma: Tensor, sigma_y: Tensor | None = None, radius: int = BLUR_RADIUS
) -> Tensor:
    """Blur maps (n, c, h, w) by ``sigma`` px, (n, 1, 1, 1); sigmas below 0.2 have almost no effect.

    ``sigma_y`` is the sigma along y if it differs. ``radius`` is half the width of the kernel.
    """
    n, c, h, w = maps.shape
    flat = functional.pad(maps.reshape(1, n * c, h, w), [radius] * 4, "replicate")
    kernel_x, kernel_y = (
        _kernel(s, c, radius) for s in (sigma, sigma if sigma_y is None else sigma_y)
    )
    flat = functional.conv2d(flat, kernel_x[:, None, None], groups=n * c)
    return functional.conv2d(flat, kernel_y[:, None, :, None], groups=n * c).view(n, c, h, w)


def _kernel(sigma: Tensor, channels: int, radius: int) -> Tensor:
    offsets = torch.arange(-radius, radius + 1, device=sigma.device)
    weights = (-(offsets**2) / (2 * sigma.flatten()[:, None].clamp(min=0.15) ** 2)).exp()
    return (weights / weights.sum(1, keepdim=True)).repeat_interleave(channels, 0)


def dilate(maps: Tensor) -> Tensor:
    """Return the maximum over each pixel and its eight neighbours."""
    columns = maps.clone()
    for target, neighbour in (
        (columns[..., 1:], maps[..., :-1]),
        (columns[..., :-1], maps[..., 1:]),
    ):
        torch.maximum(target, neighbour, out=target)
    rows = columns.clone()
    for target, neighbour in (
        (rows[..., 1:, :], columns[..., :-1, :]),
        (rows[..., :-1, :], columns[..., 1:, :]),
    ):
        torch.maximum(target, neighbour, out=target)
    return rows


def wide_blur(maps: Tensor, sigma: Tensor, sigma_y: Tensor | None = None) -> Tensor:
    """Blur like ``gaussian_blur``, at a quarter of the size: up to four times as wide."""
    small = functional.avg_pool2d(maps, 4)
    blurred = gaussian_blur(small, sigma / 4, None if sigma_y is None else sigma_y / 4)
    return functional.interpolate(blurred, maps.shape[-2:], mode="bilinear", align_corners=False)


def cloud_noise(rng: BatchRandom, side: int, coarse: int, fine: int) -> Tensor:
    """Return smooth noise (n, 1, side, side) of about unit deviation.

    Its finest detail is ``side / fine`` px, its coarsest ``side / coarse`` px.
    """
    noise = rng.normal(1, coarse, coarse)
    resolution, falloff = coarse, rng.uniform(0.3, 1.0)
    amplitude = falloff
    while resolution < fine:
        resolution *= 2
        noise = functional.interpolate(
            noise, (resolution, resolution), mode="bicubic", align_corners=False
        )
        noise = noise + amplitude * rng.normal(1, resolution, resolution)
        amplitude = amplitude * falloff
    noise = noise / noise.std((2, 3), keepdim=True).clamp(min=1e-3)
    return functional.interpolate(noise, (side, side), mode="bicubic", align_corners=False)


def adjust_tones(pictures: tuple[Tensor, Tensor], rng: BatchRandom) -> tuple[Tensor, Tensor]:
    """Give a photo and its clean plate the same random exposure, colour, gamma and contrast."""
    exposure = 2 ** rng.uniform(-1.2, 0.7)
    white_balance = 1 + 0.08 * rng.normal(3, 1, 1)
    gamma, contrast = 2 ** rng.uniform(-0.35, 0.35), rng.uniform(-0.3, 0.7)
    saturation, lift = rng.uniform(0.3, 1.4), rng.uniform(0, 0.1) * rng.bernoulli(0.4)
    adjusted = []
    for picture in pictures:
        light = to_linear(picture) * exposure * white_balance
        light = light.clamp(max=0.7) + 0.3 * torch.tanh((light - 0.7).clamp(min=0) / 0.3)
        grey = light.mean(1, keepdim=True)
        displayed = to_display(grey + saturation * (light - grey)) ** gamma
        displayed = displayed + contrast * (displayed * displayed * (3 - 2 * displayed) - displayed)
        adjusted.append((lift + (1 - lift) * displayed).clamp(0, 1))
    return adjusted[0], adjusted[1]


def capture(photo: Tensor, rng: BatchRandom) -> Tensor:
    """Add random blur, grain and JPEG compression; return values in [0, 1], whole levels of 255."""
    h, w = photo.shape[2:]
    sigma = rng.uniform(0, 1.3) * rng.bernoulli(0.5)
    captured = gaussian_blur(photo, sigma, radius=4)
    grain = rng.normal(3, h, w)
    grain = torch.lerp(grain.mean(1, keepdim=True).expand_as(grain), grain, rng.uniform(0, 1))
    grain = gaussian_blur(grain, rng.uniform(0, 0.9) * rng.bernoulli(0.5), radius=3)
    captured = captured + 0.03 * rng.uniform(0, 1).square() * grain
    captured[::2] = _jpeg_compress(captured[::2], 5 * rng.uniform(0, 1)[::2].square() + 0.1)
    return (captured * 255).round().clamp(0, 255) / 255


def _jpeg_compress(photo: Tensor, roughness: Tensor) -> Tensor:
    """Quantise as JPEG does; steps grow with the frequency and ``roughness`` (n, 1, 1, 1)."""
    n, c, h, w = photo.shape
    to_ycc, to_rgb, basis, steepness = _jpeg_matrices(photo.device)
    ycc = (to_ycc @ (photo * 255 - 128).flatten(2)).view(
        n, c, h // JPEG_BLOCK, JPEG_BLOCK, w // JPEG_BLOCK, JPEG_BLOCK
    )
    coefficients = ycc.transpose(3, 4).reshape(n, c, -1, JPEG_BLOCK * JPEG_BLOCK) @ basis
    step = 1 + steepness * roughness
    blocks = ((coefficients / step).round() * step @ basis.T).view(
        n, c, h // JPEG_BLOCK, w // JPEG_BLOCK, JPEG_BLOCK, JPEG_BLOCK
    )
    return ((to_rgb @ blocks.transpose(3, 4).reshape(n, c, h * w)).view(n, c, h, w) + 128) / 255


@functools.cache
def _jpeg_matrices(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the matrices RGB to YCbCr (JFIF) and back, the cosine basis and the step growth.

    The basis has one column per frequency of a block.
    """
    rows = [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]]
    to_ycc, order = torch.tensor(rows), torch.arange(JPEG_BLOCK)
    angle = order[:, None] * (2 * order + 1) * (math.pi / (2 * JPEG_BLOCK))
    basis = angle.cos() * math.sqrt(2 / JPEG_BLOCK)
    basis[0] *= 0.5**0.5
    steepness = (1 + 0.6 * (order[:, None] + order)) * torch.tensor([1.0, 2, 2])[:, None, None]
    matrices = (
        to_ycc,
        torch.linalg.inv(to_ycc),
        torch.kron(basis, basis).T,
        steepness.view(1, 3, 1, -1),
    )
    a, b, c, d = (matrix.to(device) for matrix in matrices)
    return a, b, c, d
