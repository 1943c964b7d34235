"""Mask operations: union, holes, components, dilation and the feathered alpha.

Every radius is a Euclidean distance in photo pixels, taken from a distance transform, so nothing
reaches beyond it. All functions work inside the bounding box of the mask: their cost grows with
the mask, not with the photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil, hypot
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.errors import BadPrompt
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

GrowMask = Callable[[NDArray[Any], float, float], Alpha]
"""Returns the alpha of a mask for the radii of dilation and feather."""

MAX_HOLE_SHARE = 0.1  # of the mask's area; a larger hole shows background through the object
MIN_FEATHER = 1e-3  # photo px; a narrower feather gives a hard edge
INVERTED_RADII = (3.0, 2.0)  # dilate and feather of an inverted mask, photo px: spare the object
MAX_SOFT_LEVELS = 32  # values of a soft mask that are dilated each on their own


def union(detections: Sequence[Detection]) -> BinaryMask:
    """Return the union of at least one mask, ``(H, W)`` bool."""
    whole = detections[0].mask.copy()
    for detection in detections[1:]:
        whole |= detection.mask
    return whole


def protected_area(refine: Refine, size: tuple[int, int]) -> BinaryMask:
    """Return the pixels of a photo of ``size`` (h, w) that must not change, ``(H, W)`` bool.

    Every pixel that a soft mask shows at all is protected. Raises ``BadPrompt`` for an area that
    does not fit the photo.
    """
    area = np.zeros(size, np.bool_)
    for part in refine.protect:
        if isinstance(part, Box):
            area[_protected_box(part, size).slices] = True
        elif part.mask.shape != size:
            (height, width), name = part.mask.shape, part.source or "mask"
            raise BadPrompt(
                f"protect {name}: expected the photo's size {size[1]}x{size[0]}, "
                f"got {width}x{height}"
            )
        else:
            area |= part.mask if part.alpha is None else part.alpha > 0
    return area


def _protected_box(box: Box, size: tuple[int, int]) -> Box:
    x0, x1 = sorted((box.x0, box.x1))
    y0, y1 = sorted((box.y0, box.y1))
    clipped = Box(x0, y0, x1, y1).expand(0, size)
    if clipped.width <= 0 or clipped.height <= 0:
        corners = ",".join(map(str, box))
        raise BadPrompt(
            f"protect {corners}: no pixel of the photo of {size[1]}x{size[0]} is in it; "
            "expected X0,Y0,X1,Y1 in photo pixels"
        )
    return clipped


def labels(detections: Sequence[Detection]) -> NDArray[np.uint8]:
    """Return a label map, ``(H, W)`` uint8: each pixel's detection, from 1; 0 for none.

    Small masks cover large ones. There must be 1 to 255 detections.
    """
    numbers = np.zeros(detections[0].mask.shape, np.uint8)
    for i in sorted(range(len(detections)), key=lambda i: -int(detections[i].mask.sum())):
        numbers[detections[i].mask] = i + 1
    return numbers


def deepest_point(mask: BinaryMask) -> Point:
    """Return the pixel (x, y) of the mask that is farthest from its outside."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), mask.shape)
    return int(x), int(y)


def components_at(
    mask: BinaryMask, include: Sequence[Point], exclude: Sequence[Point] = ()
) -> BinaryMask:
    """Return the 8-connected components that hold an include point and no exclude point.

    Without include points, return all components that hold no exclude point.
    """
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    keep = np.full(count, not include)
    keep[[labels[y, x] for x, y in include]] = True
    keep[[labels[y, x] for x, y in exclude]] = False
    keep[0] = False
    selected: BinaryMask = keep[labels]
    return selected


