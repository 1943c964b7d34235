"""Map between windows of a photo and the inputs and outputs of networks.

Points are (x, y), sizes are (h, w), boxes are half-open.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segment2inpaint.types import BinaryMask, Box, FloatArray, Point


def sigmoid(log_odds: FloatArray) -> FloatArray:
    """Return the sigmoid of log-odds: probabilities in [0, 1], float32."""
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -40, 40))), np.float32)


@dataclass(frozen=True)
class Letterbox:
    """A window of the photo, scaled to ``size`` (h, w) px, in the top left corner of the input.

    The rest of the network's square input is empty.
    """

    window: Box
    size: tuple[int, int]

    def point_to_input(self, point: Point) -> Point:
        """Return the pixel of the input that shows a pixel of the photo inside the window."""
        x = int((point[0] - self.window.x0 + 0.5) * self.size[1] / self.window.width)
        y = int((point[1] - self.window.y0 + 0.5) * self.size[0] / self.window.height)
        return min(x, self.size[1] - 1), min(y, self.size[0] - 1)

    def box_to_input(self, box: Box) -> Box:
        """Return a box of the photo in the input, clipped to the window, at least 1 px a side."""
        x0, x1 = self._scale_span(box.x0 - self.window.x0, box.x1 - self.window.x0, 1)
        y0, y1 = self._scale_span(box.y0 - self.window.y0, box.y1 - self.window.y0, 0)
        return Box(x0, y0, x1, y1)

    def box_to_photo(self, box: Box) -> Box:
        """Return a box of the input in the photo, at least 1 px a side."""
        scale_x, scale_y = self.window.width / self.size[1], self.window.height / self.size[0]
        x0, y0 = self.window.x0 + int(box.x0 * scale_x), self.window.y0 + int(box.y0 * scale_y)
        return Box(
            x0,
            y0,
            max(x0 + 1, self.window.x0 + round(box.x1 * scale_x)),
            max(y0 + 1, self.window.y0 + round(box.y1 * scale_y)),
        )

    def _scale_span(self, low: int, high: int, axis: int) -> tuple[int, int]:
        length = self.size[axis]
        scale = length / (self.window.height, self.window.width)[axis]
        start = min(max(round(low * scale), 0), length - 1)
        return start, min(max(round(high * scale), start + 1), length)


def resample(
    values: FloatArray,
    source: Box,
    scale: tuple[float, float],
    window: Box,
    size: tuple[int, int],
) -> FloatArray:
    """Resample values over the window ``source`` of the photo to another window, bilinearly.

    Returns (h, w) = ``size`` values over ``window``. ``scale`` (y, x) is the number of values per
    pixel of the photo. Outside ``source``, the values at its edge are repeated.
    """
    step_y, step_x = scale[0] * window.height / size[0], scale[1] * window.width / size[1]
    start_y = scale[0] * (window.y0 - source.y0) + 0.5 * step_y - 0.5
    start_x = scale[1] * (window.x0 - source.x0) + 0.5 * step_x - 0.5
    matrix = np.array([[step_x, 0, start_x], [0, step_y, start_y]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    resampled: FloatArray = cv2.warpAffine(
        values, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return resampled


def outside_mask(source: Box, window: Box, size: tuple[int, int]) -> BinaryMask:
    """Return which pixels of ``window``, (h, w) = ``size`` bool, lie outside ``source``."""
    outside = np.ones(size, np.bool_)
    if source.overlaps(window):
        outside[Letterbox(window, size).box_to_input(source).slices] = False
    return outside
