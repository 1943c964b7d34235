"""Outlines, textures and shading of flat scenes, for a whole batch at once.

The picture's plane has coordinates u, v in [-1, 1]. Each shape has its own plane, in which it is
about as large as the unit circle. Arrays are (n, s, s) for n scenes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from models.training.batch_random import BatchRandom

ANGLES = 256  # at which an outline's radius is given
NOISE_SIDE = 256  # px
LETTERS_SIDE = 12  # px, of a bitmap that looks like text


class Plane(NamedTuple):
    """Coordinates ``u``, ``v`` (n, s, s), and pixels per unit of them (n, 1, 1)."""

    u: Tensor
    v: Tensor
    pixels_per_unit: Tensor


def picture_plane(n: int, side: int, device: torch.device) -> Plane:
    """Return the plane of pictures of ``side`` px."""
    line = (torch.arange(side, device=device) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    pixels = torch.full((n, 1, 1), side / 2, device=device)
    return Plane(x.expand(n, -1, -1), y.expand(n, -1, -1), pixels)


def inner_plane(
    outer: Plane,
    center: tuple[Tensor, Tensor],
    size: Tensor,
    rng: BatchRandom,
    slender_share: float,
) -> Plane:
    """Return a shape's plane: moved to ``center``, scaled by ``size``, rotated, flattened and bent.

    ``slender_share`` is the share of shapes that are much longer than wide.
    """
    angle = rng.uniform(-math.pi, math.pi)
    cos, sin = angle.cos() / size, angle.sin() / size
    x, y = outer.u - center[0], outer.v - center[1]
    aspect = torch.where(rng.bernoulli(slender_share), rng.uniform(5, 16), rng.uniform(1, 2.5))
    u, v = cos * x + sin * y, cos * y - sin * x
    bend = rng.normal(1, 1) * 0.35 * rng.bernoulli(0.4)
    v = (v + bend * u * u) * aspect
    return Plane(u, v, outer.pixels_per_unit * size / aspect.sqrt())


def draw_outline(plane: Plane, rng: BatchRandom) -> tuple[Tensor, Tensor]:
    """Return a random shape's coverage of pixels in [0, 1], and the radius relative to its edge."""
    radii = _outline_radii(rng)
    angle = torch.atan2(plane.v, plane.u) * (ANGLES / (2 * math.pi)) + ANGLES / 2
    index = angle.long().clamp(0, ANGLES - 1).flatten(1)
    fraction = angle.flatten(1) - index
    outline_radius = radii.gather(1, index) * (1 - fraction) + radii.gather(1, index + 1) * fraction
    outline_radius = outline_radius.view_as(plane.u)
    distance = (plane.u.square() + plane.v.square()).sqrt()
    hole_radius = rng.uniform(0.4, 0.85) * rng.bernoulli(0.12)
    depth = torch.minimum(
        outline_radius - distance, distance - hole_radius * outline_radius + 9 * (hole_radius == 0)
    )
    softness = rng.uniform(0.8, 2.0)
    return (depth * plane.pixels_per_unit / softness + 0.5).clamp(0, 1), distance / outline_radius


def _outline_radii(rng: BatchRandom) -> Tensor:
    """Return radii (n, ANGLES + 1): superellipses, polygons, stars, petals and blobs."""
    angle = torch.linspace(-math.pi, math.pi, ANGLES + 1, device=rng.generator.device)[None]
    corners = rng.uniform(3, 9, 1).floor()
    power = 2 ** rng.uniform(0.2, 3.5, 1)
    superellipse = (angle.cos().abs() ** power + angle.sin().abs() ** power) ** (-1 / power)
    step = 2 * math.pi / corners
    polygon = (step / 2).cos() / (torch.remainder(angle + math.pi, step) - step / 2).cos()
    star = (
        1 - rng.uniform(0.2, 0.6, 1) * (torch.remainder(angle * corners, 6.2832) / 3.1416 - 1).abs()
    )
    petals = 0.75 + 0.25 * (angle * corners).cos()
    waves = torch.arange(2, 9, device=angle.device)[None, :, None]
    amplitudes = rng.normal(7, 1) / waves**1.3
    bumps = (amplitudes * (waves * angle[:, None] + rng.uniform(0, 6.28, 7, 1)).cos()).sum(1)
    blob = (0.45 * bumps).clamp(-1, 0.6).exp()
    kinds = torch.stack(
        [superellipse.expand_as(blob), superellipse.expand_as(blob), polygon, star, petals, blob]
    )
    radii = torch.einsum("knt,nk->nt", kinds, rng.one_hot(len(kinds)))
    return radii * (bumps * rng.uniform(0, 0.12, 1) * rng.bernoulli(0.5)[:, 0]).exp()