def fill_holes(mask: BinaryMask, keep: Sequence[Point] = ()) -> BinaryMask:
    """Return the mask with enclosed background filled, up to a tenth of the mask's area each.

    A hole that touches the photo's border or holds a point of ``keep`` (x, y) stays.
    """
    box = bounding_box(mask)
    inside = mask[box.slices]
    background = np.pad(~inside, 1, constant_values=True).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=4)
    fill = stats[:, cv2.CC_STAT_AREA] <= MAX_HOLE_SHARE * np.count_nonzero(inside)
    fill[[0, labels[0, 0]]] = False  # the mask itself, and the background around it
    fill[_labels_at_border(labels, box, mask.shape)] = False
    for x, y in keep:
        if box.contains((x, y)):
            fill[labels[y - box.y0 + 1, x - box.x0 + 1]] = False
    filled = mask.copy()
    filled[box.slices] |= fill[labels[1:-1, 1:-1]]
    return filled


def _labels_at_border(
    labels: NDArray[np.int32], box: Box, size: tuple[int, ...]
) -> NDArray[np.int32]:
    """Return the labels that lie on the border of the photo (``labels`` is padded by 1 px)."""
    sides = [
        (box.y0 == 0, labels[1]),
        (box.y1 == size[0], labels[-2]),
        (box.x0 == 0, labels[:, 1]),
        (box.x1 == size[1], labels[:, -2]),
    ]
    return np.unique(np.concatenate([labels[0]] + [side for at_border, side in sides if at_border]))


def connected_components(mask: BinaryMask) -> Iterator[tuple[Box, BinaryMask]]:
    """Yield each 8-connected component: its box in the photo and its own mask in that box."""
    whole = bounding_box(mask)
    if not whole.width:
        return  # OpenCV crashes on an empty array
    inside = mask[whole.slices].astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    for label in range(1, count):
        x, y, width, height = (int(v) for v in stats[label, :4])
        component = labels[y : y + height, x : x + width] == label
        x0, y0 = whole.x0 + x, whole.y0 + y
        yield Box(x0, y0, x0 + width, y0 + height), component


def radii(
    box: Box, refine: Refine, min_dilate: float = 0.0, dilate_factor: float = 1.0
) -> tuple[float, float]:
    """Return the dilate and feather radii for an object with this box, in photo px.

    The automatic dilation is 3 % of the box's diagonal, clipped to [6, 32] px and multiplied by
    ``dilate_factor``, but at least ``min_dilate`` and feather + 2. The automatic feather is 2 %,
    clipped to [4, 16] px. A given dilation is used unchanged and bounds the feather, so that alpha
    is 1 on the whole object.
    """
    diagonal = hypot(box.width, box.height)
    auto_dilate = max(dilate_factor * float(np.clip(0.03 * diagonal, 6, 32)), min_dilate)
    auto_feather = float(np.clip(0.02 * diagonal, 4, 16))
    if refine.invert:
        auto_dilate, auto_feather = INVERTED_RADII
    feather = _pixels(refine.feather, diagonal, auto_feather)
    dilate = _pixels(refine.dilate, diagonal, max(auto_dilate, feather + 2 * (not refine.invert)))
    return dilate, min(feather, dilate)


def _pixels(length: Length, diagonal: float, auto: float) -> float:
    if length.unit == "auto":
        return auto
    return length.value if length.unit == "px" else length.value / 100 * diagonal


def feather_mask(mask: BinaryMask, dilate: float, feather: float) -> Alpha:
    """Return the alpha of a mask, ``(H, W)`` float32: 1 on the mask, 0 from ``dilate`` px on.

    Alpha stays 1 up to ``dilate - feather`` px from the mask and then falls by a smoothstep of the
    Euclidean distance. Without a feather, alpha is 1 up to and including ``dilate``.
    """
    raw = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last bit varies from call to call; squared distances are whole numbers
    distance = np.sqrt(np.rint(raw * raw))
    if feather < MIN_FEATHER:
        hard: Alpha = (distance <= dilate).astype(np.float32)
        return hard
    t = np.clip((dilate - distance) / feather, 0, 1)
    alpha: Alpha = (t * t * (3 - 2 * t)).astype(np.float32)
    alpha[mask] = 1
    return alpha


