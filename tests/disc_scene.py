"""Drawn photos of a striped disc on blotchy ground, and results of its removal with one fault."""

from __future__ import annotations

import cv2
import numpy as np

from segment2inpaint.masks import feather_mask
from segment2inpaint.types import BinaryMask, Image

SIZE = (160, 200)


def ground(seed: int = 0) -> Image:
    """Return a grainy surface with broad blotches."""
    random = np.random.default_rng(seed)
    coarse = random.normal(0, 12, (8, 10, 3))
    blotches = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    return (130 + blotches + random.normal(0, 5, (*SIZE, 3))).clip(0, 255).astype(np.uint8)


def disc_mask(radius: int = 24, center: tuple[int, int] = (100, 80)) -> BinaryMask:
    """Return the mask of a disc; ``center`` is (x, y)."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return (x - center[0]) ** 2 + (y - center[1]) ** 2 < radius**2


def with_object(image: Image, mask: BinaryMask) -> Image:
    """Return the image with a red, striped object in the mask."""
    stripes = np.where(np.arange(SIZE[1]) % 8 < 4, 200, 120).astype(np.uint8)
    texture = np.stack(np.broadcast_arrays(stripes, 40, 40), axis=-1).astype(np.uint8)
    return np.where(mask[..., None], np.broadcast_to(texture, image.shape), image)


# --- results with one fault ---------------------------------------------------------------------


def smeared() -> Image:
    """Return a result without grain."""
    hole = (feather_mask(disc_mask(), 6, 4) > 0).astype(np.uint8)
    return cv2.inpaint(with_object(ground(), disc_mask()), hole, 3, cv2.INPAINT_TELEA)


def with_ghost() -> Image:
    """Return a result in which the object shines through."""
    return (0.5 * ground() + 0.5 * with_object(ground(), disc_mask())).astype(np.uint8)


def with_new_object() -> Image:
    """Return a result with a smaller blue disc in the object's place."""
    return np.where(disc_mask(14)[..., None], np.array([20, 60, 220], np.uint8), ground())
