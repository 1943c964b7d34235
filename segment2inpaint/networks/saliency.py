"""Salient object detection: which object stands out in a window of the photo.

The network is U²-Net-P (Qin et al., "U²-Net: Going deeper with nested U-structure for salient
object detection", Pattern Recognition 106, 2020). It takes no prompt: the
``builtin`` detector decides whether the salient object is the one that the user means.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np

from segment2inpaint.masks import connected_components
from segment2inpaint.networks.letterbox import outside_mask, resample, sigmoid
from segment2inpaint.networks.onnx import Network
from segment2inpaint.types import Box, FloatArray, Image

INPUT_SIDE = 224  # px: the window is scaled to a square of this side, whatever its shape
PIXEL_MEAN, PIXEL_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of R, G, B in [0, 1]
# Log-odds are clipped to this range. Evidence against is clipped more, because thin parts of an
# object hardly stand out.
MIN_LOG_ODDS, MAX_LOG_ODDS = -2.0, 3.0
LOG_ODDS_WEIGHT = 1.5  # factor on the clipped log-odds, which are added to the click network's


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """Logits (INPUT_SIDE, INPUT_SIDE), float32, that each place in a window is salient."""

    window: Box
    logits: FloatArray

    def probability(self) -> FloatArray:
        """Return the probability of each place, (INPUT_SIDE, INPUT_SIDE) in [0, 1]."""
        return sigmoid(self.logits)

    def log_odds(self, window: Box, size: tuple[int, int]) -> FloatArray:
        """Return the log-odds over another window, (h, w) = ``size``, clipped and weighted.

        They are 0 outside the map's own window.
        """
        scale = INPUT_SIDE / self.window.height, INPUT_SIDE / self.window.width
        clipped = np.clip(self.logits, MIN_LOG_ODDS, MAX_LOG_ODDS)
        log_odds = resample(clipped, self.window, scale, window, size)
        log_odds[outside_mask(self.window, window, size)] = 0
        return LOG_ODDS_WEIGHT * log_odds


def predict_saliency(image: Image, window: Box, network: Network) -> SaliencyMap:
    """Return what stands out in a window of the photo, compared with the rest of the window.

    ``image`` is (H, W, 3) uint8 RGB.
    """
    part = image[window.slices]
    shrinks = max(part.shape[:2]) > INPUT_SIDE
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    scaled = cv2.resize(part, (INPUT_SIDE, INPUT_SIDE), interpolation=interpolation)
    planes = (scaled.astype(np.float32) / 255 - PIXEL_MEAN) / PIXEL_STD
    return SaliencyMap(window, network(planes.astype(np.float32).transpose(2, 0, 1))[0])


def salient_box(image: Image, network: Network) -> Box | None:
    """Return the box of the largest object that stands out in a photo, None if none does."""
    height, width = image.shape[:2]
    salient = predict_saliency(image, Box(0, 0, width, height), network).probability() > 0.5
    found = list(connected_components(salient))
    if not found:
        return None
    box, _ = max(found, key=lambda each: int(each[1].sum()))
    x, y = width / INPUT_SIDE, height / INPUT_SIDE
    return Box(int(box.x0 * x), int(box.y0 * y), ceil(box.x1 * x), ceil(box.y1 * y))
