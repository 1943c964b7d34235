"""Masks as polygons that give back the same pixels.

The vertices lie a quarter of a pixel inside the edge of the mask, where every rule for filling a
polygon that looks at the centres of pixels gives the mask. A hole is joined to the polygon around
it by a seam of no width, since the formats have no holes.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask, bounding_box

Polygon = NDArray[np.float64]
"""Vertices (n, 2) as x, y in photo pixels."""

TOLERANCE = 0.25  # px that a side may lie from the vertices that it replaces
OVERSAMPLING = 2  # contours are traced on pixels that are so many times smaller


def mask_polygons(mask: BinaryMask) -> list[Polygon]:
    """Return a polygon for each connected part of a mask, with its holes, the largest first."""
    box = bounding_box(mask)
    small = mask[box.slices].astype(np.uint8).repeat(OVERSAMPLING, 0).repeat(OVERSAMPLING, 1)
    contours, hierarchy = cv2.findContours(small, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return []
    parents = hierarchy[0][:, 3]
    corner = np.array([box.x0, box.y0])
    lines = [_simplified(contour) / OVERSAMPLING + corner for contour in contours]
    outer = {i: lines[i] for i in range(len(lines)) if parents[i] < 0}
    for i, parent in enumerate(parents):
        if parent >= 0:
            outer[int(parent)] = join(outer[int(parent)], lines[i])
    areas = {i: cv2.contourArea(contours[i]) for i in outer}
    return [outer[i] for i in sorted(outer, key=lambda i: -areas[i])]


def joined_polygon(polygons: Sequence[Polygon]) -> Polygon:
    """Return several polygons as one, joined by seams of no width."""
    whole = polygons[0]
    for polygon in polygons[1:]:
        whole = join(whole, polygon)
    return whole


def join(first: Polygon, second: Polygon) -> Polygon:
    """Return two polygons as one, joined where their vertices are nearest to each other."""
    best = (np.inf, 0, 0)
    for i, vertex in enumerate(first):
        distances = ((second - vertex) ** 2).sum(axis=1)
        j = int(distances.argmin())
        best = min(best, (float(distances[j]), i, j))
    _, i, j = best
    return np.concatenate([first[: i + 1], second[j:], second[: j + 1], first[i:]])


def _simplified(contour: NDArray[np.int32]) -> Polygon:
    """Return a contour of small pixels with fewer vertices, at the centres of those pixels."""
    simple = cv2.approxPolyDP(contour, TOLERANCE * OVERSAMPLING, True)
    vertices = simple if len(simple) > 2 else contour
    return vertices[:, 0].astype(np.float64) + 0.5
