"""Masks as paths that a page can draw crisply at any zoom, and what a refinement makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from segment2inpaint import masks
from segment2inpaint.effects import shadow
from segment2inpaint.errors import NothingFound
from segment2inpaint.pipeline import refined_alpha
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Box,
    Detection,
    Image,
    Points,
    Prompt,
    Refine,
    bounding_box,
)

Path = list[int]  # x0, y0, x1, y1, ... of a closed line, in photo px

NUMBERS = 24_000  # in the paths of a mask, at most: about 120 kB as JSON
PATHS = 1_500


def paths(bits: BinaryMask, corner: tuple[int, int] = (0, 0)) -> list[Path]:
    """The outlines of a mask whose top left is at ``corner`` (x, y), its holes among them.

    To be filled even-odd. Simplified to within half a pixel, and further where it is intricate;
    the smallest are left out if there are too many.
    """
    found, _ = cv2.findContours(
        bits.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=corner
    )
    lines = sorted(found, key=lambda line: -cv2.contourArea(line))[:PATHS]
    off = max(0.5, max(bits.shape) / 4000)
    while True:
        simple = [cv2.approxPolyDP(line, off, True) for line in lines]
        if sum(line.size for line in simple) <= NUMBERS:
            return [line.ravel().tolist() for line in simple]
        off *= 2


class FeatheredMask(NamedTuple):
    """The alpha of what will change, in its box, and the radii in photo px that made it."""

    box: Box
    alpha: Alpha
    dilate: float
    feather: float

    @property
    def outer(self) -> list[Path]:
        """Round all that will change."""
        return paths(self.alpha > 0, self.box[:2])

    @property
    def solid(self) -> list[Path]:
        """Round what will be wholly new."""
        return paths(self.alpha >= 1, self.box[:2])


def changed(
    image: Image,
    found: Sequence[Detection],
    prompts: Sequence[Prompt],
    refine: Refine,
    factor: float,
) -> FeatheredMask:
    """What a refinement makes of masks.

    Works in a window round the masks, which comes to the same. Raises ``NothingFound``.
    """
    size = image.shape[:2]
    whole = Box(0, 0, size[1], size[0])
    around = whole if refine.invert or refine.shadow else _window(found, refine, size)
    near = [replace(m, mask=m.mask[around.slices]) for m in found]
    alpha, dilate, feather = refined_alpha(near, _moved(prompts, around), refine, factor=factor)
    if refine.shadow and not refine.invert:
        alpha = _shadowed(image, found, alpha, max(dilate + feather, 1.0))
    tight = bounding_box(alpha > 0)
    x, y = around.x0, around.y0
    box = Box(x + tight.x0, y + tight.y0, x + tight.x1, y + tight.y1)
    return FeatheredMask(box, alpha[tight.slices], dilate, feather)


def _window(found: Sequence[Detection], refine: Refine, size: tuple[int, int]) -> Box:
    """Round all masks, with room for the dilation. Raises ``NothingFound`` for empty ones."""
    boxes = [box for m in found if (box := bounding_box(m.mask)).width]
    if not boxes:
        raise NothingFound("the mask is empty: nothing would change")
    box = boxes[0]
    for other in boxes[1:]:
        box = box.union(other)
    slack = max(m.edge_uncertainty for m in found)
    dilate, _ = masks.radii(box, refine, slack, 2.0)
    return box.grown(int(dilate) + 4, (size[0], size[1]))


def _moved(prompts: Sequence[Prompt], around: Box) -> list[Prompt]:
    """The points beside objects, in pixels of the window."""
    return [
        Points((), tuple((x - around.x0, y - around.y0) for x, y in p.exclude))
        for p in prompts
        if isinstance(p, Points)
    ]


def _shadowed(image: Image, found: Sequence[Detection], alpha: Alpha, softness: float) -> Alpha:
    for mask in found:
        cast = shadow.find_shadow(image, mask.mask)
        if cast.certainty >= shadow.ASKED:
            alpha = np.maximum(alpha, shadow.shadow_alpha(cast, softness))
    return alpha


def stroked(
    bits: BinaryMask, strokes: Sequence[tuple[Sequence[tuple[float, float]], float, bool]]
) -> BinaryMask:
    """The mask with strokes drawn into it in order: each a line of points (x, y), a radius in
    photo px, and whether it erases."""
    drawn = bits.astype(np.uint8)
    for line, radius, erases in strokes:
        value, wide = int(not erases), max(1, round(2 * radius))
        places = np.rint(np.array(line)).astype(np.int32).reshape(-1, 1, 2)
        if len(places) > 1:
            cv2.polylines(drawn, [places], False, value, wide)
        for x, y in places[:, 0]:
            cv2.circle(drawn, (int(x), int(y)), max(0, round(radius)), value, -1)
    return drawn.astype(np.bool_)
