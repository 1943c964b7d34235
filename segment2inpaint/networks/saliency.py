"""What stands out in a window of the photo: salient object detection.

The network is U²-Net-P (Qin et al. 2020, Pattern Recognition 106), which knows no clicks: whether
what it sees is the object that was meant, ``clicked`` has to find out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.networks.letterbox import outside_mask, resample, sigmoid
from segment2inpaint.networks.onnx import FloatArray, Network
from segment2inpaint.types import Box, Image

SIDE = 224  # px: the window, whatever its shape
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green, blue
CLEAR, DIM = 3.0, 2.0  # log odds count up to so much, for and against: thin parts hardly stand out
WEIGHT = 1.5  # times them


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """Logits (SIDE, SIDE) that each place in a window of the photo stands out.

    ``weight``, in [0, 1], is how far that counts.
    """

    window: Box
    logits: FloatArray
    weight: float = 1.0

    def likely(self) -> FloatArray:
        """The chance of each place, (SIDE, SIDE)."""
        return sigmoid(self.logits)

    def odds(self, window: Box, size: tuple[int, int]) -> FloatArray:
        """Log odds that count, as (h, w) over another window of the photo; 0 beyond its own."""
        scale = SIDE / self.window.height, SIDE / self.window.width
        odds = resample(np.clip(self.logits, -DIM, CLEAR), self.window, scale, window, size)
        odds[outside_mask(self.window, window, size)] = 0
        return self.weight * WEIGHT * odds


def predict_saliency(image: Image, window: Box, network: Network) -> SaliencyMap:
    """What stands out in a window, among what else it shows."""
    part = image[window.slices]
    way = cv2.INTER_AREA if max(part.shape[:2]) > SIDE else cv2.INTER_LINEAR
    small = cv2.resize(part, (SIDE, SIDE), interpolation=way).astype(np.float32)
    planes = ((small / 255 - MEAN) / DEVIATION).astype(np.float32).transpose(2, 0, 1)
    return SaliencyMap(window, network(planes)[0])
