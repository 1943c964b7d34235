"""A small image encoder for Segment Anything's decoder, for a CPU.

Convolutions in the manner of ConvNeXt (Liu et al. 2022) down to a thirty-second of the frame,
attention over all of it there, and back up to an eighth, so that masks, which are four times as
fine as the embedding, come at half the frame's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

STRIDE = 8  # of the embedding, in pixels of the frame
HEAD = 32  # channels of a head of attention, at the scale 1/32


class SmallEncoder(nn.Module):
    """Normalised pictures (n, 3, side, side) to embeddings (n, dim, side / 8, side / 8).

    ``widths`` and ``depths`` are channels and blocks of the scales 1/4, 1/8, 1/16 and 1/32; the
    blocks of the last attend (its width is a multiple of 32, and so is the side). The side is kept
    among the weights: nothing else tells it.
    """

    side: torch.Tensor

    def __init__(self, side: int, widths: Sequence[int], depths: Sequence[int], dim: int) -> None:
        super().__init__()
        self.img_size = side  # the name under which SAM looks for it
        self.register_buffer("side", torch.tensor(float(side)))
        half = widths[0] // 2
        self.stem = nn.Sequential(
            nn.Conv2d(3, half, 3, 2, 1), nn.GELU(), nn.Conv2d(half, widths[0], 3, 2, 1)
        )
        self.shrinks = nn.ModuleList(
            nn.Sequential(_Norm(a), nn.Conv2d(a, b, 2, 2)) for a, b in pairwise(widths)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Attend(width) if last else _Convolve(width) for _ in range(n)))
            for width, n, last in zip(widths, depths, (False, False, False, True), strict=True)
        )
        self.laterals = nn.ModuleList(nn.Conv2d(width, dim, 1) for width in widths[1:])
        self.neck = nn.Sequential(
            _Norm(dim), nn.Conv2d(dim, dim, 3, padding=1, bias=False), _Norm(dim)
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        scales = [self.stages[0](self.stem(pictures))]
        for shrink, stage in zip(self.shrinks, self.stages[1:], strict=True):
            scales.append(stage(shrink(scales[-1])))
        made: torch.Tensor = self.laterals[-1](scales[-1])
        for lateral, finer in zip(self.laterals[-2::-1], scales[-2:0:-1], strict=True):
            made = functional.interpolate(made, scale_factor=2.0, mode="bilinear") + lateral(finer)
        embedding: torch.Tensor = self.neck(made)
        return embedding


class _Norm(nn.LayerNorm):
    """Over the channels of (n, c, h, w)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Convolve(nn.Module):
    """Each channel with its surroundings, then each pixel with its channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.mix = _mix(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.mix(self.around(x).permute(0, 2, 3, 1))
        return x + mixed.permute(0, 3, 1, 2)


class _Attend(nn.Module):
    """All pixels with each other; a convolution before tells them where they are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mix = _mix(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        tokens = (x + self.around(x)).flatten(2).transpose(1, 2)  # (n, h * w, c)
        split = self.qkv(self.norm(tokens)).view(n, h * w, 3, c // HEAD, HEAD)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v)
        tokens = tokens + self.out(seen.transpose(1, 2).flatten(2))
        tokens = tokens + self.mix(tokens)
        made: torch.Tensor = tokens.transpose(1, 2).reshape(n, c, h, w)
        return made


def _mix(width: int) -> nn.Sequential:
    last = nn.Linear(4 * width, width)
    nn.init.trunc_normal_(last.weight, std=0.01)  # a block begins as hardly more than its input
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), last)
