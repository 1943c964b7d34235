"""Lens and display: defocus, exposure, tone curve."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Per field of ``description.LIGHT_FIELDS`` a tensor (n, length, 1).
Light = dict[str, Tensor]


def defocus_radius(light: Light, depth: Tensor, side: int) -> Tensor:
    """Return the blur (n, s, s) in px of what lies behind the distance in focus."""
    focus, blur = light["focus"], light["blur"]
    return ((1 - 1.15 * focus / depth).clamp(min=0) * blur * side / 320).clamp(max=12)


def apply_defocus(picture: Tensor, defocus: Tensor, light: Light) -> Tensor:
    """Blur what lies behind, without letting it run over what is in focus."""
    if not bool((light["blur"] > 0).any()):
        return picture
    sharp = (defocus < 0.5).float()[:, None]
    result = picture
    for radius in (3, 6, 12):
        behind = 1 - sharp
        kernel = 2 * radius // 2 * 2 + 1
        weight_sum = _box_blur(behind, kernel)
        blurred = _box_blur(picture * behind, kernel) / weight_sum.clamp(min=1e-3)
        weight = ((defocus[:, None] - radius / 3) / (radius / 3)).clamp(0, 1) * behind
        result = torch.lerp(result, blurred, weight)
    return result


def _box_blur(maps: Tensor, kernel: int) -> Tensor:
    half = kernel // 2 // 2 * 2 + 1
    once = functional.avg_pool2d(maps, half, 1, half // 2, count_include_pad=False)
    return functional.avg_pool2d(once, half, 1, half // 2, count_include_pad=False)


def exposure_level(picture: Tensor, inside: Tensor) -> Tensor:
    """Return a high level of light in the photo, (n, 1, 1, 1)."""
    grey = picture.mean(1)[:, ::4, ::4].flatten(1)
    grey = torch.where(inside[:, ::4, ::4].flatten(1), grey, grey.new_tensor(float("nan")))
    return torch.nanquantile(grey, 0.92, dim=1)[:, None, None, None] + 1e-3


def to_display(picture: Tensor, level: Tensor, light: Light) -> Tensor:
    """Return displayed values of linear light: exposure, a film's tone curve, gamma."""
    exposure, tone_curve = (light[k][..., None] for k in ("exposure", "tone_curve"))
    value = picture / level * exposure
    value = torch.where(
        value > 0.8, 0.8 + 0.2 * (1 - torch.exp(-(value - 0.8) / 0.2)), value
    ).clamp(0, 1) ** (1 / 2.2)
    return torch.lerp(value, value * value * (3 - 2 * value), tone_curve)
