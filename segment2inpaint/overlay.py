"""Objects drawn over their photo, in colours and with their numbers."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .masks import innermost
from .types import Bits, Image, Mask, Point

SHARE = 0.45  # of the colour over the photo
GOLDEN = 0.618  # of the colour circle between two numbers: neighbours differ most
TEXT = 30  # parts of the long side that a digit is high


def numbered(image: Image, found: Sequence[Mask], side: int = 1600) -> Image:
    """The photo, at most ``side`` px long, with each mask in a colour and its number from 1.

    Small masks lie over large ones.
    """
    scale = min(1.0, side / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    drawn: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = [_reduced(mask.bits, size) for mask in found]
    order = sorted(range(len(found)), key=lambda i: -int(small[i].sum()))
    for i in order:
        color = _color(i)
        drawn[small[i]] = np.rint((1 - SHARE) * drawn[small[i]] + SHARE * color)
        outlines, _ = cv2.findContours(
            small[i].astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(drawn, outlines, -1, color.tolist(), max(1, max(size) // 800))
    for i in order:
        if small[i].any():
            _write(drawn, str(i + 1), innermost(small[i]))
    return drawn


def _reduced(bits: Bits, size: tuple[int, int]) -> Bits:
    small: Bits = cv2.resize(bits.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
    return small


def _color(number: int) -> NDArray[np.float64]:
    return 255 * np.array(colorsys.hsv_to_rgb(number * GOLDEN % 1, 0.8, 1.0))


def _write(drawn: Image, text: str, at: Point) -> None:
    """White on black, centred on the point, within the picture."""
    font, height = cv2.FONT_HERSHEY_SIMPLEX, max(8, max(drawn.shape[:2]) // TEXT)
    size = cv2.getFontScaleFromHeight(font, height)
    (width, _), _ = cv2.getTextSize(text, font, size, 1)
    x = min(max(0, at[0] - width // 2), max(0, drawn.shape[1] - width))
    y = min(max(height, at[1] + height // 2), drawn.shape[0])
    for color, thick in ((0, max(3, height // 4)), (255, max(1, height // 12))):
        cv2.putText(drawn, text, (x, y), font, size, (color,) * 3, thick, cv2.LINE_AA)