def paint_texture(plane: Plane, noise: Tensor, palette: Tensor, rng: BatchRandom) -> Tensor:
    """Return colours (n, 3, s, s): two colours of the palette in a random pattern, with grain.

    ``palette`` (n, k, 3) in [0, 1]; ``noise`` (n, 1, NOISE_SIDE, NOISE_SIDE) with mean 0.
    """
    u, v = plane.u, plane.v
    grain = _sample_noise(u, v, noise, rng)
    slope = rng.uniform(-1, 1)
    frequency = 2 ** rng.uniform(2, 5)
    wave = (frequency * (u * slope + v * (1 - slope.abs())) + 2 * rng.bernoulli(0.3) * grain).sin()
    grid = (frequency * u).sin() * (frequency * v).sin()
    spots = (frequency * u).sin() + (frequency * v).sin() - 0.6
    contrast = 2 ** rng.uniform(-1, 4)
    kinds = [torch.zeros_like(u), wave * contrast, grid * contrast, spots * contrast, 1.5 * grain]
    kinds += [6 * _letters(u, v, rng) - 3, 3 * (u * slope + v * (1 - slope.abs()))]
    weights = rng.one_hot(len(kinds))
    pattern = torch.stack([k * weights[:, i, None, None] for i, k in enumerate(kinds)]).sum(0)
    weight = (pattern.clamp(-1, 1) * 0.5 + 0.5)[:, None]
    first, second = _pick_colour(palette, rng), _pick_colour(palette, rng)
    second = torch.lerp(first, second, rng.uniform(0.1, 1)[..., None])
    grain_ = 0.12 * rng.uniform(0, 1).square() * grain
    return torch.lerp(first, second, weight) + grain_[:, None]


def _pick_colour(palette: Tensor, rng: BatchRandom) -> Tensor:
    colours = torch.einsum("nk,nkc->nc", rng.one_hot(palette.shape[1]), palette)
    return (colours + 0.06 * rng.normal(3))[..., None, None]


def _sample_noise(u: Tensor, v: Tensor, noise_bank: Tensor, rng: BatchRandom) -> Tensor:
    """Return noise that is fixed to the shape, at a random scale; mirrored far out."""
    scale = 2 ** rng.uniform(-2.5, 0.5)
    x, y = u * scale + rng.uniform(-1, 1), v * scale + rng.uniform(-1, 1)
    folded = torch.stack([torch.remainder(c + 1, 4) - 2 for c in (x, y)], dim=-1).abs() - 1
    return functional.grid_sample(noise_bank, folded, "bilinear", "border", False)[:, 0]


def _letters(u: Tensor, v: Tensor, rng: BatchRandom) -> Tensor:
    """Return rows of small marks, 0 or 1, blank outside a few lines."""
    letters = (rng.uniform(0, 1, 1, LETTERS_SIDE, LETTERS_SIDE) < 0.55).float()
    letters[..., ::4, :] = 0
    letters[..., ::4] = 0
    grid = torch.stack([u * 0.9, v * 1.6], dim=-1).clamp(-2, 2)
    return functional.grid_sample(letters, grid, "nearest", "zeros", False)[:, 0]


def noise_bank(rng: BatchRandom) -> Tensor:
    """Return noise (n, 1, NOISE_SIDE, NOISE_SIDE) of unit deviation, weaker at high frequencies."""
    falloff = rng.uniform(0.5, 1.2, 1, 1, 1)
    noise = torch.zeros(rng.count, 1, NOISE_SIDE, NOISE_SIDE, device=rng.generator.device)
    for octave in range(2, 9):
        coarse = rng.normal(1, 2**octave, 2**octave)
        amplitude = 2.0 ** (-octave * falloff)
        noise = noise + amplitude * functional.interpolate(
            coarse, (NOISE_SIDE, NOISE_SIDE), mode="bilinear"
        )
    return noise / noise.std((1, 2, 3), keepdim=True)


def shading(plane: Plane, rim: Tensor, light_direction: Tensor, rng: BatchRandom) -> Tensor:
    """Return brightness (n, 1, s, s), about 1, of a flat, tilted or round surface with a highlight.

    ``light_direction`` (n, 2, 1, 1) points towards the light in u and v.
    """
    toward_light = plane.u * light_direction[:, 0] + plane.v * light_direction[:, 1]
    tilt, dome = rng.uniform(0, 0.5), rng.uniform(0, 0.6) * rng.bernoulli(0.6)
    brightness = 1 + tilt * toward_light.clamp(-1.5, 1.5) - dome * rim.clamp(0, 1.2).square()
    distance = (plane.u - 0.4 * light_direction[:, 0]).square() + (
        plane.v - 0.4 * light_direction[:, 1]
    ).square()
    highlight = rng.uniform(0, 1) * rng.bernoulli(0.25) * (-distance * rng.uniform(8, 60)).exp()
    return (brightness + highlight).clamp(0.15, 2)[:, None]
