"""The network of LaMa (Suvorov et al. 2022): convolutions, some of them over frequencies.

Features are split into local ones, which see their neighbourhood, and global ones, which pass
through a Fourier transform and so see the whole picture. Modules have the names of the published
checkpoints, so that these load without conversion.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from segment2inpaint.inpaint.lama.weights import FIRST_WEIGHT


class LamaConfig(NamedTuple):
    """Sizes of the network; the defaults are those of big-lama."""

    width: int = 64  # channels of the first layer, doubled by each downsampling
    downsamplings: int = 3
    blocks: int = 18  # residual blocks
    global_ratio: float = 0.75  # share of the channels that are global


BIG_LAMA = LamaConfig()


class FourierUnit(nn.Module):
    """A 1 x 1 convolution of the spectrum; (N, C, H, W) to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        spectrum = torch.view_as_real(torch.fft.rfft2(x, norm="ortho"))
        parts = spectrum.permute(0, 1, 4, 2, 3).reshape(count, 2 * channels, height, -1)
        parts = torch.relu(self.bn(self.conv_layer(parts)))
        parts = parts.view(count, channels, 2, height, -1).permute(0, 1, 3, 4, 2)
        spectrum = torch.view_as_complex(parts.contiguous())
        result: Tensor = torch.fft.irfft2(spectrum, s=(height, width), norm="ortho")
        return result


class SpectralTransform(nn.Module):
    """The path from global to global features."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.conv1 = nn.Sequential(
            nn.Conv2d(in_channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU()
        )
        self.fu = FourierUnit(half)
        self.conv2 = nn.Conv2d(half, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        y: Tensor = self.conv2(x + self.fu(x))
        return y


class FFC(nn.Module):
    """A fast Fourier convolution of local and global features.

    ``in_channels`` and ``out_channels`` are (local, global); either may be 0.
    """

    def __init__(
        self,
        in_channels: tuple[int, int],
        out_channels: tuple[int, int],
        kernel_size: int,
        stride: int,
        padding: int,
    ) -> None:
        super().__init__()

        def conv(channels_in: int, channels_out: int) -> nn.Module | None:
            if not (channels_in and channels_out):
                return None
            return nn.Conv2d(
                channels_in,
                channels_out,
                kernel_size,
                stride,
                padding,
                bias=False,
                padding_mode="reflect",
            )

        (local_in, global_in), (local_out, global_out) = in_channels, out_channels
        self.convl2l = conv(local_in, local_out)
        self.convl2g = conv(local_in, global_out)
        self.convg2l = conv(global_in, local_out)
        self.convg2g = (
            SpectralTransform(global_in, global_out) if global_in and global_out else None
        )

    def forward(
        self, local_features: Tensor, global_features: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        return (
            _sum(self.convl2l, local_features, self.convg2l, global_features),
            _sum(self.convl2g, local_features, self.convg2g, global_features)
            if self.convl2g
            else None,
        )


def _sum(
    local_module: nn.Module | None,
    local_features: Tensor,
    global_module: nn.Module | None,
    global_features: Tensor | None,
) -> Tensor:
    """Return the sum of what the modules give; ``global_module`` may be None."""
    assert local_module is not None
    result: Tensor = local_module(local_features)
    return result if global_module is None else result + global_module(global_features)


class Layer(nn.Module):
    """An ``FFC`` with batch normalization and ReLU."""

    def __init__(
        self,
        in_channels: tuple[int, int],
        out_channels: tuple[int, int],
        kernel_size: int,
        stride: int,
        padding: int,
    ) -> None:
        super().__init__()
        self.ffc = FFC(in_channels, out_channels, kernel_size, stride, padding)
        self.bn_l = nn.BatchNorm2d(out_channels[0])
        self.bn_g = nn.BatchNorm2d(out_channels[1]) if out_channels[1] else None

    def forward(
        self, local_features: Tensor, global_features: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        local_features, global_features = self.ffc(local_features, global_features)
        local_features = torch.relu(self.bn_l(local_features))
        if self.bn_g is None or global_features is None:
            return local_features, None
        return local_features, torch.relu(self.bn_g(global_features))


class ResidualBlock(nn.Module):
    """Two layers with a residual connection."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = Layer(channels, channels, 3, 1, 1)
        self.conv2 = Layer(channels, channels, 3, 1, 1)

    def forward(self, local_features: Tensor, global_features: Tensor) -> tuple[Tensor, Tensor]:
        new_local, new_global = self.conv2(*self.conv1(local_features, global_features))
        return local_features + new_local, global_features + new_global


class Generator(nn.Module):
    """The network: (N, 4, H, W) to (N, 3, H, W), both float32 in [0, 1].

    The input is RGB with 0 in the hole, and the hole; the output is RGB. H and W are multiples of
    2 ** ``config.downsamplings``. ``model`` is numbered as in the checkpoints.
    """

    def __init__(self, config: LamaConfig = BIG_LAMA) -> None:
        super().__init__()
        widths = [config.width * 2**n for n in range(config.downsamplings + 1)]
        global_width = int(widths[-1] * config.global_ratio)
        split = widths[-1] - global_width, global_width
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), Layer((4, 0), (widths[0], 0), 7, 1, 0)]
        for width_in, width_out in pairwise(widths):
            out_channels = split if width_out == widths[-1] else (width_out, 0)
            layers.append(Layer((width_in, 0), out_channels, 3, 2, 1))
        layers += [ResidualBlock(split) for _ in range(config.blocks)]
        layers.append(nn.Identity())  # local and global features are concatenated here
        for width_in, width_out in pairwise(widths[::-1]):
            up = nn.ConvTranspose2d(width_in, width_out, 3, 2, 1, output_padding=1)
            layers += [up, nn.BatchNorm2d(width_out), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(widths[0], 3, 7)]
        self.model = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        global_features: Tensor | None = None
        for layer in self.model:
            if isinstance(layer, Layer | ResidualBlock):
                x, global_features = layer(x, global_features)
            elif isinstance(layer, nn.Identity) and global_features is not None:
                x = torch.cat([x, global_features], 1)
            else:
                x = layer(x)
        return torch.sigmoid(x)


def infer_config(weights: dict[str, Tensor]) -> LamaConfig:
    """Return the sizes of the network that has these weights, named as in ``Generator``.

    Raises ``KeyError`` or ``ValueError`` for other weights.
    """
    width = weights[FIRST_WEIGHT].shape[0]
    numbers = {int(name.split(".")[1]) for name in weights}
    blocks = sum(f"model.{n}.conv1.ffc.convg2g.fu.conv_layer.weight" in weights for n in numbers)
    downsamplings = sum(f"model.{n}.ffc.convl2l.weight" in weights for n in numbers) - 1
    local_width = weights[f"model.{1 + downsamplings}.ffc.convl2l.weight"].shape[0]
    global_ratio = 1 - local_width / (width * 2**downsamplings)
    return LamaConfig(width, downsamplings, blocks, global_ratio)
