"""Turn logits over a window into the mask of a photo, as the prompt asks."""

from __future__ import annotations

import numpy as np

from segment2inpaint.detect.builtin.mask_upsampling import upsample_mask
from segment2inpaint.detect.builtin.windows import mask_place
from segment2inpaint.masks import components_at, deepest_point
from segment2inpaint.networks.click import MASK_CELL, Embedding, ObjectPrompt, resample_logits
from segment2inpaint.networks.letterbox import sigmoid
from segment2inpaint.types import BinaryMask, FloatArray, Image, Point


def holds(embedding: Embedding, logits: FloatArray, point: Point) -> bool:
    """Return whether a point of the photo is in the window, and in the mask of logits (h, w)."""
    x, y = mask_place(embedding, point)
    return embedding.letterbox.window.contains(point) and bool(logits[y, x] > 0)


def at_full_resolution(image: Image, embedding: Embedding, logits: FloatArray) -> BinaryMask:
    """Return the mask (H, W) of logits (h, w) over a window."""
    letterbox = embedding.letterbox
    size = max(1, letterbox.size[0] // MASK_CELL), max(1, letterbox.size[1] // MASK_CELL)
    coverage = sigmoid(resample_logits(letterbox, logits, letterbox.window, size))
    window = letterbox.window
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[window.slices] = upsample_mask(image[window.slices], coverage)
    return mask


def obey_prompt(mask: BinaryMask, prompt: ObjectPrompt, *, keep_largest: bool) -> BinaryMask:
    """Set the pixels of all points, and clear those outside the box.

    If there are include points, only their components stay, and the largest one where asked for.
    """
    if prompt.box:
        inside = np.zeros_like(mask)
        inside[prompt.box.slices] = mask[prompt.box.slices]
        mask = inside
    for x, y in prompt.include:
        mask[y, x] = True
    for x, y in prompt.exclude:
        mask[y, x] = False
    if not prompt.include:
        return mask
    return components_at(mask, [*prompt.include, *([deepest_point(mask)] if keep_largest else [])])
