"""The soft dark spot on the ground right below an object that stands on it."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np

from segment2inpaint.types import Alpha, Box, bounding_box

FEET_SHARE = 0.15  # lowest part of the object, of its height: it touches the ground
HEIGHT_SHARE = 0.16  # height of the ellipse, of the width of the feet
BLUR_SHARE = 0.05  # standard deviation of the blur, of the width of the feet
OPACITY = 0.65
MIN_DARKNESS = 1 / 255  # a weaker shadow changes no pixel


def contact_shadow(alpha: Alpha, box: Box, photo_size: tuple[int, int]) -> tuple[Box, Alpha]:
    """Return where the shadow of an object lies in a photo of size (h, w), and how dark it is.

    ``alpha``, ``(h, w)`` float32 in [0, 1], is the object's outline in ``box``. The shadow is an
    ellipse around the lowest line of the object.
    """
    height, width = photo_size
    feet = bounding_box(alpha[-max(1, round(FEET_SHARE * box.height)) :] > 0.5)
    sigma = max(1.0, BLUR_SHARE * feet.width)
    semi_axes = max(1.0, feet.width / 2), max(1.0, HEIGHT_SHARE * feet.width / 2)
    x, y = box.x0 + (feet.x0 + feet.x1) / 2, float(box.y1)
    reach = [ceil(axis + 3 * sigma) for axis in semi_axes]
    place = Box(
        max(0, int(x) - reach[0]), max(0, int(y) - reach[1]),
        min(width, int(x) + reach[0]), min(height, int(y) + reach[1]),
    )  # fmt: skip
    columns = np.arange(place.x0, place.x1) + 0.5
    rows = np.arange(place.y0, place.y1)[:, None] + 0.5
    inside = ((columns - x) / semi_axes[0]) ** 2 + ((rows - y) / semi_axes[1]) ** 2 <= 1
    dark = OPACITY * cv2.GaussianBlur(inside.astype(np.float32), (0, 0), sigma)
    return place, np.where(dark < MIN_DARKNESS, np.float32(0), dark)
