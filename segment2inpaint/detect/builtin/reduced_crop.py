"""A window of the photo at reduced size, and the way between its pixels and the photo's."""

from __future__ import annotations

import cv2
import numpy as np

from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import BinaryMask, Box, Image, Point, bounding_box


class ReducedCrop:
    """A window of the photo, reduced so that its long side is at most ``max_side`` px.

    ``pixels`` (h, w, 3) is the reduced window, ``size`` its (width, height), ``step`` the photo
    pixels per reduced pixel in x and y.
    """

    def __init__(self, image: Image, window: Box, max_side: int) -> None:
        self.window = window
        scale = min(1.0, max_side / max(window.width, window.height))
        self.size = max(2, round(window.width * scale)), max(2, round(window.height * scale))
        self.step = window.width / self.size[0], window.height / self.size[1]
        self.pixels: Image = cv2.resize(
            image[window.slices], self.size, interpolation=cv2.INTER_AREA
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.size[1], self.size[0]

    def local_prompt(self, prompt: ObjectPrompt) -> ObjectPrompt:
        """Return the prompt in reduced pixels, without the points outside the window."""
        return ObjectPrompt(
            tuple(self._local_point(p) for p in prompt.include if self.window.contains(p)),
            tuple(self._local_point(p) for p in prompt.exclude if self.window.contains(p)),
            prompt.box and self._local_box(prompt.box),
            prompt.granularity,
        )

    def box_in_photo(self, mask: BinaryMask) -> Box:
        """Return the box in the photo of a mask of the reduced window."""
        x0, y0, x1, y1 = bounding_box(mask)
        x, y = self.step
        return Box(
            self.window.x0 + int(x0 * x), self.window.y0 + int(y0 * y),
            self.window.x0 + round(x1 * x), self.window.y0 + round(y1 * y),
        )  # fmt: skip

    def resample_mask(self, source: ReducedCrop, mask: BinaryMask) -> BinaryMask:
        """Return a mask of another crop resampled to this one, (h, w)."""
        (scale_x, offset_x), (scale_y, offset_y) = (
            (step / source_step, (0.5 * step + start - source_start) / source_step - 0.5)
            for step, source_step, start, source_start in zip(
                self.step, source.step, self.window[:2], source.window[:2], strict=True
            )
        )
        to_source = np.array([[scale_x, 0, offset_x], [0, scale_y, offset_y]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        coverage = cv2.warpAffine(
            mask.astype(np.float32),
            to_source,
            self.size,
            flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        )
        resampled: BinaryMask = coverage > 0.5
        return resampled

    def _local_point(self, point: Point) -> Point:
        x = int((point[0] - self.window.x0) / self.step[0])
        y = int((point[1] - self.window.y0) / self.step[1])
        return min(max(x, 0), self.size[0] - 1), min(max(y, 0), self.size[1] - 1)

    def _local_box(self, box: Box) -> Box:
        x0, y0 = self._local_point((box.x0, box.y0))
        x1, y1 = self._local_point((box.x1 - 1, box.y1 - 1))
        return Box(x0, y0, x1 + 1, y1 + 1)
