"""Put a cutout on another ground, with a shadow if wanted: a way to make training pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from segment2inpaint import window
from segment2inpaint.compositing.cutout import Cutout
from segment2inpaint.types import Alpha, BinaryMask, Box, Image

Pixel = TypeVar("Pixel", np.uint8, np.float32)

SIDE_SHARES = (0.25, 0.6)  # long side of a placed object, as shares of the ground's short side
MAX_ENLARGEMENT = 1.5
LOWEST_SHARE = 0.6  # an object with a shadow stands no higher than this share of the ground
# The shadow: how long it is as a share of the object's height, and how dark.
CAST_LENGTH, CAST_OPACITY = 0.35, 0.45
CONTACT_SHARE, CONTACT_OPACITY = 0.06, 0.5  # of the object's height, right below it
SHEARS = (-1.2, 1.2)  # sideways shift of the shadow per height above the ground
DEFAULT_SHEAR = 0.6


@dataclass(frozen=True)
class Placement:
    """The place of an object: its left and top pixel, its scale, and the direction of the light."""

    x: int = 0
    y: int = 0
    scale: float = 1.0
    shear: float = DEFAULT_SHEAR


@dataclass(frozen=True, eq=False)
class Composition:
    """A ground with an object on it, and the visible object's mask, ``(H, W)`` bool."""

    image: Image
    mask: BinaryMask


def random_placement(
    cutout: Cutout, ground: tuple[int, int], rng: np.random.Generator, *, shadow: bool = False
) -> Placement:
    """Return a random place within a ground of size (h, w), at a random scale.

    With a ``shadow`` the object stands in the lower part of the ground.
    """
    height, width = cutout.alpha.shape
    side = rng.uniform(*SIDE_SHARES) * min(ground)
    scale = min(side / max(height, width), MAX_ENLARGEMENT)
    placed_height, placed_width = _scaled_size(cutout, scale)
    room_y, room_x = max(0, ground[0] - placed_height), max(0, ground[1] - placed_width)
    first = min(room_y, max(0, round(LOWEST_SHARE * ground[0]) - placed_height)) if shadow else 0
    x = int(rng.integers(0, room_x + 1))
    y = int(rng.integers(first, room_y + 1))
    return Placement(x, y, scale, float(rng.uniform(*SHEARS)))


def compose(
    ground: Image, cutout: Cutout, placement: Placement = Placement(), *, shadow: bool = False
) -> Composition:
    """Return the ground with the object on it; what lies outside of the ground is cut off."""
    pixels, alpha = _scaled(cutout, placement.scale)
    image = ground.copy()
    size = (ground.shape[0], ground.shape[1])
    box = Box(placement.x, placement.y, placement.x + alpha.shape[1], placement.y + alpha.shape[0])
    layer = _paste(np.zeros(size, np.float32), alpha, box)
    colors = _paste(np.zeros_like(ground), pixels, box)
    if shadow:
        dark = _shadow(size, alpha, box, placement.shear)
        image = np.rint(image * (1 - dark)[..., None]).astype(np.uint8)
    window.blend(image, colors, layer)
    return Composition(image, layer > 0.5)


def _scaled_size(cutout: Cutout, scale: float) -> tuple[int, int]:
    height, width = cutout.alpha.shape
    return max(1, round(height * scale)), max(1, round(width * scale))


def _scaled(cutout: Cutout, scale: float) -> tuple[Image, Alpha]:
    """Return the pixels and the alpha of a cutout at a scale."""
    size = _scaled_size(cutout, scale)
    if size == cutout.alpha.shape:
        return cutout.image, cutout.alpha
    small = cutout.pil.convert("RGBa").resize(size[::-1], Pillow.Resampling.LANCZOS)
    rgba = np.asarray(small.convert("RGBA"))
    return rgba[..., :3], np.divide(rgba[..., 3], 255, dtype=np.float32)


def _paste(layer: NDArray[Pixel], part: NDArray[Pixel], box: Box) -> NDArray[Pixel]:
    """Put ``part`` at ``box`` of a layer, in place, as far as it lies within it; return it."""
    height, width = layer.shape[:2]
    inner = Box(max(0, box.x0), max(0, box.y0), min(width, box.x1), min(height, box.y1))
    if inner.width > 0 and inner.height > 0:
        shifted = Box(inner.x0 - box.x0, inner.y0 - box.y0, inner.x1 - box.x0, inner.y1 - box.y0)
        layer[inner.slices] = part[shifted.slices]
    return layer


def _shadow(size: tuple[int, int], alpha: Alpha, box: Box, shear: float) -> Alpha:
    """Return how dark the shadow of an object at ``box`` makes each pixel of a ground.

    The outline is laid down on the ground from its lowest line, and softened; a contact shadow is
    right below it.
    """
    height = box.height
    base = float(box.y1 - 1)
    outline = _paste(np.zeros(size, np.float32), alpha, box)
    cast = _project(outline, base, CAST_LENGTH, shear, 0.03 * height)
    feet = outline.copy()
    feet[: max(0, box.y1 - max(2, round(CONTACT_SHARE * height)))] = 0
    contact = _project(feet, base, 0.5, 0.0, max(1.0, 0.015 * height))
    dark: Alpha = 1 - (1 - CAST_OPACITY * cast) * (1 - CONTACT_OPACITY * contact)
    return dark


def _project(outline: Alpha, base: float, length: float, shear: float, sigma: float) -> Alpha:
    """Return an outline flattened towards the line ``base``, sheared and blurred."""
    matrix = np.array(
        [[1, -shear * length, shear * length * base], [0, length, base * (1 - length)]]
    )
    flat = cv2.warpAffine(outline, matrix, outline.shape[::-1], flags=cv2.INTER_LINEAR)
    blurred: Alpha = cv2.GaussianBlur(flat, (0, 0), max(sigma, 0.5))
    return blurred.clip(0, 1)
