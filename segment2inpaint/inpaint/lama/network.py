"""The network of LaMa (Suvorov et al. 2021): convolutions, some of them over frequencies.

Features are split into local ones, which see their neighbourhood, and global ones, which pass
through a Fourier transform and so see the whole picture. Modules are named as in the published
checkpoints, so that these load as they are.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LamaConfig(NamedTuple):
    """Sizes of the network; the defaults are big-lama's."""

    width: int = 64  # channels of the first layer, doubled by each downsampling
    down: int = 3
    blocks: int = 18
    share: float = 0.75  # of the channels that are global


BIG = LamaConfig()


class FourierUnit(nn.Module):
    """A 1 x 1 convolution of the spectrum; (N, C, H, W) to the same."""

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
        made: Tensor = torch.fft.irfft2(spectrum, s=(height, width), norm="ortho")
        return made


class SpectralTransform(nn.Module):
    """Global to global."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        half = outside // 2
        self.conv1 = nn.Sequential(
            nn.Conv2d(inside, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU()
        )
        self.fu = FourierUnit(half)
        self.conv2 = nn.Conv2d(half, outside, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        y: Tensor = self.conv2(x + self.fu(x))
        return y


class FFC(nn.Module):
    """A convolution of local and global features; each may be without channels."""

    def __init__(
        self, inside: tuple[int, int], outside: tuple[int, int], size: int, stride: int, pad: int
    ) -> None:
        super().__init__()

        def conv(here: int, there: int) -> nn.Module | None:
            if not (here and there):
                return None
            return nn.Conv2d(here, there, size, stride, pad, bias=False, padding_mode="reflect")

        (local, wide), (local_out, wide_out) = inside, outside
        self.convl2l = conv(local, local_out)
        self.convl2g = conv(local, wide_out)
        self.convg2l = conv(wide, local_out)
        self.convg2g = SpectralTransform(wide, wide_out) if wide and wide_out else None

    def forward(self, local: Tensor, wide: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return (
            _sum(self.convl2l, local, self.convg2l, wide),
            _sum(self.convl2g, local, self.convg2g, wide) if self.convl2g else None,
        )


def _sum(
    first: nn.Module | None, local: Tensor, second: nn.Module | None, wide: Tensor | None
) -> Tensor:
    assert first is not None
    made: Tensor = first(local)
    return made if second is None else made + second(wide)


class Layer(nn.Module):
    """An ``FFC``, normalised and cut at zero."""

    def __init__(
        self, inside: tuple[int, int], outside: tuple[int, int], size: int, stride: int, pad: int
    ) -> None:
        super().__init__()
        self.ffc = FFC(inside, outside, size, stride, pad)
        self.bn_l = nn.BatchNorm2d(outside[0])
        self.bn_g = nn.BatchNorm2d(outside[1]) if outside[1] else None

    def forward(self, local: Tensor, wide: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        local, wide = self.ffc(local, wide)
        if self.bn_g is None or wide is None:
            return torch.relu(self.bn_l(local)), None
        return torch.relu(self.bn_l(local)), torch.relu(self.bn_g(wide))


class Block(nn.Module):
    """Two layers beside a shortcut."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = Layer(channels, channels, 3, 1, 1)
        self.conv2 = Layer(channels, channels, 3, 1, 1)

    def forward(self, local: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
        new, far = self.conv2(*self.conv1(local, wide))
        return local + new, wide + far


class Generator(nn.Module):
    """(N, 4, H, W) in [0, 1], RGB without the hole and the hole, to (N, 3, H, W) in [0, 1].

    Sides are multiples of 2 ** ``shape.down``. ``model`` is numbered as in the checkpoints.
    """

    def __init__(self, shape: LamaConfig = BIG) -> None:
        super().__init__()
        widths = [shape.width * 2**n for n in range(shape.down + 1)]
        wide = int(widths[-1] * shape.share)
        split = widths[-1] - wide, wide
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), Layer((4, 0), (widths[0], 0), 7, 1, 0)]
        for here, there in pairwise(widths):
            outside = split if there == widths[-1] else (there, 0)
            layers.append(Layer((here, 0), outside, 3, 2, 1))
        layers += [Block(split) for _ in range(shape.blocks)]
        layers.append(nn.Identity())  # where local and global become one
        for here, there in pairwise(widths[::-1]):
            up = nn.ConvTranspose2d(here, there, 3, 2, 1, output_padding=1)
            layers += [up, nn.BatchNorm2d(there), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(widths[0], 3, 7)]
        self.model = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        wide: Tensor | None = None
        for layer in self.model:
            if isinstance(layer, Layer | Block):
                x, wide = layer(x, wide)
            elif isinstance(layer, nn.Identity) and wide is not None:
                x = torch.cat([x, wide], 1)
            else:
                x = layer(x)
        return torch.sigmoid(x)


def config_of(weights: dict[str, Tensor]) -> LamaConfig:
    """The sizes of the network that these weights, named as its own, are of.

    Raises ``KeyError`` or ``ValueError`` where they are not.
    """
    width = weights["model.1.ffc.convl2l.weight"].shape[0]
    numbers = {int(name.split(".")[1]) for name in weights}
    blocks = sum(f"model.{n}.conv1.ffc.convg2g.fu.conv_layer.weight" in weights for n in numbers)
    down = sum(f"model.{n}.ffc.convl2l.weight" in weights for n in numbers) - 1
    local = weights[f"model.{1 + down}.ffc.convl2l.weight"].shape[0]
    return LamaConfig(width, down, blocks, 1 - local / (width * 2**down))
