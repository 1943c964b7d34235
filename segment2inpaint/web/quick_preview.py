"""A quick, rough fill that the page shows while the real job runs."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image as Pillow

from segment2inpaint.protocols import Crop, Inpainter
from segment2inpaint.types import Box, Fill, Image
from segment2inpaint.web.contours import FeatheredMask

QUICK_INPAINTER = "telea"
MAX_SIDE = 360  # px: the preview window is reduced to this longer side, to be quick
MARGIN_SHARE = 0.25  # of the mask's longer side: the surroundings in the preview window


def render_preview(image: Image, mask: FeatheredMask, inpainter: Inpainter) -> bytes:
    """Return a rough fill of the window ``preview_window``, as WebP with alpha.

    The picture is at most ``MAX_SIDE`` px long.
    """
    window = preview_window(mask, (image.shape[0], image.shape[1]))
    alpha = np.zeros((window.height, window.width), np.float32)
    x, y = mask.box.x0 - window.x0, mask.box.y0 - window.y0
    alpha[y : y + mask.box.height, x : x + mask.box.width] = mask.alpha
    scale = min(1.0, MAX_SIDE / max(window.width, window.height))
    size = max(2, round(window.width * scale)), max(2, round(window.height * scale))
    small_image: Image = cv2.resize(image[window.slices], size, interpolation=cv2.INTER_AREA)
    small_alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    (filled,) = inpainter.inpaint([Crop(small_image, small_alpha > 0)], Fill())
    file = BytesIO()
    pixels = np.dstack([filled, np.rint(255 * small_alpha).astype(np.uint8)])
    Pillow.fromarray(pixels).save(file, "WEBP", quality=80, method=0)
    return file.getvalue()


def preview_window(mask: FeatheredMask, size: tuple[int, int]) -> Box:
    """Return the box in a photo of ``size`` (h, w) that the preview covers."""
    margin = max(8, int(MARGIN_SHARE * max(mask.box.width, mask.box.height)))
    return mask.box.expand(margin, size)
