"""Fills that hide an object without inventing anything: blur, pixelate, solid.

``blur`` and ``pixelate`` reduce each connected part of a mask to a few mean colours, whatever its
size: ``CELLS`` along the diagonal of its box. Nothing else of it reaches the result. ``solid``
leaves one colour.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import ceil, hypot

import cv2
import numpy as np

from segment2inpaint.inpaint.each_crop import inpaint_each
from segment2inpaint.masks import connected_components
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import BinaryMask, Fill, Image

CELLS = 8  # along the diagonal of the part's box


class ObscuringInpainter(ABC):
    """Hides each connected part of the mask by itself; subclasses say how."""

    name: str
    input_spec = InputSpec(uses_seed=False, obscures=True)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its masked parts hidden."""
        return inpaint_each(crops, lambda crop: self._hide(crop, fill), progress)

    def _hide(self, crop: Crop, fill: Fill) -> Image:
        result = crop.image.copy()
        for box, part in connected_components(crop.mask):
            result[box.slices][part] = self.paint(crop.image[box.slices], part, fill)[part]
        return result

    @abstractmethod
    def paint(self, image: Image, mask: BinaryMask, fill: Fill) -> Image:
        """Return the pixels (h, w, 3) for the box of a part with the mask (h, w)."""


class BlurInpainter(ObscuringInpainter):
    """Blurs each part of the mask, more the larger it is."""

    name = "blur"

    def paint(self, image: Image, mask: BinaryMask, fill: Fill) -> Image:
        return _mosaic(image, cv2.INTER_LINEAR)


class PixelateInpainter(ObscuringInpainter):
    """Replaces each part of the mask with squares of one colour each, larger the larger it is."""

    name = "pixelate"

    def paint(self, image: Image, mask: BinaryMask, fill: Fill) -> Image:
        return _mosaic(image, cv2.INTER_NEAREST)


class SolidInpainter(ObscuringInpainter):
    """Paints each part of the mask in ``Fill.fill_color``, or in its mean colour."""

    name = "solid"

    def paint(self, image: Image, mask: BinaryMask, fill: Fill) -> Image:
        return np.full_like(image, fill.fill_color or np.rint(image[mask].mean(axis=0)))


def _mosaic(image: Image, interpolation: int) -> Image:
    """Return the image made of square cells, enlarged again with an OpenCV interpolation."""
    height, width = image.shape[:2]
    cell = max(1, ceil(hypot(height, width) / CELLS))
    rows, columns = max(1, height // cell), max(1, width // cell)
    means = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    mosaic: Image = cv2.resize(means, (width, height), interpolation=interpolation)
    return mosaic
