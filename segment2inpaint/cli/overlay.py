"""Objects drawn over their photo, in colours and with their numbers."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from math import ceil, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.masks import deepest_point
from segment2inpaint.types import Alpha, BinaryMask, Detection, Image, Point, bounding_box

SHARE = 0.45  # of the colour over the photo
GOLDEN = 0.618  # of the colour circle between two numbers: neighbours differ most
TEXT = 50  # parts of the long side that a digit is high


def numbered(image: Image, found: Sequence[Detection], side: int = 1600) -> Image:
    """The photo, at most ``side`` px long, with each mask in a colour and its number from 1.

    Small masks lie over large ones. ``found`` are at most 255.
    """
    scale = min(1.0, side / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    drawn: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = [_reduced(mask.mask, size) for mask in found]
    order = sorted(range(len(found)), key=lambda i: -int(small[i].sum()))
    for i in order:
        color = _color(i)
        drawn[small[i]] = np.rint((1 - SHARE) * drawn[small[i]] + SHARE * color)
        outlines, _ = cv2.findContours(
            small[i].astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(drawn, outlines, -1, color.tolist(), max(1, max(size) // 800))
    top = np.zeros(drawn.shape[:2], np.uint8)  # what is seen of each: there its number belongs
    for i in order:
        top[small[i]] = i + 1
    for i in order:
        seen = top == i + 1
        if small[i].any():
            _write(drawn, str(i + 1), deepest_point(seen if seen.any() else small[i]))
    return drawn


def contact_sheet(
    results: Sequence[tuple[Image, Alpha]], captions: Sequence[str], side: int = 480
) -> Image:
    """Pictures of one size, cut to where they were changed and some way round it, in a grid.

    ``results`` are images with their alpha, ``captions`` plain ASCII; a cell is at most ``side``
    px long.
    """
    changed = np.logical_or.reduce([alpha > 0 for _, alpha in results])
    box = bounding_box(changed)
    around = box.grown(max(box.width, box.height) // 2, (changed.shape[0], changed.shape[1]))
    scale = side / max(around.width, around.height)
    size = max(1, round(around.width * scale)), max(1, round(around.height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    cells = []
    for (image, _), caption in zip(results, captions, strict=True):
        cell: Image = cv2.resize(image[around.slices], size, interpolation=how)
        _write(cell, caption, (0, 0))
        cells.append(np.pad(cell, ((0, 4), (0, 4), (0, 0)), constant_values=255))
    wide = ceil(sqrt(len(cells)))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % wide)
    rows = [np.hstack(cells[i : i + wide]) for i in range(0, len(cells), wide)]
    sheet: Image = np.vstack(rows)[:-4, :-4].copy()
    return sheet


def _reduced(bits: BinaryMask, size: tuple[int, int]) -> BinaryMask:
    small: BinaryMask = (
        cv2.resize(bits.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
    )
    return small


def _color(number: int) -> NDArray[np.float64]:
    return 255 * np.array(colorsys.hsv_to_rgb(number * GOLDEN % 1, 0.8, 1.0))


def _write(drawn: Image, text: str, at: Point) -> None:
    """White on a black patch, centred on the point, within the picture."""
    font, height = cv2.FONT_HERSHEY_SIMPLEX, max(8, max(drawn.shape[:2]) // TEXT)
    size = cv2.getFontScaleFromHeight(font, height)
    (width, _), _ = cv2.getTextSize(text, font, size, 1)
    x = min(max(2, at[0] - width // 2), max(2, drawn.shape[1] - width - 2))
    y = min(max(height + 2, at[1] + height // 2), max(2, drawn.shape[0] - 2))
    cv2.rectangle(drawn, (x - 2, y - height - 2), (x + width + 1, y + 2), (0, 0, 0), cv2.FILLED)
    cv2.putText(drawn, text, (x, y), font, size, (255,) * 3, 1, cv2.LINE_AA)
