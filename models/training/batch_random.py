"""Random numbers for a batch of pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class BatchRandom:
    """Draws independent numbers for each of ``count`` pictures, all from one generator.

    Results have the shape ``(count, *shape)`` and lie on the generator's device. Without a shape
    in the call, ``default_shape`` is used: (1, 1) to broadcast with maps (n, h, w), (1, 1, 1) to
    broadcast with pictures (n, c, h, w).
    """

    count: int
    generator: torch.Generator
    default_shape: tuple[int, ...] = (1, 1)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Return numbers that are uniform in [low, high)."""
        shape = shape or self.default_shape
        drawn = torch.rand(self.count, *shape, generator=self.generator, device=self._device)
        return low + (high - low) * drawn

    def normal(self, *shape: int) -> Tensor:
        """Return numbers of the standard normal distribution."""
        shape = shape or self.default_shape
        return torch.randn(self.count, *shape, generator=self.generator, device=self._device)

    def bernoulli(self, probability: float) -> Tensor:
        """Return booleans that are True with the given probability."""
        return self.uniform(0, 1) < probability

    def sign(self) -> Tensor:
        """Return 1.0 or -1.0 with equal probability."""
        return torch.where(self.bernoulli(0.5), 1.0, -1.0)

    def integers(self, high: int) -> Tensor:
        """Return whole numbers in [0, high), int64 (count,)."""
        return torch.randint(high, (self.count,), generator=self.generator, device=self._device)

    def one_hot(self, classes: int) -> Tensor:
        """Return rows (count, classes), float32, with a single 1 at a random place."""
        return functional.one_hot(self.integers(classes), classes).float()

    @property
    def _device(self) -> torch.device:
        return self.generator.device
