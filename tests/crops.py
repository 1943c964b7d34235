"""Crops for diffusion models, and what they are painted over with compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from segment2inpaint.protocols import Crop
from segment2inpaint.types import Fill

torch.set_num_threads(1)  # networks this small lose more by sharing work than they gain

FILL = Fill(prompt="a red rose", num_inference_steps=3, strength=1.0)


def crop(height: int = 64, width: int = 96, seed: int = 0) -> Crop:
    y, x = np.mgrid[:height, :width]
    image = np.stack([127 + 100 * np.sin(x / 9), 127 + 100 * np.cos(y / 7), x + y], -1)
    bits = np.zeros((height, width), bool)
    bits[height // 4 : height // 2, width // 4 : width // 2] = True
    return Crop(image.astype(np.uint8), bits, seed)


def close(a: list[Any], b: list[Any], by: int = 1) -> bool:
    """Equal but for rounding."""
    return all(abs(x.astype(int) - y).max() <= by for x, y in zip(a, b, strict=True))


def same(a: list[Any], b: list[Any]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
