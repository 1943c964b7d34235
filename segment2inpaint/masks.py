"""Pure mask maths: union, holes, dilation, the feathered alpha.

Every radius is a Euclidean distance in photo pixels, from a distance transform, so that it
means what it says and nothing leaks beyond it. All functions work inside the box of what they
touch: their cost grows with the mask, not with the photo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import (
    Alpha,
    BinaryMask,
    Box,
    Detection,
    Length,
    Point,
    Refine,
    bounding_box,
)

HOLE = 0.1  # of the mask's area: a larger hole is background seen through the object
SHARP = 1e-3  # photo px: a narrower feather is none
INVERTED = (3.0, 2.0)  # dilate and feather of a background mask, photo px: keep to the object


def union(masks: Sequence[Detection]) -> BinaryMask:
    """The pixels of any mask. ``masks`` must not be empty."""
    bits = masks[0].mask.copy()
    for mask in masks[1:]:
        bits |= mask.mask
    return bits


def labels(masks: Sequence[Detection]) -> NDArray[np.uint8]:
    """The number of each pixel's mask, from 1, (H, W); 0 for none. Small masks lie over large.

    ``masks`` are 1 to 255.
    """
    numbers = np.zeros(masks[0].mask.shape, np.uint8)
    for i in sorted(range(len(masks)), key=lambda i: -int(masks[i].mask.sum())):
        numbers[masks[i].mask] = i + 1
    return numbers


def deepest_point(bits: BinaryMask) -> Point:
    """The pixel (x, y) of a mask that is farthest from its outside."""
    distance = cv2.distanceTransform(np.pad(bits, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), bits.shape)
    return int(x), int(y)


def components_at(
    bits: BinaryMask, include: Sequence[Point], exclude: Sequence[Point] = ()
) -> BinaryMask:
    """The 8-connected components that hold an include point (all, if none is given) and no
    exclude point."""
    count, labels = cv2.connectedComponents(bits.astype(np.uint8), connectivity=8)
    keep = np.full(count, not include)
    keep[[labels[y, x] for x, y in include]] = True
    keep[[labels[y, x] for x, y in exclude]] = False
    keep[0] = False
    kept: BinaryMask = keep[labels]
    return kept


def fill_holes(bits: BinaryMask, keep: Sequence[Point] = ()) -> BinaryMask:
    """Fill background that the mask encloses, up to a tenth of the mask's area.

    A hole that reaches the photo's edge is none; one that holds a point of ``keep`` stays.
    """
    box = bounding_box(bits)
    inside = bits[box.slices]
    around = np.pad(~inside, 1, constant_values=True).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] <= HOLE * np.count_nonzero(inside)
    small[[0, labels[0, 0]]] = False  # the mask itself, and what surrounds it
    edge = _photo_edge(labels, box, bits.shape)
    small[edge] = False
    for x, y in keep:
        if box.contains((x, y)):
            small[labels[y - box.y0 + 1, x - box.x0 + 1]] = False
    filled = bits.copy()
    filled[box.slices] |= small[labels[1:-1, 1:-1]]
    return filled


def _photo_edge(labels: NDArray[np.int32], box: Box, size: tuple[int, ...]) -> NDArray[np.int32]:
    """The labels that lie on an edge of the photo (``labels`` has a border of 1 px)."""
    touches = [
        (box.y0 == 0, labels[1]),
        (box.y1 == size[0], labels[-2]),
        (box.x0 == 0, labels[:, 1]),
        (box.x1 == size[1], labels[:, -2]),
    ]
    return np.unique(np.concatenate([labels[0]] + [line for at_edge, line in touches if at_edge]))


def connected_components(bits: BinaryMask) -> Iterator[tuple[Box, BinaryMask]]:
    """Each 8-connected part of a mask: its box in the photo and its own pixels in that box."""
    whole = bounding_box(bits)
    if not whole.width:
        return  # OpenCV crashes on an empty array
    inside = bits[whole.slices].astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    for label in range(1, count):
        x, y, width, height = (int(v) for v in stats[label, :4])
        own = labels[y : y + height, x : x + width] == label
        yield Box(whole.x0 + x, whole.y0 + y, whole.x0 + x + width, whole.y0 + y + height), own


def radii(box: Box, refine: Refine, least: float = 0.0, factor: float = 1.0) -> tuple[float, float]:
    """What ``dilate`` and ``feather`` come to for an object of this box, in photo px.

    Automatic: dilate 3 % of the box's diagonal in [6, 32], times ``factor``, at least ``least``
    and feather + 2; feather 2 % in [4, 16]. A given dilation is taken as it is, and bounds the
    feather, so that alpha is 1 on the whole object.
    """
    diagonal = hypot(box.width, box.height)
    auto_dilate = max(factor * float(np.clip(0.03 * diagonal, 6, 32)), least)
    auto_feather = float(np.clip(0.02 * diagonal, 4, 16))
    if refine.invert:
        auto_dilate, auto_feather = INVERTED
    feather = _pixels(refine.feather, diagonal, auto_feather)
    dilate = _pixels(refine.dilate, diagonal, max(auto_dilate, feather + 2 * (not refine.invert)))
    return dilate, min(feather, dilate)


def _pixels(length: Length, diagonal: float, auto: float) -> float:
    if length.unit == "auto":
        return auto
    return length.value if length.unit == "px" else length.value / 100 * diagonal


def feather_mask(bits: BinaryMask, dilate: float, feather: float) -> Alpha:
    """Alpha of a mask: 1 on it and out to ``dilate - feather`` px, 0 from ``dilate`` px on.

    Between the two a smoothstep of the Euclidean distance. With no feather, 1 up to and with
    ``dilate``.
    """
    near = cv2.distanceTransform((~bits).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last bit varies from call to call; squares of distances are whole numbers
    distance = np.sqrt(np.rint(near * near))
    if feather < SHARP:
        hard: Alpha = (distance <= dilate).astype(np.float32)
        return hard
    t = np.clip((dilate - distance) / feather, 0, 1)
    alpha: Alpha = (t * t * (3 - 2 * t)).astype(np.float32)
    alpha[bits] = 1
    return alpha


def refine(
    found: Sequence[Detection],
    how: Refine,
    *,
    keep: Sequence[Point] = (),
    least: float = 0.0,
    factor: float = 1.0,
) -> tuple[Alpha, float, float]:
    """The alpha of all objects found, and the largest dilate and feather used, in photo px.

    Each connected part gets radii by its own size, so that a speck far from a large object is
    not dilated like it. ``least`` is the least automatic dilation, besides each mask's slack;
    ``factor`` multiplies the automatic one. ``keep`` are points that no hole filling may cover.
    """
    alpha: Alpha = np.zeros(found[0].mask.shape, np.float32)
    largest = (0.0, 0.0)
    for mask in _clean(found, how, keep):
        for box, own in connected_components(mask.mask):
            dilate, feather = radii(box, how, max(least, mask.edge_uncertainty), factor)
            _merge_alpha(alpha, box, own, dilate, feather)
            largest = max(largest[0], dilate), max(largest[1], feather)
    return alpha, *largest


def _clean(found: Sequence[Detection], how: Refine, keep: Sequence[Point]) -> list[Detection]:
    """Holes filled where the mask was found; then, for ``invert``, everything but the objects."""
    masks = [
        replace(m, mask=fill_holes(m.mask, keep)) if how.fill_holes and not m.from_user else m
        for m in found
    ]
    return [Detection(~union(masks))] if how.invert else masks


def _merge_alpha(alpha: Alpha, box: Box, own: BinaryMask, dilate: float, feather: float) -> None:
    """Write one part's alpha where it is larger than what is there."""
    height, width = alpha.shape
    outer = box.grown(ceil(dilate) + 1, (height, width))
    bits = np.zeros((outer.height, outer.width), np.bool_)
    bits[box.y0 - outer.y0 : box.y1 - outer.y0, box.x0 - outer.x0 : box.x1 - outer.x0] = own
    view = alpha[outer.slices]
    np.maximum(view, feather_mask(bits, dilate, feather), out=view)
