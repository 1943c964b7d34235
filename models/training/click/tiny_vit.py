"""The encoder: TinyViT-5M (Wu et al. 2022) as MobileSAM (Zhang et al. 2023) arranges it.

Pictures may have any height and width that are multiples of 16. Batch normalisation is folded into
the convolutions, and the parameters stand in the order in which they are used, both as in the
published file (``published``).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = 64, 128, 160, 320  # channels of each stage
STRIDES = 1, 2, 2, 1  # of the step before each stage
DEPTHS = 2, 2, 6, 2  # blocks of each stage
WINDOWS = 0, 7, 14, 7  # side of an attention window; the first stage has no attention
HEAD_CHANNELS = 32
EMBEDDING_CHANNELS = 256
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of the colours
NORM_EPS = 1e-5
NECK_EPS = 1e-6


class Encoder(nn.Module):
    """Pictures (n, 3, h, w) in [0, 255] RGB to embeddings (n, 256, h / 16, w / 16)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None])
        self.patch_embed = nn.Sequential(_conv(3, 32, 3, 2), nn.GELU(), _conv(32, WIDTHS[0], 3, 2))
        self.stages = nn.Sequential(*_stages())
        self.neck = nn.Sequential(
            nn.Conv2d(WIDTHS[-1], EMBEDDING_CHANNELS, 1, bias=False),
            _ChannelNorm(EMBEDDING_CHANNELS),
            nn.Conv2d(EMBEDDING_CHANNELS, EMBEDDING_CHANNELS, 3, padding=1, bias=False),
            _ChannelNorm(EMBEDDING_CHANNELS),
        )

    def forward(self, picture: Tensor, inside: Tensor) -> Tensor:
        """Return embeddings; ``inside`` (n, 1, h, w) is 1 where the photo is, else 0."""
        normalised = (picture - self.mean) / self.deviation * inside
        embedding: Tensor = self.neck(self.stages(self.patch_embed(normalised)))
        return embedding


def _stages() -> Iterator[nn.Module]:
    """Yield the blocks of all stages, and the steps between the stages."""
    for index, (width, depth, window) in enumerate(zip(WIDTHS, DEPTHS, WINDOWS, strict=True)):
        if index > 0:
            yield _Merging(WIDTHS[index - 1], width, STRIDES[index])
        for _ in range(depth):
            yield _Block(width, window) if window else _Bottleneck(width)


def _conv(inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups)


class _Bottleneck(nn.Module):
    """An inverted bottleneck (Sandler et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 4 * width
        self.body = nn.Sequential(
            _conv(width, inner, 1), nn.GELU(), _conv(inner, inner, 3, groups=inner), nn.GELU(),
            _conv(inner, width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return functional.gelu(x + self.body(x))


class _Merging(nn.Sequential):
    """The step from one stage to the next."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(
            _conv(inputs, outputs, 1), nn.GELU(),
            _conv(outputs, outputs, 3, stride, groups=outputs), nn.GELU(),
            _conv(outputs, outputs, 1),
        )  # fmt: skip


class _Block(nn.Module):
    """Attention within windows, a depthwise convolution, and a multilayer perceptron."""

    def __init__(self, width: int, window: int) -> None:
        super().__init__()
        self.window, self.heads = window, width // HEAD_CHANNELS
        self.attention_norm = nn.LayerNorm(width, NORM_EPS)
        self.qkv = nn.Linear(width, 3 * width)
        self.place = _PlaceBias(self.heads, window**2)
        self.proj = nn.Linear(width, width)
        self.local_conv = _conv(width, width, 3, groups=width)
        self.norm = nn.LayerNorm(width, NORM_EPS)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend_in_windows(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.local_conv(x)
        tokens = x.permute(0, 2, 3, 1)
        tokens = tokens + self.fc2(functional.gelu(self.fc1(self.norm(tokens))))
        picture: Tensor = tokens.permute(0, 3, 1, 2)
        return picture

    def _attend_in_windows(self, x: Tensor) -> Tensor:
        """Return the attention's result for x (n, h, w, c), padded to whole windows meanwhile."""
        n, h, w, c = x.shape
        side = self.window
        rows, columns = (h + side - 1) // side, (w + side - 1) // side
        padded = functional.pad(x, (0, 0, 0, columns * side - w, 0, rows * side - h))
        tokens = padded.view(n, rows, side, columns, side, c).transpose(2, 3)
        attended = self._attend(tokens.reshape(n * rows * columns, side * side, c))
        attended = attended.view(n, rows, columns, side, side, c).transpose(2, 3)
        return attended.reshape(n, rows * side, columns * side, c)[:, :h, :w]

    def _attend(self, tokens: Tensor) -> Tensor:
        """Return the attention's result for the tokens (m, side * side, c) of m windows."""
        n, count, c = tokens.shape
        split = self.qkv(self.attention_norm(tokens)).view(n, count, self.heads, 3, HEAD_CHANNELS)
        q, k, v = split.permute(3, 0, 2, 1, 4)
        weights = self.place(q @ k.transpose(2, 3) * HEAD_CHANNELS**-0.5).softmax(-1)
        attended: Tensor = self.proj((weights @ v).transpose(1, 2).reshape(n, count, c))
        return attended


class _PlaceBias(nn.Module):
    """Add a learned value for each head and each pair of places in a window.

    A module of its own, so that the weight has its place in the order of parameters.
    """

    def __init__(self, heads: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads, count, count))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


class _ChannelNorm(nn.Module):
    """Layer normalisation over the channels of (n, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        centered = x - x.mean(1, keepdim=True)
        deviation = (centered.square().mean(1, keepdim=True) + NECK_EPS).sqrt()
        scaled: Tensor = self.weight[:, None, None] * (centered / deviation)
        return scaled + self.bias[:, None, None]
