"""The shadow network that ships: the U-Net of ``unet``, and the click network's features.

What the encoder sees is added to the maps of an eighth of the view's side, on the way down and on
the way up, and counts for the presence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.shadow.unet import CHANNELS, ShadowNetwork, conv_block
from segment2inpaint.networks.shadow import FEATURE_COUNT

MIXED_CHANNELS = 96  # of the features that are added
LEVEL = 2  # of the U-Net, where they are
SHRINKING = 8  # view px per cell of the features


class FeatureShadowNetwork(nn.Module):
    """A U-Net that finds shadows and mirror images by light, contrast and features.

    It takes planes (n, INPUT_PLANES, s, s) and features (n, FEATURE_COUNT, s / 8, s / 8), and
    returns what ``ShadowNetwork`` returns. ``dropout`` is the share of features that are left out
    in training. At the start the features change nothing.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.unet, self.dropout = ShadowNetwork(), dropout
        self.squeeze = nn.Sequential(
            nn.Conv2d(FEATURE_COUNT, MIXED_CHANNELS, 1, bias=False),
            nn.BatchNorm2d(MIXED_CHANNELS),
            nn.ReLU(inplace=True),
        )
        self.mix = nn.Sequential(
            conv_block(MIXED_CHANNELS + 2, MIXED_CHANNELS),
            conv_block(MIXED_CHANNELS, MIXED_CHANNELS),
        )
        self.down = nn.Conv2d(MIXED_CHANNELS, CHANNELS[LEVEL], 1)
        self.up = nn.Conv2d(MIXED_CHANNELS, CHANNELS[LEVEL], 1)
        self.presence = nn.Linear(3 * MIXED_CHANNELS, 1)
        for layer in (self.down, self.up, self.presence):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, planes: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        object_and_photo = functional.avg_pool2d(planes[:, 5:7], SHRINKING)
        kept = functional.dropout2d(self.squeeze(features), self.dropout, self.training)
        mixed = self.mix(torch.cat([kept, object_and_photo], 1))
        added = {LEVEL: (self.down(mixed), self.up(mixed))}
        quarter_logits, presence = self.unet.find(planes, added)
        shadow = functional.avg_pool2d(quarter_logits.sigmoid().mean(1, keepdim=True), 4)
        pooled = [
            mixed.mean((2, 3)), _pool(mixed, shadow), _pool(mixed, object_and_photo[:, :1])
        ]  # fmt: skip
        presence = presence + self.presence(torch.cat(pooled, 1))[:, 0]
        return functional.pixel_shuffle(quarter_logits, 2)[:, 0], presence


def _pool(maps: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of maps (n, c, h, w) where weights (n, 1, h, w) are."""
    return (maps * weights).sum((2, 3)) / (weights.sum((2, 3)) + 0.5)


class ExportedNetwork(nn.Module):
    """The network as it ships: it returns probabilities instead of logits."""

    def __init__(self, network: FeatureShadowNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, planes: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        logits, presence = self.network(planes, features)
        return logits.sigmoid(), presence.sigmoid()
