"""A drawn scene with a post that casts a shadow on the ground."""

from __future__ import annotations

import numpy as np

from segment2inpaint.types import BinaryMask, Image

SIZE = (200, 260)


def ground() -> Image:
    """Return noisy ground that gets brighter towards the bottom."""
    y = np.arange(SIZE[0])[:, None, None]
    grain = np.random.default_rng(0).normal(0, 4, (*SIZE, 3))
    return (np.array([150, 140, 120]) + y / 8 + grain).clip(0, 255).astype(np.uint8)


def post_mask() -> BinaryMask:
    """Return the mask of the post."""
    mask = np.zeros(SIZE, np.bool_)
    mask[50:130, 120:140] = True
    return mask


def shadow_mask() -> BinaryMask:
    """Return the mask of the post's shadow, to its right and a little towards the viewer."""
    mask = np.zeros(SIZE, np.bool_)
    for up in range(80):
        y, x = 129 + round(0.2 * up), 120 + round(0.8 * up)
        mask[y - 1 : y + 2, x : x + 20] = True
    return mask & ~post_mask()


def scene(*, shaded: bool) -> Image:
    """Return the ground with the post, with its shadow if ``shaded``."""
    photo = ground().astype(np.float32)
    if shaded:
        photo[shadow_mask()] *= 0.6
    photo[post_mask()] = (40, 60, 160)
    return photo.astype(np.uint8)
