"""The click network: a photo with clicks, a box and the mask so far, to a mask.

The prompts are planes next to the photo's colours, as in RITM (Sofiiuk et al. 2021). Residual
convolutions (He et al. 2016) reduce the frame to a sixteenth, attention relates all places there,
and convolutions go back up to half of the frame. ``segment2inpaint.networks.click.input_planes``
makes the planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# Red, green, blue; the photo's area; discs around positive and around negative clicks; the box;
# the mask so far.
INPUT_PLANES = 8
OUTPUTS = 2  # logits of the object, and of the part at the first click
HEAD_CHANNELS = 32  # of an attention head


@dataclass(frozen=True)
class NetworkSize:
    """A size of the network.

    ``side`` is the frame's, in px; ``widths`` (channels) and ``depths`` (blocks) are those at 1/4,
    1/8 and 1/16 of it; ``attention_blocks`` is a number.
    """

    side: int
    widths: tuple[int, int, int]
    depths: tuple[int, int, int]
    attention_blocks: int


SIZES = {
    "full": NetworkSize(320, (64, 128, 256), (2, 3, 2), 4),  # for a GPU
    "small": NetworkSize(160, (32, 64, 128), (1, 2, 2), 3),  # can be trained on a CPU
}


class ClickNetwork(nn.Module):
    """Planes (n, INPUT_PLANES, side, side) to logits (n, OUTPUTS, side / 2, side / 2)."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.side = size.side
        # The modules' names are keys of checkpoints.
        fine, middle, coarse = size.widths
        fine_blocks, middle_blocks, coarse_blocks = (
            _residual_blocks(w, d) for w, d in zip(size.widths, size.depths, strict=True)
        )
        half = fine // 2
        self.stem = nn.Sequential(_conv(INPUT_PLANES, half, 2), _conv(half, fine, 2), fine_blocks)
        self.middle = nn.Sequential(_conv(fine, middle, 2), middle_blocks)
        self.coarse = nn.Sequential(_conv(middle, coarse, 2), coarse_blocks)
        self.said = nn.Conv2d(INPUT_PLANES - 4, coarse, 1)
        grid = size.side // 16
        self.place = nn.Parameter(torch.zeros(1, coarse, grid, grid))
        self.attend = nn.Sequential(
            *(_AttentionBlock(coarse) for _ in range(size.attention_blocks))
        )
        self.up_middle = nn.Sequential(_conv(coarse + middle, middle), _conv(middle, middle))
        self.up_fine = nn.Sequential(_conv(middle + fine, fine), _conv(fine, fine))
        self.last = nn.Conv2d(fine, 4 * OUTPUTS, 3, padding=1)
        assert self.last.bias is not None
        nn.init.constant_(self.last.bias, -2.0)  # most pixels are background

    def forward(self, planes: Tensor) -> Tensor:
        fine = self.stem(planes)
        middle = self.middle(fine)
        prompt = self.said(functional.max_pool2d(planes[:, 4:], 16))
        coarse = self.attend(self.coarse(middle) + prompt + self.place)
        middle = self.up_middle(torch.cat([_upsample(coarse), middle], 1))
        fine = self.up_fine(torch.cat([_upsample(middle), fine], 1))
        logits: Tensor = functional.pixel_shuffle(self.last(fine), 2)
        return logits


def _upsample(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def _conv(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def _residual_blocks(width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(_ResidualBlock(width) for _ in range(depth)))


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = _conv(width, width)
        self.two = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm.weight)  # a block starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.norm(self.two(self.one(x))))


class _AttentionBlock(nn.Module):
    """Self-attention over all pixels (Vaswani et al. 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.norm_mix = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        expand, reduce = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mix = nn.Sequential(expand, nn.ReLU(), reduce)
        for last in (self.out, reduce):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # (n, h * w, c)
        split = self.qkv(self.norm(tokens)).view(n, h * w, 3, c // HEAD_CHANNELS, HEAD_CHANNELS)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        # With so few places this is faster on a CPU than the fused kernel.
        attended = (q @ k.transpose(2, 3) / HEAD_CHANNELS**0.5).softmax(-1) @ v
        tokens = tokens + self.out(attended.transpose(1, 2).flatten(2))
        tokens = tokens + self.mix(self.norm_mix(tokens))
        result: Tensor = tokens.transpose(1, 2).reshape(n, c, h, w)
        return result
