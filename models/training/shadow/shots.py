"""What cameras make of pictures in light, a batch at a time: tone, blur, grain, compression.

Pictures are (n, 3, h, w) as displayed, in [0, 1], where nothing else is said.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

from models.training.shadow.chance import Chance

GAMMA = 2.2
BLOCK = 8  # px, of the compression
REACH = 8  # px, of the widest blur


def linear(shown: Tensor) -> Tensor:
    return shown.clamp(0, 1) ** GAMMA


def shown(light: Tensor) -> Tensor:
    return light.clamp(1e-4, 1) ** (1 / GAMMA)


def smooth(maps: Tensor, across: Tensor, down: Tensor | None = None, reach: int = REACH) -> Tensor:
    """(n, c, h, w) blurred by so many px (n, 1, 1, 1) each; hardly at all below 0.2."""
    n, c, h, w = maps.shape
    flat = functional.pad(maps.reshape(1, n * c, h, w), [reach] * 4, "replicate")
    rows, columns = (_kernel(s, c, reach) for s in (across, across if down is None else down))
    flat = functional.conv2d(flat, rows[:, None, None], groups=n * c)
    return functional.conv2d(flat, columns[:, None, :, None], groups=n * c).view(n, c, h, w)


def _kernel(sigma: Tensor, channels: int, reach: int) -> Tensor:
    steps = torch.arange(-reach, reach + 1, device=sigma.device)
    made = (-(steps**2) / (2 * sigma.flatten()[:, None].clamp(min=0.15) ** 2)).exp()
    return (made / made.sum(1, keepdim=True)).repeat_interleave(channels, 0)


def grown(maps: Tensor) -> Tensor:
    """The largest of each pixel and its eight neighbours."""
    made = maps.clone()
    for after, before in ((made[..., 1:], maps[..., :-1]), (made[..., :-1], maps[..., 1:])):
        torch.maximum(after, before, out=after)
    rows = made.clone()
    for after, before in (
        (rows[..., 1:, :], made[..., :-1, :]),
        (rows[..., :-1, :], made[..., 1:, :]),
    ):
        torch.maximum(after, before, out=after)
    return rows


def wide(maps: Tensor, sigma: Tensor, down: Tensor | None = None) -> Tensor:
    """As ``smooth``, but up to four times as far, made at a quarter of the size."""
    small = functional.avg_pool2d(maps, 4)
    made = smooth(small, sigma / 4, None if down is None else down / 4)
    return functional.interpolate(made, maps.shape[-2:], mode="bilinear", align_corners=False)


def clouds(chance: Chance, side: int, coarse: int, fine: int) -> Tensor:
    """Smooth noise (n, 1, side, side) of about unit deviation, of scales between the two px."""
    made = chance.normal(1, coarse, coarse)
    count, steep = coarse, chance.between(0.3, 1.0)
    strength = steep
    while count < fine:
        count *= 2
        made = functional.interpolate(made, (count, count), mode="bicubic", align_corners=False)
        made = made + strength * chance.normal(1, count, count)
        strength = strength * steep
    made = made / made.std((2, 3), keepdim=True).clamp(min=1e-3)
    return functional.interpolate(made, (side, side), mode="bicubic", align_corners=False)


def toned(pair: tuple[Tensor, Tensor], chance: Chance) -> tuple[Tensor, Tensor]:
    """A photo and its clean twin as one camera shows them: exposure, colour, gamma, contrast."""
    light = 2 ** chance.between(-1.2, 0.7)
    cast = 1 + 0.08 * chance.normal(3, 1, 1)
    power, bend = 2 ** chance.between(-0.35, 0.35), chance.between(-0.3, 0.7)
    colour, lift = chance.between(0.3, 1.4), chance.between(0, 0.1) * chance.often(0.4)
    made = []
    for one in pair:
        lit = linear(one) * light * cast
        lit = lit.clamp(max=0.7) + 0.3 * torch.tanh((lit - 0.7).clamp(min=0) / 0.3)
        grey = lit.mean(1, keepdim=True)
        seen = shown(grey + colour * (lit - grey)) ** power
        seen = seen + bend * (seen * seen * (3 - 2 * seen) - seen)
        made.append((lift + (1 - lift) * seen).clamp(0, 1))
    return made[0], made[1]


def taken(photo: Tensor, chance: Chance) -> Tensor:
    """Dark corners, blur, grain of some size, blocks: whole levels of 255, in [0, 1]."""
    h, w = photo.shape[2:]
    soft = chance.between(0, 1.3) * chance.often(0.5)
    made = smooth(photo, soft, reach=4)
    grain = chance.normal(3, h, w)
    grain = torch.lerp(grain.mean(1, keepdim=True).expand_as(grain), grain, chance.between(0, 1))
    grain = smooth(grain, chance.between(0, 0.9) * chance.often(0.5), reach=3)
    made = made + 0.03 * chance.between(0, 1).square() * grain
    made[::2] = _compressed(made[::2], 5 * chance.between(0, 1)[::2].square() + 0.1)
    return (made * 255).round().clamp(0, 255) / 255


def _compressed(photo: Tensor, rough: Tensor) -> Tensor:
    """As JPEG does it, by steps ``rough`` (n, 1, 1, 1) that grow with the frequency."""
    n, c, h, w = photo.shape
    there, back, basis, order = _jpeg(photo.device)
    mixed = (there @ (photo * 255 - 128).flatten(2)).view(
        n, c, h // BLOCK, BLOCK, w // BLOCK, BLOCK
    )
    waves = mixed.transpose(3, 4).reshape(n, c, -1, BLOCK * BLOCK) @ basis
    step = 1 + order * rough
    blocks = ((waves / step).round() * step @ basis.T).view(
        n, c, h // BLOCK, w // BLOCK, BLOCK, BLOCK
    )
    return ((back @ blocks.transpose(3, 4).reshape(n, c, h * w)).view(n, c, h, w) + 128) / 255


@functools.cache
def _jpeg(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """JFIF's luma and chroma of R, G, B and back; the waves of a block as columns; how coarse each
    of them is.
    """
    ycc = [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]]
    there, order = torch.tensor(ycc), torch.arange(BLOCK)
    angle = order[:, None] * (2 * order + 1) * (math.pi / (2 * BLOCK))
    basis = angle.cos() * math.sqrt(2 / BLOCK)
    basis[0] *= 0.5**0.5
    coarse = (1 + 0.6 * (order[:, None] + order)) * torch.tensor([1.0, 2, 2])[:, None, None]
    parts = there, torch.linalg.inv(there), torch.kron(basis, basis).T, coarse.view(1, 3, 1, -1)
    a, b, c, d = (part.to(device) for part in parts)
    return a, b, c, d
