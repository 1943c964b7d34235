"""Outlines, textures and shading of made scenes, for a whole batch at once.

A picture's plane has coordinates x, y in [-1, 1]; each shape has coordinates u, v of its own, in
which it is about as large as the unit circle. Arrays (n, s, s) have a plane for each scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

TURNS = 256  # directions in which an outline's radius is known
BANK = 256  # px, side of the noise
GLYPHS = 12  # px, side of the marks that look like text


class Plane(NamedTuple):
    """Coordinates (n, s, s), and pixels in a unit of them (n, 1, 1)."""

    u: Tensor
    v: Tensor
    pixels: Tensor


@dataclass(frozen=True, eq=False)
class Dice:
    """Random numbers of n scenes, all drawn from one seed."""

    n: int
    generator: torch.Generator

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        """Even in [low, high): (n, 1, 1), or (n, *shape)."""
        drawn = torch.rand(
            self.n, *(shape or (1, 1)), generator=self.generator, device=self._device
        )
        return low + (high - low) * drawn

    def chance(self, share: float) -> Tensor:
        """True in that share of the scenes, (n, 1, 1)."""
        return self.between(0, 1) < share

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.n, *shape, generator=self.generator, device=self._device)

    def one_of(self, count: int) -> Tensor:
        """Weights (n, count), one of them 1 and the others 0."""
        drawn = torch.randint(count, (self.n,), generator=self.generator, device=self._device)
        return functional.one_hot(drawn, count).float()

    @property
    def _device(self) -> torch.device:
        return self.generator.device


def plane(n: int, side: int, device: torch.device) -> Plane:
    """The pictures' own."""
    line = (torch.arange(side, device=device) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    pixels = torch.full((n, 1, 1), side / 2, device=device)
    return Plane(x.expand(n, -1, -1), y.expand(n, -1, -1), pixels)


def inner(outer: Plane, at: tuple[Tensor, Tensor], size: Tensor, dice: Dice, thin: float) -> Plane:
    """A shape's plane in another: there ``at``, as large as ``size``, turned, flattened, bent.

    ``thin`` is the share of shapes that are much longer than wide.
    """
    angle = dice.between(-math.pi, math.pi)
    cos, sin = angle.cos() / size, angle.sin() / size
    x, y = outer.u - at[0], outer.v - at[1]
    slender = torch.where(dice.chance(thin), dice.between(5, 16), dice.between(1, 2.5))
    u, v = cos * x + sin * y, cos * y - sin * x
    bend = dice.normal(1, 1) * 0.35 * dice.chance(0.4)
    v = (v + bend * u * u) * slender
    return Plane(u, v, outer.pixels * size / slender.sqrt())


def outline(where: Plane, dice: Dice) -> tuple[Tensor, Tensor]:
    """How much of each pixel a shape of any kind covers, in [0, 1], and r / R inside it."""
    radius = _radii(dice)
    angle = torch.atan2(where.v, where.u) * (TURNS / (2 * math.pi)) + TURNS / 2
    low = angle.long().clamp(0, TURNS - 1).flatten(1)
    part = angle.flatten(1) - low
    reach = radius.gather(1, low) * (1 - part) + radius.gather(1, low + 1) * part
    reach = reach.view_as(where.u)
    distance = (where.u.square() + where.v.square()).sqrt()
    hole = dice.between(0.4, 0.85) * dice.chance(0.12)
    depth = torch.minimum(reach - distance, distance - hole * reach + 9 * (hole == 0))
    soft = dice.between(0.8, 2.0)
    return (depth * where.pixels / soft + 0.5).clamp(0, 1), distance / reach


def _radii(dice: Dice) -> Tensor:
    """Radii (n, TURNS + 1) of ellipses to rectangles, polygons, stars, petals and blobs."""
    turn = torch.linspace(-math.pi, math.pi, TURNS + 1, device=dice.generator.device)[None]
    corners = dice.between(3, 9, 1).floor()
    power = 2 ** dice.between(0.2, 3.5, 1)
    oval = (turn.cos().abs() ** power + turn.sin().abs() ** power) ** (-1 / power)
    step = 2 * math.pi / corners
    polygon = (step / 2).cos() / (torch.remainder(turn + math.pi, step) - step / 2).cos()
    star = (
        1 - dice.between(0.2, 0.6, 1) * (torch.remainder(turn * corners, 6.2832) / 3.1416 - 1).abs()
    )
    petals = 0.75 + 0.25 * (turn * corners).cos()
    waves = torch.arange(2, 9, device=turn.device)[None, :, None]
    heights = dice.normal(7, 1) / waves**1.3
    bumps = (heights * (waves * turn[:, None] + dice.between(0, 6.28, 7, 1)).cos()).sum(1)
    blob = (0.45 * bumps).clamp(-1, 0.6).exp()
    kinds = torch.stack([oval.expand_as(blob), oval.expand_as(blob), polygon, star, petals, blob])
    made = torch.einsum("knt,nk->nt", kinds, dice.one_of(len(kinds)))
    return made * (bumps * dice.between(0, 0.12, 1) * dice.chance(0.5)[:, 0]).exp()


def colour(where: Plane, noise: Tensor, palette: Tensor, dice: Dice) -> Tensor:
    """Colours (n, 3, s, s): two of the palette in a texture, with grain.

    ``palette`` (n, k, 3) in [0, 1]; ``noise`` (n, 1, BANK, BANK) about 0.
    """
    u, v = where.u, where.v
    grain = _noise(u, v, noise, dice)
    slope = dice.between(-1, 1)
    often = 2 ** dice.between(2, 5)
    wave = (often * (u * slope + v * (1 - slope.abs())) + 2 * dice.chance(0.3) * grain).sin()
    grid = (often * u).sin() * (often * v).sin()
    spots = (often * u).sin() + (often * v).sin() - 0.6
    sharp = 2 ** dice.between(-1, 4)
    kinds = [torch.zeros_like(u), wave * sharp, grid * sharp, spots * sharp, 1.5 * grain]
    kinds += [6 * _glyphs(u, v, dice) - 3, 3 * (u * slope + v * (1 - slope.abs()))]
    weights = dice.one_of(len(kinds))
    mixed = torch.stack([k * weights[:, i, None, None] for i, k in enumerate(kinds)]).sum(0)
    share = (mixed.clamp(-1, 1) * 0.5 + 0.5)[:, None]
    one, other = _picked(palette, dice), _picked(palette, dice)
    other = torch.lerp(one, other, dice.between(0.1, 1)[..., None])
    rough = 0.12 * dice.between(0, 1).square() * grain
    return torch.lerp(one, other, share) + rough[:, None]


def _picked(palette: Tensor, dice: Dice) -> Tensor:
    chosen = torch.einsum("nk,nkc->nc", dice.one_of(palette.shape[1]), palette)
    return (chosen + 0.06 * dice.normal(3))[..., None, None]


def _noise(u: Tensor, v: Tensor, bank: Tensor, dice: Dice) -> Tensor:
    """Noise that is fixed to the shape, at any scale; it repeats far out."""
    scale = 2 ** dice.between(-2.5, 0.5)
    x, y = u * scale + dice.between(-1, 1), v * scale + dice.between(-1, 1)
    folded = torch.stack([torch.remainder(c + 1, 4) - 2 for c in (x, y)], dim=-1).abs() - 1
    return functional.grid_sample(bank, folded, "bilinear", "border", False)[:, 0]


def _glyphs(u: Tensor, v: Tensor, dice: Dice) -> Tensor:
    """Rows of small marks, 0 or 1, blank outside a few lines."""
    letters = (dice.between(0, 1, 1, GLYPHS, GLYPHS) < 0.55).float()
    letters[..., ::4, :] = 0
    letters[..., ::4] = 0
    at = torch.stack([u * 0.9, v * 1.6], dim=-1).clamp(-2, 2)
    return functional.grid_sample(letters, at, "nearest", "zeros", False)[:, 0]


def bank(dice: Dice) -> Tensor:
    """Noise (n, 1, BANK, BANK) of unit deviation whose amplitude falls with frequency."""
    flat = dice.between(0.5, 1.2, 1, 1, 1)
    made = torch.zeros(dice.n, 1, BANK, BANK, device=dice.generator.device)
    for octave in range(2, 9):
        coarse = dice.normal(1, 2**octave, 2**octave)
        amplitude = 2.0 ** (-octave * flat)
        made = made + amplitude * functional.interpolate(coarse, (BANK, BANK), mode="bilinear")
    return made / made.std((1, 2, 3), keepdim=True)


def shade(where: Plane, rim: Tensor, light: Tensor, dice: Dice) -> Tensor:
    """Brightness (n, 1, s, s), about 1: of a flat, a tilted or a round surface, with a highlight.

    ``light`` (n, 2, 1, 1) is the direction it comes from in u and v.
    """
    towards = where.u * light[:, 0] + where.v * light[:, 1]
    tilt, dome = dice.between(0, 0.5), dice.between(0, 0.6) * dice.chance(0.6)
    made = 1 + tilt * towards.clamp(-1.5, 1.5) - dome * rim.clamp(0, 1.2).square()
    apart = (where.u - 0.4 * light[:, 0]).square() + (where.v - 0.4 * light[:, 1]).square()
    glint = dice.between(0, 1) * dice.chance(0.25) * (-apart * dice.between(8, 60)).exp()
    return (made + glint).clamp(0.15, 2)[:, None]
