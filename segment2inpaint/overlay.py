"""Draw numbered masks over a photo, and contact sheets of candidates."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from math import ceil, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.masks import deepest_point
from segment2inpaint.types import Alpha, BinaryMask, Detection, Image, Point, bounding_box

MASK_OPACITY = 0.45  # of a mask's colour over the photo
HUE_STEP = 0.618  # of the colour circle; the golden ratio sets neighbouring numbers far apart
TEXT_HEIGHTS_PER_SIDE = 50  # the long side of a picture is this many digits high
MIN_TEXT_HEIGHT = 8  # px, below which digits are not readable
CELL_GAP = 4  # px of white between the cells of a contact sheet


def draw_numbered_masks(
    image: Image, detections: Sequence[Detection], max_side: int = 1600
) -> Image:
    """Return the photo with each mask in a colour of its own and its number, from 1.

    ``image`` is ``(H, W, 3)`` uint8 RGB; the result is too, with a long side of at most
    ``max_side`` px. Small masks lie over large ones. At most 255 detections.
    """
    scale = min(1.0, max_side / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    drawing: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    masks = [_resize_mask(detection.mask, size) for detection in detections]
    order = sorted(range(len(masks)), key=lambda i: -int(masks[i].sum()))
    for i in order:
        _draw_mask(drawing, masks[i], _color(i))
    labels = np.zeros(drawing.shape[:2], np.uint8)
    for i in order:
        labels[masks[i]] = i + 1
    for i in order:
        visible = labels == i + 1
        if masks[i].any():
            _draw_text(drawing, str(i + 1), deepest_point(visible if visible.any() else masks[i]))
    return drawing


def contact_sheet(
    results: Sequence[tuple[Image, Alpha]], captions: Sequence[str], max_side: int = 480
) -> Image:
    """Return a grid of results, each cropped to the changed pixels and their surroundings.

    ``results`` are images ``(H, W, 3)`` uint8 RGB of one size with their alpha ``(H, W)``
    float32, ``captions`` plain ASCII. The long side of a cell is ``max_side`` px.
    """
    changed = np.logical_or.reduce([alpha > 0 for _, alpha in results])
    box = bounding_box(changed)
    around = box.expand(max(box.width, box.height) // 2, (changed.shape[0], changed.shape[1]))
    scale = max_side / max(around.width, around.height)
    size = max(1, round(around.width * scale)), max(1, round(around.height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    cells = []
    for (image, _), caption in zip(results, captions, strict=True):
        cell: Image = cv2.resize(image[around.slices], size, interpolation=interpolation)
        _draw_text(cell, caption, (0, 0))
        cells.append(np.pad(cell, ((0, CELL_GAP), (0, CELL_GAP), (0, 0)), constant_values=255))
    return _grid(cells)


def _grid(cells: list[Image]) -> Image:
    """Return the cells in rows, about as many rows as columns, without the outer gap."""
    columns = ceil(sqrt(len(cells)))
    cells = cells + [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    grid: Image = np.vstack(rows)[:-CELL_GAP, :-CELL_GAP].copy()
    return grid


def _resize_mask(mask: BinaryMask, size: tuple[int, int]) -> BinaryMask:
    """Return the mask in another size (width, height); a pixel is set if half of it was."""
    resized: BinaryMask = (
        cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
    )
    return resized


def _color(index: int) -> NDArray[np.float64]:
    """Return the RGB colour of a mask, each value from 0 to 255."""
    return 255 * np.array(colorsys.hsv_to_rgb(index * HUE_STEP % 1, 0.8, 1.0))


def _draw_mask(drawing: Image, mask: BinaryMask, color: NDArray[np.float64]) -> None:
    drawing[mask] = np.rint((1 - MASK_OPACITY) * drawing[mask] + MASK_OPACITY * color)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, max(drawing.shape[:2]) // 800)
    cv2.drawContours(drawing, outlines, -1, color.tolist(), thickness)


def _draw_text(drawing: Image, text: str, center: Point) -> None:
    """Draw white text on a black rectangle around ``center``, moved inside the picture."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    height = max(MIN_TEXT_HEIGHT, max(drawing.shape[:2]) // TEXT_HEIGHTS_PER_SIDE)
    font_scale = cv2.getFontScaleFromHeight(font, height)
    (width, _), _ = cv2.getTextSize(text, font, font_scale, 1)
    x = min(max(2, center[0] - width // 2), max(2, drawing.shape[1] - width - 2))
    y = min(max(height + 2, center[1] + height // 2), max(2, drawing.shape[0] - 2))
    top_left, bottom_right = (x - 2, y - height - 2), (x + width + 1, y + 2)
    cv2.rectangle(drawing, top_left, bottom_right, (0, 0, 0), cv2.FILLED)
    cv2.putText(drawing, text, (x, y), font, font_scale, (255,) * 3, 1, cv2.LINE_AA)
