"""Fills that hide an object without inventing anything: blur, pixelate, solid.

``blur`` and ``pixelate`` reduce each connected part of a mask to a few mean colours, whatever its
size: ``CELLS`` along the diagonal of its box. Nothing else of it reaches the result. ``solid``
leaves one colour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, hypot

import cv2
import numpy as np

from segment2inpaint.masks import connected_components
from segment2inpaint.protocols import Crop, InputSpec, ProgressCallback, no_progress
from segment2inpaint.types import BinaryMask, Fill, Image

CELLS = 8  # along the diagonal of the part's box

Paint = Callable[[Image, BinaryMask], Image]
"""Returns the pixels for the box of a part: of its image (h, w, 3) and its mask (h, w)."""


class BlurInpainter:
    """Blurs each part of the mask, more the larger it is."""

    name = "blur"
    input_spec = InputSpec(uses_seed=False, obscures=True)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its masked parts blurred; nothing in ``fill`` is used."""
        return _obscure(crops, lambda image, _: _mosaic(image, cv2.INTER_LINEAR), progress)


class PixelateInpainter:
    """Replaces each part of the mask with squares of one colour each, larger the larger it is."""

    name = "pixelate"
    input_spec = InputSpec(uses_seed=False, obscures=True)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its masked parts pixelated; nothing in ``fill`` is used."""
        return _obscure(crops, lambda image, _: _mosaic(image, cv2.INTER_NEAREST), progress)


class SolidInpainter:
    """Paints each part of the mask in ``Fill.fill_color``, or in its mean colour."""

    name = "solid"
    input_spec = InputSpec(uses_seed=False, obscures=True)

    def inpaint(
        self, crops: Sequence[Crop], fill: Fill, progress: ProgressCallback = no_progress
    ) -> list[Image]:
        """Return each crop with its masked parts in one colour."""

        def paint(image: Image, mask: BinaryMask) -> Image:
            color = fill.fill_color or np.rint(image[mask].mean(axis=0))
            return np.full_like(image, color)

        return _obscure(crops, paint, progress)


def _obscure(crops: Sequence[Crop], paint: Paint, progress: ProgressCallback) -> list[Image]:
    results = []
    for index, crop in enumerate(crops):
        progress("inpainting", index / len(crops))
        result = crop.image.copy()
        for box, part in connected_components(crop.mask):
            result[box.slices][part] = paint(crop.image[box.slices], part)[part]
        results.append(result)
    progress("inpainting", 1.0)
    return results


def _mosaic(image: Image, interpolation: int) -> Image:
    """Return the image made of square cells, enlarged again with an OpenCV interpolation."""
    height, width = image.shape[:2]
    cell = max(1, ceil(hypot(height, width) / CELLS))
    rows, columns = max(1, height // cell), max(1, width // cell)
    means = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    mosaic: Image = cv2.resize(means, (width, height), interpolation=interpolation)
    return mosaic