def refine(
    detections: Sequence[Detection],
    options: Refine,
    *,
    keep: Sequence[Point] = (),
    min_dilate: float = 0.0,
    dilate_factor: float = 1.0,
) -> tuple[Alpha, float, float]:
    """Return the alpha of all objects, and the largest dilate and feather radii, in photo px.

    The radii of each connected component follow from its own size, so that a speck far from a
    large object is not dilated like that object. The automatic dilation is multiplied by
    ``dilate_factor`` and is at least ``min_dilate`` and the detection's ``edge_uncertainty``. Holes
    that hold a point of ``keep`` (x, y) stay. A soft mask keeps its greys, see ``dilate_soft``.
    """
    alpha: Alpha = np.zeros(detections[0].mask.shape, np.float32)
    largest = (0.0, 0.0)
    for detection in _clean(detections, options, keep):
        least = max(min_dilate, detection.edge_uncertainty)
        soft = detection.alpha
        for box, component in connected_components(detection.mask if soft is None else soft > 0):
            dilate, feather = radii(box, _own_feather(options, soft), least, dilate_factor)
            if soft is None:
                _merge_alpha(alpha, box, component, feather_mask, dilate, feather)
            else:
                values: Alpha = soft[box.slices] * component
                _merge_alpha(alpha, box, values, dilate_soft, dilate, feather)
            largest = max(largest[0], dilate), max(largest[1], feather)
    return alpha, *largest


def _clean(
    detections: Sequence[Detection], options: Refine, keep: Sequence[Point]
) -> list[Detection]:
    """Return the detections with holes filled; with ``invert``, everything but the objects."""
    filled = [
        replace(d, mask=fill_holes(d.mask, keep)) if options.fill_holes and not d.from_user else d
        for d in detections
    ]
    return [_inverted(filled)] if options.invert else filled


def _inverted(detections: Sequence[Detection]) -> Detection:
    """Return everything but the objects; soft if one of them is."""
    soft = [d.alpha for d in detections if d.alpha is not None]
    if not soft:
        return Detection(~union(detections))
    hard = [d.mask.astype(np.float32) for d in detections if d.alpha is None]
    alpha: Alpha = 1 - np.maximum.reduce([*soft, *hard])
    return Detection(alpha > 0.5, alpha=alpha)


def _own_feather(options: Refine, soft: Alpha | None) -> Refine:
    """Return the options; the automatic feather of a soft mask is 0, for it has its own."""
    if soft is None or options.feather.unit != "auto":
        return options
    return replace(options, feather=Length(0, "px"))


def dilate_soft(soft: Alpha, dilate: float, feather: float) -> Alpha:
    """Return the alpha of a soft mask that is dilated and feathered as ``feather_mask`` does.

    Each of its values is dilated like the mask of the pixels that have at least this value. Of
    more than ``MAX_SOFT_LEVELS`` values, evenly chosen ones are.
    """
    alpha = soft.copy()
    values = np.unique(soft[soft > 0]) if dilate > 0 else soft[:0].ravel()
    count = min(len(values), MAX_SOFT_LEVELS)
    for value in values[np.linspace(0, len(values) - 1, count).round().astype(int)]:
        np.maximum(alpha, value * feather_mask(soft >= value, dilate, feather), out=alpha)
    return alpha


def _merge_alpha(
    alpha: Alpha,
    box: Box,
    component: BinaryMask | Alpha,
    grow: GrowMask,
    dilate: float,
    feather: float,
) -> None:
    """Raise ``alpha`` to the alpha that ``grow`` makes of one component, in place."""
    height, width = alpha.shape
    outer = box.expand(ceil(dilate) + 1, (height, width))
    mask = np.zeros((outer.height, outer.width), component.dtype)
    mask[box.y0 - outer.y0 : box.y1 - outer.y0, box.x0 - outer.x0 : box.x1 - outer.x0] = component
    view = alpha[outer.slices]
    np.maximum(view, grow(mask, dilate, feather), out=view)
