"""The network that knows what belongs to an object: a photo and what was pointed at, to a mask.

Clicks, a box and the mask so far are planes beside the photo's colours, as in RITM (Sofiiuk et al.
2021): residual convolutions (He et al. 2016) down to a sixteenth of the frame, attention over all
of it there, and back up to half of the frame. ``segment2inpaint/detect`` makes the planes; see
``PLANES``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# red, green, blue; the photo; discs round clicks on and beside the object; the box; the mask so far
PLANES = 8
OUTPUTS = 2  # logits of the object that is meant, and of the part that the first click is on
HEAD = 32  # channels of a head of attention


@dataclass(frozen=True)
class Size:
    """Of a network: the frame's ``side`` in px, ``widths`` and ``depths`` at the scales 1/4, 1/8
    and 1/16, and how often all places ``attend`` to each other.
    """

    side: int
    widths: tuple[int, int, int]
    depths: tuple[int, int, int]
    attend: int


SIZES = {
    "full": Size(320, (64, 128, 256), (2, 3, 2), 4),  # for a GPU
    "small": Size(160, (32, 64, 128), (1, 2, 2), 3),  # what a CPU can train
}


class ClickNetwork(nn.Module):
    """Planes (n, PLANES, side, side) to logits (n, OUTPUTS, side / 2, side / 2)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.side = size.side
        fine, middle, coarse = size.widths
        one, two, three = (_blocks(w, d) for w, d in zip(size.widths, size.depths, strict=True))
        half = fine // 2
        self.stem = nn.Sequential(_conv(PLANES, half, 2), _conv(half, fine, 2), one)
        self.middle = nn.Sequential(_conv(fine, middle, 2), two)
        self.coarse = nn.Sequential(_conv(middle, coarse, 2), three)
        self.said = nn.Conv2d(PLANES - 4, coarse, 1)
        grid = size.side // 16
        self.place = nn.Parameter(torch.zeros(1, coarse, grid, grid))
        self.attend = nn.Sequential(*(_Attend(coarse) for _ in range(size.attend)))
        self.up_middle = nn.Sequential(_conv(coarse + middle, middle), _conv(middle, middle))
        self.up_fine = nn.Sequential(_conv(middle + fine, fine), _conv(fine, fine))
        self.last = nn.Conv2d(fine, 4 * OUTPUTS, 3, padding=1)
        nn.init.constant_(self.last.bias, -2.0)  # most of a photo is not what is meant

    def forward(self, planes: Tensor) -> Tensor:
        fine = self.stem(planes)
        middle = self.middle(fine)
        said = self.said(functional.max_pool2d(planes[:, 4:], 16))
        coarse = self.attend(self.coarse(middle) + said + self.place)
        middle = self.up_middle(torch.cat([_twice(coarse), middle], 1))
        fine = self.up_fine(torch.cat([_twice(middle), fine], 1))
        logits: Tensor = functional.pixel_shuffle(self.last(fine), 2)
        return logits


def _twice(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def _conv(inner: int, outer: int, step: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 3, step, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()
    )


def _blocks(width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(width) for _ in range(depth)))


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = _conv(width, width)
        self.two = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm.weight)  # a block begins as its input

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.norm(self.two(self.one(x))))


class _Attend(nn.Module):
    """All pixels with each other (Vaswani et al. 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.norm_mix = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mix = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)
        )
        for last in (self.out, self.mix[2]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # (n, h * w, c)
        split = self.qkv(self.norm(tokens)).view(n, h * w, 3, c // HEAD, HEAD)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        # few places: the plain way is quicker than the fused one on a CPU
        seen = (q @ k.transpose(2, 3) / HEAD**0.5).softmax(-1) @ v
        tokens = tokens + self.out(seen.transpose(1, 2).flatten(2))
        tokens = tokens + self.mix(self.norm_mix(tokens))
        made: Tensor = tokens.transpose(1, 2).reshape(n, c, h, w)
        return made
