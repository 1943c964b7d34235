"""The network as it is trained; ``segment2inpaint.shadow.network`` is what runs, without torch."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 160  # px of the square that the network sees
PLANES = 10  # of what it sees
WIDTHS = (24, 40, 64, 72, 72)  # of the maps, from half the view's size to a thirty-second


def block(before: int, after: int, step: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, 3, step, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class Network(nn.Module):
    """Planes (n, PLANES, s, s) to logits (n, s, s) of the shadow, and (n,) of there being one.

    A U-Net (Ronneberger et al. 2015).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = block(PLANES, 16, 2), block(16, WIDTHS[0])
        steps = list(pairwise(WIDTHS))
        self.down = nn.ModuleList(nn.Sequential(block(a, b, 2), block(b, b)) for a, b in steps)
        self.up = nn.ModuleList(block(b + a, a) for a, b in steps)
        self.last = nn.Conv2d(WIDTHS[0], 4, 3, 1, 1)
        self.cast = nn.Linear(WIDTHS[-1] + WIDTHS[0] + 1, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.first(self.stem(planes))
        levels = [maps]
        for down in self.down:
            maps = down(maps)
            levels.append(maps)
        pooled = maps.mean((2, 3))
        for depth in reversed(range(len(self.up))):
            wide = functional.interpolate(maps, scale_factor=2.0, mode="nearest")
            maps = self.up[depth](torch.cat([wide, levels[depth]], 1))
        quarters = self.last(maps)
        return functional.pixel_shuffle(quarters, 2)[:, 0], self._whole(pooled, maps, quarters)

    def _whole(self, pooled: Tensor, maps: Tensor, quarters: Tensor) -> Tensor:
        """Of all, of what the maps have where the shadow is likely, and of how much that is."""
        likely = quarters.float().sigmoid().mean(1, keepdim=True)
        area = likely.sum((2, 3))
        there = (maps * likely).sum((2, 3)) / (area + 1)
        logits: Tensor = self.cast(torch.cat([pooled, there, (area + 1).log() / 8], 1))
        return logits[:, 0]


def blocks(network: Network) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Their names, convolutions and norms."""
    made = []
    for name, part in network.named_modules():
        if isinstance(part, nn.Sequential) and isinstance(part[0], nn.Conv2d):
            assert isinstance(part[1], nn.BatchNorm2d)
            made.append((name, part[0], part[1]))
    return made


def folded(network: Network) -> dict[str, Tensor]:
    """Weights under the names that ``segment2inpaint.shadow`` reads, norms folded in, float16."""
    made: dict[str, Tensor] = {}
    for name, conv, norm in blocks(network):
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        made[f"{name}.weight"] = conv.weight * scale[:, None, None, None]
        made[f"{name}.bias"] = norm.bias - norm.running_mean * scale
    for name in ("last", "cast"):
        for kind in ("weight", "bias"):
            made[f"{name}.{kind}"] = getattr(getattr(network, name), kind)
    return {name: w.detach().half().contiguous() for name, w in made.items()}


@torch.no_grad()
def unfold(network: Network, weights: dict[str, Tensor], planes: Tensor) -> None:
    """Give a network the weights that ``folded`` made, and norms such that on those planes it says
    the same.
    """
    inputs: dict[str, Tensor] = {}
    for name, conv, norm in blocks(network):
        conv.weight.copy_(weights[f"{name}.weight"])
        norm.reset_parameters()
        norm.bias.copy_(weights[f"{name}.bias"])
        norm.register_forward_pre_hook(lambda _, given, name=name: inputs.update({name: given[0]}))
    for name in ("last", "cast"):
        for kind in ("weight", "bias"):
            getattr(getattr(network, name), kind).copy_(weights[f"{name}.{kind}"])
    network.eval()(planes)
    for name, _, norm in blocks(network):
        norm._forward_pre_hooks.clear()
        assert norm.running_var is not None
        assert norm.running_mean is not None
        var, mean = torch.var_mean(inputs[name].float(), (0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        norm.weight.copy_((var + norm.eps).sqrt())
        norm.bias.add_(mean)
    network.train()
