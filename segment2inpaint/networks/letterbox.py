"""Windows of the photo as networks see them, and what they say, laid over other windows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask, Box, Point

FloatArray = NDArray[np.float32]


def sigmoid(odds: FloatArray) -> FloatArray:
    """Of log odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -40, 40))), np.float32)


@dataclass(frozen=True)
class Letterbox:
    """A window of the photo, ``size`` (h, w) px large in the top left corner of the frame."""

    window: Box
    size: tuple[int, int]

    def at(self, point: Point) -> Point:
        """The pixel of the frame that shows a pixel of the photo in the window."""
        x = int((point[0] - self.window.x0 + 0.5) * self.size[1] / self.window.width)
        y = int((point[1] - self.window.y0 + 0.5) * self.size[0] / self.window.height)
        return min(x, self.size[1] - 1), min(y, self.size[0] - 1)

    def box(self, box: Box) -> Box:
        """At least a pixel of the frame, for what of the box lies in the window."""
        x0, x1 = self._span(box.x0 - self.window.x0, box.x1 - self.window.x0, 1)
        y0, y1 = self._span(box.y0 - self.window.y0, box.y1 - self.window.y0, 0)
        return Box(x0, y0, x1, y1)

    def unscaled(self, box: Box) -> Box:
        """A box of the frame, in the photo."""
        across, down = self.window.width / self.size[1], self.window.height / self.size[0]
        x0, y0 = self.window.x0 + int(box.x0 * across), self.window.y0 + int(box.y0 * down)
        return Box(
            x0,
            y0,
            max(x0 + 1, self.window.x0 + round(box.x1 * across)),
            max(y0 + 1, self.window.y0 + round(box.y1 * down)),
        )

    def _span(self, low: int, high: int, axis: int) -> tuple[int, int]:
        length = self.size[axis]
        scale = length / (self.window.height, self.window.width)[axis]
        start = min(max(round(low * scale), 0), length - 1)
        return start, min(max(round(high * scale), start + 1), length)


def resample(
    values: FloatArray, own: Box, scale: tuple[float, float], window: Box, size: tuple[int, int]
) -> FloatArray:
    """Values over a window ``own`` of the photo, as (h, w) = ``size`` over another window.

    ``scale`` (down, across) is how many px of the values lie on a px of the photo. Beyond ``own``
    the values at its edge go on.
    """
    y, x = scale[0] * window.height / size[0], scale[1] * window.width / size[1]
    down = scale[0] * (window.y0 - own.y0) + 0.5 * y - 0.5
    across = scale[1] * (window.x0 - own.x0) + 0.5 * x - 0.5
    back = np.array([[x, 0, across], [0, y, down]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid: FloatArray = cv2.warpAffine(
        values, back, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return laid


def outside_mask(own: Box, window: Box, size: tuple[int, int]) -> BinaryMask:
    """Which places of a window, (h, w) = ``size``, lie beyond another one."""
    beyond = np.ones(size, np.bool_)
    if own.overlaps(window):
        beyond[Letterbox(window, size).box(own).slices] = False
    return beyond
