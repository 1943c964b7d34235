"""The first stage of the shadow network: a U-Net that learns from synthetic scenes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT_SIDE = 160  # px, side of the network's input
INPUT_PLANES = 10  # see ``network_input.input_planes``
CHANNELS = (24, 40, 64, 72, 72)  # of the feature maps, from 1/2 to 1/32 of the input's side


def conv_block(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class ShadowNetwork(nn.Module):
    """A U-Net (Ronneberger et al. 2015) that finds shadows and reflections.

    It takes planes (n, INPUT_PLANES, s, s) and returns logits (n, s, s) of the shadow and logits
    (n,) of its presence.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = conv_block(INPUT_PLANES, 16, 2), conv_block(16, CHANNELS[0])
        steps = list(pairwise(CHANNELS))
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(a, b, 2), conv_block(b, b)) for a, b in steps
        )
        self.up = nn.ModuleList(conv_block(b + a, a) for a, b in steps)
        self.last = nn.Conv2d(CHANNELS[0], 4, 3, 1, 1)
        self.cast = nn.Linear(CHANNELS[-1] + CHANNELS[0] + 1, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        quarter_logits, presence = self.find(planes)
        return functional.pixel_shuffle(quarter_logits, 2)[:, 0], presence

    def find(
        self, planes: Tensor, added: Mapping[int, tuple[Tensor, Tensor]] = MappingProxyType({})
    ) -> tuple[Tensor, Tensor]:
        """Return logits (n, 4, s / 2, s / 2), a map for each pixel of 2 x 2, and of the presence.

        ``added`` has maps to add on the way down and on the way up, by the level they belong to.
        """
        maps = self.first(self.stem(planes))
        levels = [maps]
        for level, down in enumerate(self.down, 1):
            maps = down(maps)
            maps = maps + added[level][0] if level in added else maps
            levels.append(maps)
        pooled = maps.mean((2, 3))
        for level in reversed(range(len(self.up))):
            upsampled = functional.interpolate(maps, scale_factor=2.0, mode="nearest")
            maps = self.up[level](torch.cat([upsampled, levels[level]], 1))
            maps = maps + added[level][1] if level in added else maps
        quarter_logits = self.last(maps)
        return quarter_logits, self._presence(pooled, maps, quarter_logits)

    def _presence(self, pooled: Tensor, maps: Tensor, quarter_logits: Tensor) -> Tensor:
        """Classify from global features, features where a shadow is likely, and its likely area."""
        probability = quarter_logits.float().sigmoid().mean(1, keepdim=True)
        area = probability.sum((2, 3))
        pooled_shadow = (maps * probability).sum((2, 3)) / (area + 1)
        logits: Tensor = self.cast(torch.cat([pooled, pooled_shadow, (area + 1).log() / 8], 1))
        return logits[:, 0]


def conv_blocks(network: ShadowNetwork) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Return the name, convolution and batch norm of each block."""
    found = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.Conv2d):
            assert isinstance(module[1], nn.BatchNorm2d)
            found.append((name, module[0], module[1]))
    return found


def fold_batch_norm(network: ShadowNetwork) -> dict[str, Tensor]:
    """Return the weights as they are saved: float16, with batch norms folded."""
    folded: dict[str, Tensor] = {}
    for name, conv, norm in conv_blocks(network):
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        folded[f"{name}.weight"] = conv.weight * scale[:, None, None, None]
        folded[f"{name}.bias"] = norm.bias - norm.running_mean * scale
    for name in ("last", "cast"):
        for parameter in ("weight", "bias"):
            folded[f"{name}.{parameter}"] = getattr(getattr(network, name), parameter)
    return {name: w.detach().half().contiguous() for name, w in folded.items()}


@torch.no_grad()
def unfold_batch_norm(network: ShadowNetwork, weights: dict[str, Tensor], planes: Tensor) -> None:
    """Load weights of ``fold_batch_norm`` into a network that has batch norms.

    The norms are set so that the network returns the same as before for these ``planes``.
    """
    inputs: dict[str, Tensor] = {}
    for name, conv, norm in conv_blocks(network):
        conv.weight.copy_(weights[f"{name}.weight"])
        norm.reset_parameters()
        norm.bias.copy_(weights[f"{name}.bias"])
        norm.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0]}))
    for name in ("last", "cast"):
        for parameter in ("weight", "bias"):
            getattr(getattr(network, name), parameter).copy_(weights[f"{name}.{parameter}"])
    network.eval()(planes)
    for name, _, norm in conv_blocks(network):
        norm._forward_pre_hooks.clear()
        assert norm.running_var is not None
        assert norm.running_mean is not None
        var, mean = torch.var_mean(inputs[name].float(), (0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        norm.weight.copy_((var + norm.eps).sqrt())
        norm.bias.add_(mean)
    network.train()
