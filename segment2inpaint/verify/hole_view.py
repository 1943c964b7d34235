"""The view of a hole before and after a removal, in which faults are measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import hypot

import cv2
import numpy as np

from segment2inpaint.types import Alpha, BinaryMask, Box, FloatArray, Image, bounding_box
from segment2inpaint.verify.pixel_statistics import (
    blur,
    distance_to_false,
    gradient_magnitude,
    to_lab,
)

MAX_VIEW_SIDE = 256  # px, long side of a view
CONTEXT_SHARE = 0.5  # of the hole's diagonal, on each side
MIN_CONTEXT = 24  # photo px, on each side


@dataclass(frozen=True, eq=False)
class HoleView:
    """The photo around a hole before and after the removal, all (h, w), distances in view px.

    ``before`` and ``after`` are (h, w, 3) float32 L*a*b*. ``hole`` is where alpha > 0,
    ``object_mask`` the object. ``distance_outside`` is the distance from the hole, 0 inside;
    ``distance_inside`` the distance from its surroundings, 0 outside. ``box`` is the view's place
    in the photo, ``crop`` (h, w, 3) the result in uint8 RGB. ``object_probability`` in [0, 1] is
    the click network's probability of the object, 0 if the network was not used. ``result``
    (H, W, 3) and ``alpha`` (H, W) are those of the whole photo, ``window`` the box of the hole.
    """

    before: FloatArray
    after: FloatArray
    hole: BinaryMask
    object_mask: BinaryMask
    distance_outside: FloatArray
    distance_inside: FloatArray
    box: Box
    crop: Image
    object_probability: FloatArray
    result: Image
    alpha: Alpha
    window: Box

    @cached_property
    def after_blurred(self) -> FloatArray:
        """``after``, slightly blurred."""
        return blur(self.after, 1)

    @cached_property
    def after_blurred_widely(self) -> FloatArray:
        """``after``, blurred more."""
        return blur(self.after, 3)

    @cached_property
    def gradient_size(self) -> FloatArray:
        """The size of the gradient in ``after``, (h, w)."""
        return gradient_magnitude(self.after)


def view_box(hole: Alpha | BinaryMask, window: Box) -> Box:
    """Return the box of the hole in ``window``, where ``hole`` (H, W) > 0, with its surroundings.

    The surroundings may lie outside the window.
    """
    box = box_in_photo(hole, window)
    margin = max(MIN_CONTEXT, round(CONTEXT_SHARE * hypot(box.width, box.height)))
    return box.expand(margin, (hole.shape[0], hole.shape[1]))


def box_in_photo(hole: Alpha | BinaryMask, window: Box) -> Box:
    """Return the smallest box of the photo with all of ``hole`` (H, W) > 0 in a window of it."""
    x0, y0, x1, y1 = bounding_box(hole[window.slices] > 0)
    return Box(window.x0 + x0, window.y0 + y0, window.x0 + x1, window.y0 + y1)


def hole_view(
    before: Image, after: Image, alpha: Alpha, object_mask: BinaryMask, window: Box
) -> HoleView:
    """Return the view of the hole in ``window``, where ``alpha`` > 0.

    ``before`` and ``after`` are (H, W, 3) uint8 RGB; ``alpha`` and ``object_mask`` are (H, W).
    """
    hole_box = box_in_photo(alpha, window)
    box = view_box(alpha, window)
    scale = min(1.0, MAX_VIEW_SIDE / max(box.width, box.height))
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))

    def reduce(array: Image | FloatArray) -> FloatArray:
        return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA))

    def reduce_mask(mask: BinaryMask) -> FloatArray:
        """Return the coverage of each view pixel by a mask of the hole's box."""
        full = np.zeros((box.height, box.width), np.float32)
        place = Box(
            hole_box.x0 - box.x0, hole_box.y0 - box.y0, hole_box.x1 - box.x0, hole_box.y1 - box.y0
        )
        full[place.slices] = mask
        return reduce(full)

    painted = alpha[hole_box.slices] > 0
    hole = reduce_mask(painted) > 0
    crop = reduce(after[box.slices]).astype(np.uint8)
    return HoleView(
        before=to_lab(reduce(before[box.slices]).astype(np.uint8)),
        after=to_lab(crop),
        hole=hole,
        object_mask=reduce_mask(object_mask[hole_box.slices] & painted) > 0.5,
        distance_outside=distance_to_false(~hole),
        distance_inside=distance_to_false(hole),
        box=box,
        crop=crop,
        object_probability=np.zeros(hole.shape, np.float32),
        result=after,
        alpha=alpha,
        window=window,
    )
