"""A coarse mask's edge followed at full resolution."""

from __future__ import annotations

import cv2
import numpy as np

from .types import Bits, Image


def sharpen(image: Image, coarse: Bits) -> Bits:
    """The mask at the photo's size."""
    height, width = image.shape[:2]
    if coarse.shape == (height, width):
        return coarse
    soft = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    bits: Bits = soft > 0.5
    return bits
