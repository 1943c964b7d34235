"""A rough filling at once, to look at while the real one is made."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image as Pillow

from segment2inpaint.protocols import Crop, Inpainter
from segment2inpaint.types import Box, Fill, Image
from segment2inpaint.web.contours import FeatheredMask

QUICK = "telea"  # the inpainter
SIDE = 360  # px: the window is made no larger
ROOM = 0.25  # of the longer side, round what is filled


def filled(image: Image, soft: FeatheredMask, quick: Inpainter) -> bytes:
    """What may come to stand in the window ``around``, as WebP with alpha, ``SIDE`` px at most."""
    box = soft.box
    window = around(soft, (image.shape[0], image.shape[1]))
    alpha = np.zeros((window.height, window.width), np.float32)
    x, y = box.x0 - window.x0, box.y0 - window.y0
    alpha[y : y + box.height, x : x + box.width] = soft.alpha
    scale = min(1.0, SIDE / max(window.width, window.height))
    size = max(2, round(window.width * scale)), max(2, round(window.height * scale))
    small: Image = cv2.resize(image[window.slices], size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    (painted,) = quick.inpaint([Crop(small, share > 0)], Fill())
    file = BytesIO()
    pixels = np.dstack([painted, np.rint(255 * share).astype(np.uint8)])
    Pillow.fromarray(pixels).save(file, "WEBP", quality=80, method=0)
    return file.getvalue()


def around(soft: FeatheredMask, size: tuple[int, int]) -> Box:
    """Where in a photo of ``size`` (h, w) the picture lies."""
    return soft.box.grown(max(8, int(ROOM * max(soft.box.width, soft.box.height))), size)
