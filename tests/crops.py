"""Crops for tests of diffusion models, and comparisons of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from segment2inpaint.protocols import Crop
from segment2inpaint.types import Fill

torch.set_num_threads(1)  # networks this small lose more tolerance sharing work than they gain

FILL = Fill(prompt="a red rose", num_inference_steps=3, strength=1.0)


def make_crop(height: int = 64, width: int = 96, seed: int = 0) -> Crop:
    """Return a smooth picture with a hole of a quarter of each side."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([127 + 100 * np.sin(x / 9), 127 + 100 * np.cos(y / 7), x + y], -1)
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    return Crop(image.astype(np.uint8), mask, seed)


def nearly_equal(a: list[Any], b: list[Any], tolerance: int = 1) -> bool:
    """Return whether the images differ tolerance at most ``tolerance`` levels, as rounding does."""
    return all(abs(x.astype(int) - y).max() <= tolerance for x, y in zip(a, b, strict=True))


def equal(a: list[Any], b: list[Any]) -> bool:
    """Return whether the images are equal pixel tolerance pixel."""
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
