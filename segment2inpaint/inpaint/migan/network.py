"""The network of MI-GAN (Sargsyan et al. 2023): depthwise convolutions in the shape of StyleGAN.

An encoder halves the picture down to 4 x 4 px, a synthesis doubles it back, and each resolution
of the synthesis gets the encoder's features of that resolution. Modules have the names of the
published checkpoints, so that these load without conversion.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE, GAIN, CLAMP = 0.2, 2**0.5, 256.0  # of the activation, a leaky ReLU
BOTTOM = 4  # px; the lowest resolution
# Suffixes of tensors that are the same in every checkpoint: the filters for resampling.
CONSTANTS = ("sample.filter.weight", "sample.insert_zeros.weight", "sample.filter_const")


class MiganConfig(NamedTuple):
    """Sizes of the network; the defaults are those of MI-GAN-512."""

    resolution: int = 512  # px, of the pictures in training
    channel_base: int = 32768  # channels of a resolution: channel_base / resolution ...
    channel_max: int = 512  # ... but at most this many

    def channels(self, resolution: int) -> int:
        """Return the number of channels at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)

    @property
    def resolutions(self) -> list[int]:
        """All resolutions, the lowest first."""
        exponents = range(BOTTOM.bit_length() - 1, self.resolution.bit_length())
        return [2**exponent for exponent in exponents]


MIGAN_512 = MiganConfig()


def activate(x: Tensor) -> Tensor:
    """Return a leaky ReLU with a gain, clamped."""
    return (functional.leaky_relu(x, SLOPE) * GAIN).clamp(-CLAMP, CLAMP)


def _binomial_filter(like: Tensor) -> Tensor:
    """Return the depthwise 4 x 4 filter for resampling ``like``; its sum is 1."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=like.dtype, device=like.device) / 8
    return torch.outer(row, row).expand(like.shape[1], 1, 4, 4)


def downsample(x: Tensor) -> Tensor:
    """Return half the resolution."""
    return functional.conv2d(x, _binomial_filter(x), stride=2, padding=1, groups=x.shape[1])


def upsample(x: Tensor) -> Tensor:
    """Return twice the resolution."""
    weight = 4 * _binomial_filter(x)
    return functional.conv_transpose2d(x, weight, stride=2, padding=1, groups=x.shape[1])


class SeparableConv(nn.Module):
    """A 3 x 3 convolution of each channel, and a 1 x 1 convolution across them.

    ``scale`` is 0.5 to halve the resolution, 2 to double it. ``noise_size`` is the resolution of
    a constant noise, 0 for none.
    """

    def __init__(self, inputs: int, outputs: int, scale: float = 1, noise_size: int = 0) -> None:
        super().__init__()
        self.scale = scale
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs)
        self.conv2 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.has_noise = noise_size > 0
        if self.has_noise:
            self.register_buffer("noise_const", torch.randn(noise_size, noise_size))
            self.noise_strength = nn.Parameter(torch.zeros([]))

    def forward(self, x: Tensor) -> Tensor:
        x = activate(self.conv1(x))
        x = self.conv2(downsample(x) if self.scale < 1 else x)
        x = upsample(x) if self.scale > 1 else x
        return activate(x + self._noise(x) if self.has_noise else x)

    def _noise(self, x: Tensor) -> Tensor:
        """Return the noise for the size of ``x``; it is repeated in larger pictures."""
        height, width = x.shape[2:]
        noise = self.get_buffer("noise_const")
        repeats = -(-height // noise.shape[0]), -(-width // noise.shape[1])
        return noise.repeat(*repeats)[:height, :width] * self.noise_strength


class EncoderBlock(nn.Module):
    """The features of one resolution, and the input of the next lower one."""

    def __init__(self, inputs: int, outputs: int, scale: float, planes: int = 0) -> None:
        super().__init__()
        self.fromrgb = nn.Conv2d(planes, inputs, 1) if planes else None
        self.conv1 = SeparableConv(inputs, inputs)
        self.conv2 = SeparableConv(inputs, outputs, scale)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.conv1(x if self.fromrgb is None else activate(self.fromrgb(x)))
        return self.conv2(features), features


class SynthesisBlock(nn.Module):
    """One resolution of the synthesis; the lowest one does not enlarge and has no noise."""

    def __init__(self, inputs: int, outputs: int, resolution: int) -> None:
        super().__init__()
        lowest = resolution == BOTTOM
        noise_size = 0 if lowest else resolution
        self.conv1 = SeparableConv(inputs, outputs, 1 if lowest else 2, noise_size)
        self.conv2 = SeparableConv(outputs, outputs, 1, noise_size)
        self.torgb = nn.Conv2d(outputs, 3, 1)

    def forward(self, x: Tensor, features: Tensor, image: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.conv2(self.conv1(x) + features)
        rgb: Tensor = self.torgb(x)
        return x, rgb if image is None else upsample(image) + rgb


class Generator(nn.Module):
    """The network: (N, 4, H, W) to RGB (N, 3, H, W) in about [-1, 1], both float32.

    The input is 0.5 where the picture is known and -0.5 in the hole, and RGB in [-1, 1] with 0 in
    the hole. H and W are multiples of ``resolution / 4``.
    """

    def __init__(self, config: MiganConfig = MIGAN_512) -> None:
        super().__init__()
        self.names = [f"b{resolution}" for resolution in config.resolutions]
        self.encoder, self.synthesis = nn.Module(), nn.Module()
        for resolution, name in zip(config.resolutions, self.names, strict=True):
            own = config.channels(resolution)
            lower = config.channels(max(resolution // 2, BOTTOM))
            scale = 1 if resolution == BOTTOM else 0.5
            planes = 4 if resolution == config.resolution else 0
            self.encoder.add_module(name, EncoderBlock(own, lower, scale, planes))
            self.synthesis.add_module(name, SynthesisBlock(lower, own, resolution))

    def forward(self, x: Tensor) -> Tensor:
        features = {}
        for name in reversed(self.names):
            x, features[name] = self.encoder.get_submodule(name)(x)
        image = None
        for name in self.names:
            x, image = self.synthesis.get_submodule(name)(x, features[name], image)
        assert isinstance(image, Tensor)
        return image


def infer_config(weights: dict[str, Tensor]) -> MiganConfig:
    """Return the sizes of the network that has these weights, named as in ``Generator``.

    Raises ``KeyError`` or ``ValueError`` for other weights.
    """
    blocks = (name.split(".")[1] for name in weights if name.startswith("encoder.b"))
    resolution = max(int(block.removeprefix("b")) for block in blocks)
    top = weights[f"encoder.b{resolution}.fromrgb.weight"].shape[0]
    channel_max = weights[f"encoder.b{BOTTOM}.conv1.conv2.weight"].shape[0]
    return MiganConfig(resolution, top * resolution, channel_max)
