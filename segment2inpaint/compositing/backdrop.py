"""Another background behind an object: a picture, a colour, a blur, or nothing at all.

Nothing is painted. The object keeps its pixels; along its soft edge its own colours are blended
with the new background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as Pillow

from segment2inpaint import masks, window
from segment2inpaint.backgrounds import TRANSPARENT, background_color
from segment2inpaint.compositing import matting
from segment2inpaint.errors import NothingFound
from segment2inpaint.types import (
    Alpha,
    Detection,
    Image,
    PictureFit,
    Points,
    ReplacementImage,
    Request,
)

WHITE = (255, 255, 255)
BLUR_SHARE = 0.03  # of the photo's long side: the deviation of the blur
BLURRED_SIDE = 512  # px; the blur is computed on a photo of this long side


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A photo with another background.

    ``alpha``, ``(H, W)`` float32, is the share of the new pixel: 0 on the object. ``opacity`` is
    the alpha channel if the background is transparent, else None.
    """

    image: Image
    alpha: Alpha
    opacity: Alpha | None = None


def change_background(image: Image, detections: Sequence[Detection], request: Request) -> Backdrop:
    """Return the photo with the background of the request behind the objects.

    Protected areas stay as they are. Raises ``NothingFound`` if there is no background.
    """
    excluded = [at for p in request.prompts if isinstance(p, Points) for at in p.exclude]
    kept = matting.objects_alpha(image, detections, request.refine, excluded)
    protected = masks.protected_area(request.refine, kept.shape)
    kept[protected] = 1
    if kept.min() == 1:
        raise NothingFound("the object fills the photo: no background is left to change")
    alpha: Alpha = 1 - kept
    changed = matting.foreground_colors(image, kept)
    changed[protected] = image[protected]
    if request.fill.background == TRANSPARENT and not request.fill.picture:
        return Backdrop(changed, alpha, kept)
    window.blend(changed, _background(image, alpha, request), alpha)
    return Backdrop(changed, alpha)


def _background(image: Image, alpha: Alpha, request: Request) -> Image:
    """Return the new background; a picture lies on ``background`` where it does not reach."""
    fill = request.fill
    color = background_color(fill.background) if fill.background else None
    base = np.full_like(image, color or WHITE)
    if fill.background == "blur":
        base = _blurred(image, alpha)
    return lay_picture(base, fill.picture, fill.picture_fit or "cover") if fill.picture else base


def lay_picture(base: Image, picture: ReplacementImage, fit: PictureFit) -> Image:
    """Return ``base`` with a picture over it, centred and scaled to cover or fit into it."""
    height, width = base.shape[:2]
    high, wide = picture.alpha.shape
    scales = height / high, width / wide
    scale = max(scales) if fit == "cover" else min(scales)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    if fit == "stretch":
        size = width, height
    rgba = np.dstack([picture.image, np.rint(picture.alpha * 255).astype(np.uint8)])
    # resampled with premultiplied alpha, so that hidden pixels do not bleed into the outline
    scaled = Pillow.fromarray(rgba).convert("RGBa").resize(size, Pillow.Resampling.LANCZOS)
    canvas = Pillow.fromarray(base)
    place = (width - size[0]) // 2, (height - size[1]) // 2
    scaled = scaled.convert("RGBA")
    canvas.paste(scaled, place, scaled)
    return np.array(canvas)


def _blurred(image: Image, alpha: Alpha) -> Image:
    """Return the background of the photo blurred, without the object's colours in it."""
    height, width = alpha.shape
    scale = min(1.0, BLURRED_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    sigma = max(1.0, BLUR_SHARE * max(size))
    share = cv2.resize((alpha == 1).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    pixels = cv2.resize(
        image * (alpha == 1)[..., None].astype(np.float32), size, interpolation=cv2.INTER_AREA
    )
    weight, total = np.full_like(share, 1e-6), np.full_like(pixels, 127e-6)
    for wider in (1, 4, 16):  # the wider ones reach the middle of a large object
        factor = 10.0 ** -(wider // 2)
        weight += factor * cv2.GaussianBlur(share, (0, 0), wider * sigma)
        total += factor * cv2.GaussianBlur(pixels, (0, 0), wider * sigma)
    enlarged = cv2.resize(total / weight[..., None], (width, height))
    blurred: Image = np.rint(enlarged.clip(0, 255)).astype(np.uint8)
    return blurred
