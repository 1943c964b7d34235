"""Find lines of text with the detector of PP-OCRv6 (``models/weights/text_lines.md``).

The network gives each pixel the probability that it lies in the middle part of a line (DBNet: Liao
et al., "Real-time scene text detection with differentiable binarization", AAAI 2020). Each such
part becomes a rectangle at any angle, which is then enlarged to the whole line.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.detect.find.outline import Outline
from segment2inpaint.networks.any_size import load_network, resize_for_network
from segment2inpaint.types import FloatArray, Image

DEFAULT_THRESHOLD = 0.8  # minimum mean probability of a line
MIN_SHORT_SIDE, MAX_LONG_SIDE = 736, 1920  # px of the network's input
# As in training, these figures of R, G, B are used on B, G, R.
PIXEL_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
PIXEL_STD = np.array([0.229, 0.224, 0.225], np.float32)
PIXEL_THRESHOLD = 0.3
MIN_LINE_HEIGHT = 3  # px of the network's input, of the middle part
# The middle part is enlarged on each side by its area / its perimeter times this. The network's
# authors use 1.5 to 2.
ENLARGEMENT = 1.8


def find_text_lines(image: Image) -> list[Outline]:
    """Return the lines of text in a photo, (H, W, 3) uint8 RGB, with any score."""
    short, long = sorted(image.shape[:2])
    scale = min(max(1.0, MIN_SHORT_SIDE / short), MAX_LONG_SIDE / long)
    scaled, back = resize_for_network(image, scale)
    bgr = scaled[..., ::-1].astype(np.float32) / 255
    planes = ((bgr - PIXEL_MEAN) / PIXEL_STD).transpose(2, 0, 1).astype(np.float32)
    return list(_lines(load_network("text_lines")(planes)[0], back))


def _lines(probability: FloatArray, back: FloatArray) -> Iterator[Outline]:
    """Yield the lines in a map (h, w); ``back`` are the factors to photo px."""
    middle = cv2.dilate((probability > PIXEL_THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(middle, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        center, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < MIN_LINE_HEIGHT:
            continue
        growth = 2 * ENLARGEMENT * width * height / (2 * (width + height))
        grown = center, (width + growth, height + growth), angle
        corners = cv2.boxPoints(grown) * back
        short_side = (min(width, height) + growth) * float(back.mean())
        yield Outline(corners, _mean_inside(probability, contour), short_side)


def _mean_inside(probability: FloatArray, contour: NDArray[np.int32]) -> float:
    """Return the mean probability inside a contour."""
    x, y, width, height = cv2.boundingRect(contour)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [contour - (x, y)], 1)
    return float(probability[y : y + height, x : x + width][inside > 0].mean())
