"""Masks as contours that the page can draw crisply at any zoom, and the effect of ``Refine``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from segment2inpaint import masks
from segment2inpaint.effects.shadow import Shadow, add_shadows
from segment2inpaint.errors import NothingFound
from segment2inpaint.regions import refined_alpha
from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Box,
    Detection,
    Points,
    Prompt,
    Refine,
    bounding_box,
)

Contour = list[int]  # x0, y0, x1, y1, ... of a closed line, in photo px

MAX_COORDINATES = 24_000  # numbers in all contours of a mask: about 120 kB as JSON
MAX_CONTOURS = 1_500  # contours of a mask
MIN_TOLERANCE = 0.5  # px that a simplified contour may lie from the true one


def mask_contours(mask: BinaryMask) -> list[Contour]:
    """Return the contours of a mask of the photo's size, as ``find_contours`` does."""
    box = bounding_box(mask)
    return find_contours(mask[box.slices], (box.x0, box.y0))


def find_contours(mask: BinaryMask, offset: tuple[int, int] = (0, 0)) -> list[Contour]:
    """Return the contours of a mask, those of its holes among them, for an even-odd fill.

    ``offset`` (x, y) is added to every point. The contours are simplified to within half a
    pixel, and further if they are intricate. The smallest ones are dropped if there are too
    many.
    """
    found, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=offset
    )
    contours = sorted(found, key=lambda contour: -cv2.contourArea(contour))[:MAX_CONTOURS]
    tolerance = max(MIN_TOLERANCE, max(mask.shape) / 4000)
    while True:
        simple = [cv2.approxPolyDP(contour, tolerance, True) for contour in contours]
        if sum(contour.size for contour in simple) <= MAX_COORDINATES:
            return [contour.ravel().tolist() for contour in simple]
        tolerance *= 2


class FeatheredMask(NamedTuple):
    """The alpha of the pixels that will change, cropped to ``box``, and the radii behind it.

    ``dilate`` and ``feather`` are in photo px.
    """

    box: Box
    alpha: Alpha
    dilate: float
    feather: float

    @property
    def outer_contours(self) -> list[Contour]:
        """The contours of all pixels that will change."""
        return find_contours(self.alpha > 0, self.box[:2])

    @property
    def solid_contours(self) -> list[Contour]:
        """The contours of the pixels that will be replaced completely."""
        return find_contours(self.alpha >= 1, self.box[:2])


def feathered_mask(
    detections: Sequence[Detection],
    prompts: Sequence[Prompt],
    refine: Refine,
    dilate_factor: float,
    shadows: Sequence[Shadow] = (),
) -> FeatheredMask:
    """Return the alpha that the pipeline would blend with, computed in a window if possible.

    ``dilate_factor`` scales the automatic dilation; ``shadows`` are those of the objects, which
    may go with them. Raises ``NothingFound`` if nothing would change.
    """
    height, width = detections[0].mask.shape
    whole = Box(0, 0, width, height)
    window = whole if refine.invert or shadows else _window(detections, refine, (height, width))
    cropped = [replace(d, mask=d.mask[window.slices]) for d in detections]
    alpha, dilate, feather = refined_alpha(
        cropped, _exclude_points(prompts, window), refine, dilate_factor=dilate_factor
    )
    removed = [cast for cast in shadows if cast.goes_with_object(refine.shadow, alpha)]
    alpha = add_shadows(alpha, removed, dilate + feather)
    tight = bounding_box(alpha > 0)
    x, y = window.x0, window.y0
    box = Box(x + tight.x0, y + tight.y0, x + tight.x1, y + tight.y1)
    return FeatheredMask(box, alpha[tight.slices], dilate, feather)


def _window(detections: Sequence[Detection], refine: Refine, size: tuple[int, int]) -> Box:
    """Return a box around all masks with room to dilate. Raises ``NothingFound``."""
    boxes = [box for d in detections if (box := bounding_box(d.mask)).width]
    if not boxes:
        raise NothingFound("the mask is empty: nothing would change")
    union = boxes[0]
    for box in boxes[1:]:
        union = union.union(box)
    edge_uncertainty = max(d.edge_uncertainty for d in detections)
    dilate, _ = masks.radii(union, refine, edge_uncertainty, 2.0)
    return union.expand(int(dilate) + 4, (size[0], size[1]))


def _exclude_points(prompts: Sequence[Prompt], window: Box) -> list[Prompt]:
    """Return the excluded points of the prompts in window coordinates."""
    return [
        Points((), tuple((x - window.x0, y - window.y0) for x, y in p.exclude))
        for p in prompts
        if isinstance(p, Points)
    ]


class Stroke(NamedTuple):
    """A brush stroke: ``points`` (x, y) and ``radius`` in photo px; it draws, or ``erases``."""

    points: Sequence[tuple[float, float]]
    radius: float
    erases: bool = False


def draw_strokes(mask: BinaryMask, strokes: Sequence[Stroke]) -> BinaryMask:
    """Return a copy of the mask with the strokes drawn into it, in order."""
    canvas = mask.astype(np.uint8)
    for points, radius, erases in strokes:
        value, thickness = int(not erases), max(1, round(2 * radius))
        pixels = np.rint(np.array(points)).astype(np.int32).reshape(-1, 1, 2)
        if len(pixels) > 1:
            cv2.polylines(canvas, [pixels], False, value, thickness)
        for x, y in pixels[:, 0]:
            cv2.circle(canvas, (int(x), int(y)), max(0, round(radius)), value, -1)
    return canvas.astype(np.bool_)
