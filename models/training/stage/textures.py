"""How the surface of a body looks: a colour at each point, from a few numbers.

A look is a row of ``LOOK`` numbers, see ``FIELDS``; points are in texture space, in which a
pattern's unit is one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FIELDS = {
    "one": 3, "other": 3, "stain": 3,  # colours, linear
    "kind": 1, "sharp": 1, "wobble": 1,  # pattern, see KINDS; how hard its edges are; how crooked
    "grain": 1, "grain_scale": 1, "stained": 1,  # fine noise; how much of the surface has stains
    "gloss": 1, "shine": 1, "mirror": 1,  # highlight and its exponent; share that is mirrored
}  # fmt: skip
LOOK = sum(FIELDS.values())
KINDS = (
    "plain", "noise", "stripes", "checks", "spots", "slope", "bricks", "planks", "windows",
    "letters", "leaves",
)  # fmt: skip


def split(look: Tensor) -> dict[str, Tensor]:
    """Rows (n, P, LOOK) by name, (n, P) or (n, 3, P)."""
    made, at = {}, 0
    for name, size in FIELDS.items():
        part = look[..., at : at + size]
        made[name] = part[..., 0] if size == 1 else part.transpose(1, 2)
        at += size
    return made


def colours(look: dict[str, Tensor], at: Tensor, noise: Tensor, letters: Tensor) -> Tensor:
    """Albedo (n, 3, P) at points (n, 3, P) of texture space.

    ``noise`` (n, 2, b, b) of unit deviation, smooth and rough; ``letters`` (n, 1, l, l) 0 or 1.
    """
    u, v, w = at.unbind(1)
    u, v = u + 0.37 * w, v + 0.61 * w  # every direction of the surface shows
    broad, fine = _sampled(noise, u, v, 0.13), _sampled(noise, u * 1.7, v * 1.7, 0.5)
    smooth, rough = broad[:, 0], fine[:, 1]
    u, v = u + look["wobble"] * smooth, v + look["wobble"] * fine[:, 0]
    share = _pattern(look["kind"], u, v, smooth, fine[:, 0], letters)
    share = ((share * look["sharp"]).clamp(-1, 1) * 0.5 + 0.5)[:, None]
    made = torch.lerp(look["one"], look["other"], share)
    stained = ((smooth - 1.2 + 2.4 * look["stained"]) * 2).clamp(0, 1) * (look["stained"] > 0)
    made = torch.lerp(made, look["stain"], 0.8 * stained[:, None])
    scale = look["grain_scale"]
    grain = _sampled(noise, u * scale, v * scale, 1.0)[:, 1]
    return (made * (look["grain"] * (grain + 0.4 * rough)).exp()[:, None]).clamp(0.005, 1.2)


def _pattern(
    kind: Tensor, u: Tensor, v: Tensor, smooth: Tensor, fine: Tensor, letters: Tensor
) -> Tensor:
    """About -1 to 1, the sign says which of two colours."""
    wave = (6.2832 * u).sin()
    row = v.floor()
    brick = _line(u * 0.5 + 0.5 * torch.remainder(row, 2), 0.05).maximum(_line(v, 0.1))
    shade = torch.remainder((row * 78.233).sin() * 43758.5453, 1.0) * 1.4 - 0.7
    planks = torch.where(_line(v, 0.04) > 0.5, torch.full_like(u, 1.2), shade + 0.3 * fine)
    pane = 1.0 - 2.0 * ((_frac(u) > 0.3) & (_frac(v) > 0.35)).float()
    text = _letters(letters, u, v)
    made = torch.zeros_like(u)
    values = (
        torch.full_like(u, -1.0), smooth, wave, wave * (6.2832 * v).sin() * 1.5,
        (6.2832 * u).sin() + (6.2832 * v).sin() - 0.7, v * 0.5, 2 * brick - 1, planks, pane,
        2 * text - 1, fine + 0.5 * smooth,
    )  # fmt: skip
    for number, value in enumerate(values):
        made = torch.where(kind == number, value, made)
    return made


def _frac(x: Tensor) -> Tensor:
    return x - x.floor()


def _line(x: Tensor, wide: float) -> Tensor:
    return (_frac(x) < wide).float()


def _sampled(bank: Tensor, u: Tensor, v: Tensor, scale: float) -> Tensor:
    """(n, c, P) of a bank (n, c, b, b) that is mirrored beyond its edge."""
    at = torch.stack([u, v], -1) * scale
    folded = (torch.remainder(at + 1, 4) - 2).abs() - 1
    return functional.grid_sample(bank, folded[:, None], "bilinear", "border", False)[:, :, 0]


def _letters(bank: Tensor, u: Tensor, v: Tensor) -> Tensor:
    at = torch.stack([torch.remainder(u, 2) - 1, torch.remainder(v, 2) - 1], -1)
    found = functional.grid_sample(bank, at[:, None], "nearest", "border", False)[:, 0, 0]
    return found


def banks(n: int, generator: torch.Generator, side: int = 256) -> tuple[Tensor, Tensor]:
    """Noise (n, 2, side, side) and letters (n, 1, 24, 24), see ``colours``."""
    device = generator.device
    made = []
    for fall in (1.0, 0.35):  # how fast the amplitude falls with frequency
        total = torch.zeros(n, 1, side, side, device=device)
        for octave in range(2, 9):
            coarse = torch.randn(n, 1, 2**octave, 2**octave, generator=generator, device=device)
            wide = functional.interpolate(coarse, (side, side), mode="bilinear")
            total = total + 2.0 ** (-octave * fall) * wide
        made.append((total - total.mean((2, 3), keepdim=True)) / total.std((2, 3), keepdim=True))
    letters = (torch.rand(n, 1, 24, 24, generator=generator, device=device) < 0.55).float()
    letters[:, :, ::4] = 0
    letters[:, :, :, ::4] = 0
    return torch.cat(made, 1), letters
