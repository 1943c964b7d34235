"""The network as it is trained; ``segment2inpaint.shadow.network`` is what runs, without torch."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from segment2inpaint.shadow import DEEP, PLANES

WIDTHS = (24, 40, 64, 72, 72)  # of the maps, from half the view's size to a thirty-second


def block(before: int, after: int, step: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, 3, step, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class Network(nn.Module):
    """Planes (n, PLANES, s, s) to logits (n, s, s) of the shadow, and (n,) of there being one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = block(PLANES, 16, 2), block(16, WIDTHS[0])
        steps = list(pairwise(WIDTHS))
        self.down = nn.ModuleList(nn.Sequential(block(a, b, 2), block(b, b)) for a, b in steps)
        self.up = nn.ModuleList(block(b + a, a) for a, b in steps)
        self.last = nn.Conv2d(WIDTHS[0], 4, 3, 1, 1)
        self.cast = nn.Linear(WIDTHS[-1], 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.first(self.stem(planes))
        levels = [maps]
        for down in self.down:
            maps = down(maps)
            levels.append(maps)
        cast = self.cast(maps.mean((2, 3)))[:, 0]
        for depth in reversed(range(DEEP)):
            wide = functional.interpolate(maps, scale_factor=2.0, mode="nearest")
            maps = self.up[depth](torch.cat([wide, levels[depth]], 1))
        return functional.pixel_shuffle(self.last(maps), 2)[:, 0], cast


def folded(network: Network) -> dict[str, Tensor]:
    """Weights under the names that ``segment2inpaint.shadow`` reads, norms folded in, float16."""
    made: dict[str, Tensor] = {}
    for name, part in network.named_modules():
        if isinstance(part, nn.Sequential) and isinstance(part[0], nn.Conv2d):
            conv, norm = part[0], part[1]
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            made[f"{name}.weight"] = conv.weight * scale[:, None, None, None]
            made[f"{name}.bias"] = norm.bias - norm.running_mean * scale
    for name in ("last", "cast"):
        part = getattr(network, name)
        made[f"{name}.weight"], made[f"{name}.bias"] = part.weight, part.bias
    return {name: w.detach().half().contiguous() for name, w in made.items()}
