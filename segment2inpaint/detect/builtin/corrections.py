"""Change a mask after a further click, near the click alone.

Masks are logits (h, w) over a window; ``place`` is the click in them, (x, y).
"""

from __future__ import annotations

import numpy as np

from segment2inpaint.masks import components_at
from segment2inpaint.types import BinaryMask, FloatArray, Point

MIN_CLICK_LOGIT = 1.0  # at a click
MIN_CHANGE_LOGIT = 0.5  # towards the click, where the mask changes
MIN_THING_LOGIT = 1.0  # of a thing that a click beside the object takes away


def add_piece(old: FloatArray, new: FloatArray, place: Point) -> FloatArray:
    """Return the logits after a click on the object: it adds the piece that it lies in."""
    merged = _change_piece(old, new, (old <= 0) & (new > MIN_CHANGE_LOGIT), place)
    merged[place[::-1]] = max(float(merged[place[::-1]]), MIN_CLICK_LOGIT)
    return merged


def take_away(old: FloatArray, new: FloatArray, thing: FloatArray, place: Point) -> FloatArray:
    """Return the logits after a click beside the object: it takes the thing there away.

    ``thing`` are the logits of what the click lies on, asked for by itself.
    """
    changed = (old > 0) & (new < -MIN_CHANGE_LOGIT) & (thing > MIN_THING_LOGIT)
    merged = _change_piece(old, new, changed, place)
    merged[place[::-1]] = min(float(merged[place[::-1]]), -MIN_CLICK_LOGIT)
    return merged


def _change_piece(
    old: FloatArray, new: FloatArray, changed: BinaryMask, place: Point
) -> FloatArray:
    """Return the new logits in one piece of what changed and where the mask stays as it was."""
    changed[place[::-1]] = True
    piece = components_at(changed, [place])
    same = (old > 0) == (new > 0)
    return np.where(piece | same, new, old)
