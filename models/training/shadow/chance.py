"""Random numbers for a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Chance:
    """Drawn for each of ``n`` pictures; (n, 1, 1, 1) where no other shape is asked for."""

    n: int
    generator: torch.Generator

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        shape = shape or (1, 1, 1)
        drawn = torch.rand(self.n, *shape, generator=self.generator, device=self.generator.device)
        return low + (high - low) * drawn

    def often(self, share: float) -> Tensor:
        """True for that share of them."""
        return self.between(0, 1) < share

    def sign(self) -> Tensor:
        return torch.where(self.often(0.5), 1.0, -1.0)

    def normal(self, *shape: int) -> Tensor:
        shape = shape or (1, 1, 1)
        return torch.randn(self.n, *shape, generator=self.generator, device=self.generator.device)

    def below(self, count: int) -> Tensor:
        """(n,) whole numbers."""
        device = self.generator.device
        return torch.randint(count, (self.n,), generator=self.generator, device=device)
