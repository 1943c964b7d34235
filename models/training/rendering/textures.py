"""Materials of bodies, and their colour at a point.

A material is a row of ``MATERIAL_SIZE`` numbers, see ``MATERIAL_FIELDS``. Points are in texture
space, where a pattern repeats about once per unit.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MATERIAL_FIELDS = {
    "base": 3, "second": 3, "stain": 3,  # colours, linear RGB
    "pattern": 1, "sharpness": 1, "wobble": 1,  # index in PATTERNS; contrast; distortion
    "grain": 1, "grain_scale": 1, "stain_cover": 1,  # fine noise; stained fraction
    "gloss": 1, "shininess": 1, "reflectivity": 1,  # highlight strength and exponent
}  # fmt: skip
MATERIAL_SIZE = sum(MATERIAL_FIELDS.values())
PATTERNS = (
    "plain", "noise", "stripes", "checks", "spots", "slope", "bricks", "planks", "windows",
    "letters", "leaves",
)  # fmt: skip


def split_fields(material: Tensor) -> dict[str, Tensor]:
    """Return the fields of rows (n, P, MATERIAL_SIZE) by name, each (n, P) or (n, 3, P)."""
    fields, start = {}, 0
    for name, size in MATERIAL_FIELDS.items():
        part = material[..., start : start + size]
        fields[name] = part[..., 0] if size == 1 else part.transpose(1, 2)
        start += size
    return fields


def sample_albedo(
    material: dict[str, Tensor], points: Tensor, noise: Tensor, letters: Tensor
) -> Tensor:
    """Return the albedo (n, 3, P) at points (n, 3, P) of texture space.

    ``noise`` (n, 2, b, b) has unit deviation, smooth and rough; ``letters`` (n, 1, l, l) is 0 or 1.
    """
    u, v, w = points.unbind(1)
    u, v = u + 0.37 * w, v + 0.61 * w  # so that surfaces of every direction show the pattern
    coarse, fine = _sample(noise, u, v, 0.13), _sample(noise, u * 1.7, v * 1.7, 0.5)
    coarse_noise, fine_noise = coarse[:, 0], fine[:, 1]
    u, v = u + material["wobble"] * coarse_noise, v + material["wobble"] * fine[:, 0]
    pattern = _pattern_value(material["pattern"], u, v, coarse_noise, fine[:, 0], letters)
    pattern = ((pattern * material["sharpness"]).clamp(-1, 1) * 0.5 + 0.5)[:, None]
    albedo = torch.lerp(material["base"], material["second"], pattern)
    stain_weight = ((coarse_noise - 1.2 + 2.4 * material["stain_cover"]) * 2).clamp(0, 1) * (
        material["stain_cover"] > 0
    )
    albedo = torch.lerp(albedo, material["stain"], 0.8 * stain_weight[:, None])
    scale = material["grain_scale"]
    grain = _sample(noise, u * scale, v * scale, 1.0)[:, 1]
    return (albedo * (material["grain"] * (grain + 0.4 * fine_noise)).exp()[:, None]).clamp(
        0.005, 1.2
    )


def _pattern_value(
    pattern: Tensor, u: Tensor, v: Tensor, coarse: Tensor, fine: Tensor, letters: Tensor
) -> Tensor:
    """Return values of about -1 to 1; the sign chooses one of the two colours."""
    stripes = (6.2832 * u).sin()
    row = v.floor()
    bricks = _is_line(u * 0.5 + 0.5 * torch.remainder(row, 2), 0.05).maximum(_is_line(v, 0.1))
    plank_shade = torch.remainder((row * 78.233).sin() * 43758.5453, 1.0) * 1.4 - 0.7
    planks = torch.where(_is_line(v, 0.04) > 0.5, torch.full_like(u, 1.2), plank_shade + 0.3 * fine)
    windows = 1.0 - 2.0 * ((_fraction(u) > 0.3) & (_fraction(v) > 0.35)).float()
    letters_ = _letter_cells(letters, u, v)
    result = torch.zeros_like(u)
    values = (
        torch.full_like(u, -1.0), coarse, stripes, stripes * (6.2832 * v).sin() * 1.5,
        (6.2832 * u).sin() + (6.2832 * v).sin() - 0.7, v * 0.5, 2 * bricks - 1, planks, windows,
        2 * letters_ - 1, fine + 0.5 * coarse,
    )  # fmt: skip
    for number, value in enumerate(values):
        result = torch.where(pattern == number, value, result)
    return result


def _fraction(x: Tensor) -> Tensor:
    return x - x.floor()


def _is_line(x: Tensor, width: float) -> Tensor:
    return (_fraction(x) < width).float()


def _sample(bank: Tensor, u: Tensor, v: Tensor, scale: float) -> Tensor:
    """Sample (n, c, P) from noise (n, c, b, b), mirrored beyond its edge."""
    uv = torch.stack([u, v], -1) * scale
    folded = (torch.remainder(uv + 1, 4) - 2).abs() - 1
    return functional.grid_sample(bank, folded[:, None], "bilinear", "border", False)[:, :, 0]


def _letter_cells(bank: Tensor, u: Tensor, v: Tensor) -> Tensor:
    uv = torch.stack([torch.remainder(u, 2) - 1, torch.remainder(v, 2) - 1], -1)
    cells = functional.grid_sample(bank, uv[:, None], "nearest", "border", False)[:, 0, 0]
    return cells


def noise_banks(n: int, generator: torch.Generator, side: int = 256) -> tuple[Tensor, Tensor]:
    """Return noise (n, 2, side, side) and letters (n, 1, 24, 24) for ``sample_albedo``."""
    device = generator.device
    noises = []
    for falloff in (1.0, 0.35):  # of the amplitude per octave
        total = torch.zeros(n, 1, side, side, device=device)
        for octave in range(2, 9):
            coarse = torch.randn(n, 1, 2**octave, 2**octave, generator=generator, device=device)
            upsampled = functional.interpolate(coarse, (side, side), mode="bilinear")
            total = total + 2.0 ** (-octave * falloff) * upsampled
        noises.append((total - total.mean((2, 3), keepdim=True)) / total.std((2, 3), keepdim=True))
    letters = (torch.rand(n, 1, 24, 24, generator=generator, device=device) < 0.55).float()
    letters[:, :, ::4] = 0
    letters[:, :, :, ::4] = 0
    return torch.cat(noises, 1), letters
