"""Shapes of annotation tools, as boxes, outlines and masks in the pixels of a photo.

A shape that has no area, or numbers that lie in no photo, raises ``ValueError`` with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, hypot, isfinite, radians, sin
from typing import Any

import numpy as np

from segment2inpaint.dataset.run_types import Json
from segment2inpaint.request import run_lengths
from segment2inpaint.types import BinaryMask, bounding_box

Corner = tuple[float, float]
BoxSides = tuple[float, float, float, float]
PhotoSize = tuple[int, int]
"""Height and width in pixels."""

ELLIPSE_CORNERS = 64  # corners of the polygon that stands for an ellipse
MAX_COORDINATE = 1_000_000  # px; a larger coordinate lies in no photo
MAX_PIXELS = 500_000_000  # of a mask
SQUARE_TOLERANCE = 0.5  # px that the corners of an upright rectangle may deviate


@dataclass(frozen=True)
class Shape:
    """The place of an object.

    Attributes:
        box: (x0, y0, x1, y1).
        prompt: a mask as a prompt of ``EditItem.request``, or None for a plain box.
        area: in square pixels.
    """

    box: BoxSides
    prompt: Json | None
    area: float


# --- numbers ----------------------------------------------------------------------------------


def parse_number(value: Any, name: str = "a coordinate") -> float:
    """Return a number, which may be text. Raises ``ValueError`` if it lies in no photo."""
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not isfinite(number) or abs(number) > MAX_COORDINATE:
        raise ValueError(f"expected a number for {name}, got {value!r:.40}")
    return number


def parse_corners(values: Any) -> list[Corner]:
    """Return points that are given as ``[[x, y], ...]`` or flat as ``[x, y, x, y, ...]``."""
    if not isinstance(values, list | tuple):
        raise ValueError(f"expected points [[x, y], ...], got {values!r:.40}")
    if values and not any(isinstance(value, list | tuple | dict) for value in values):
        numbers = [parse_number(value) for value in values]
        if len(numbers) % 2:
            raise ValueError(f"expected pairs of x and y, got {len(numbers)} numbers")
        return list(zip(numbers[::2], numbers[1::2], strict=True))
    return [_parse_corner(value) for value in values]


def parse_photo_size(height: Any, width: Any) -> PhotoSize | None:
    """Return the (height, width) that a file declares for its photo.

    None if one of them is 0 or missing. Raises ``ValueError`` for what is no size.
    """
    values = ((height or 0, "height"), (width or 0, "width"))
    sizes = [parse_number(value, name) for value, name in values]
    if any(size < 0 or size != int(size) for size in sizes):
        raise ValueError(
            f"expected the photo's width and height, got {width!r:.20} x {height!r:.20}"
        )
    if 0 in sizes:
        return None
    return int(sizes[0]), int(sizes[1])


def _parse_corner(value: Any) -> Corner:
    if isinstance(value, dict):
        value = (value.get("x"), value.get("y"))
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"expected a point [x, y], got {value!r:.40}")
    return parse_number(value[0]), parse_number(value[1])


# --- shapes -----------------------------------------------------------------------------------


def polygon(corners: Sequence[Corner]) -> Shape:
    """Return an outline of at least three points."""
    if len(set(corners)) < 3:
        raise ValueError(f"an outline needs at least three points, got {len(set(corners))}")
    area = polygon_area(corners)
    if not area:
        raise ValueError("the outline has no area, as all its points are on one line")
    flat = [value for corner in corners for value in corner]
    return Shape(_sides(corners), {"polygons": [flat]}, area)


def rectangle(corners: Sequence[Corner]) -> Shape:
    """Return a rectangle of two opposite corners, or of four, which may be rotated."""
    if len(corners) == 5 and corners[0] == corners[-1]:
        corners = corners[:4]
    if len(corners) not in (2, 4):
        raise ValueError(f"a rectangle needs two or four corners, got {len(corners)}")
    box = _sides(corners)
    if len(corners) == 4 and not all(_is_corner(corner, box) for corner in corners):
        return polygon(corners)
    return upright_box(box)


def upright_box(box: BoxSides) -> Shape:
    """Return a box (x0, y0, x1, y1) that is not rotated."""
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"the box has no area: {x1 - x0:g} wide, {y1 - y0:g} high")
    return Shape(box, None, (x1 - x0) * (y1 - y0))


def rotated_box(box: BoxSides, degrees: float, pivot: Corner) -> Shape:
    """Return a box (x0, y0, x1, y1) that is rotated clockwise around a point."""
    upright = upright_box(box)
    if not degrees % 360:
        return upright
    x0, y0, x1, y1 = box
    corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    return polygon([_rotate(corner, degrees, pivot) for corner in corners])


def ellipse(center: Corner, radius_x: float, radius_y: float, degrees: float = 0) -> Shape:
    """Return an ellipse that is rotated clockwise around its centre."""
    if radius_x <= 0 or radius_y <= 0:
        raise ValueError(f"the ellipse has no area: its radii are {radius_x:g} and {radius_y:g}")
    x, y = center
    angles = [2 * np.pi * i / ELLIPSE_CORNERS for i in range(ELLIPSE_CORNERS)]
    corners = [(x + radius_x * cos(a), y + radius_y * sin(a)) for a in angles]
    return polygon([_rotate(corner, degrees, center) for corner in corners])


def circle(center: Corner, edge: Corner) -> Shape:
    """Return a circle of its centre and a point on its edge."""
    radius = hypot(center[0] - edge[0], center[1] - edge[1])
    return ellipse(center, radius, radius)


def patch_mask(patch: BinaryMask, corner: Corner, size: PhotoSize | None) -> Shape:
    """Return the mask of a photo from a part of it whose top left corner is given.

    ``size`` is that of the photo; what lies outside of it is left out.
    """
    if size is None:
        raise ValueError("the mask needs the width and height of the photo, which are not given")
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"the mask is for a photo of {size[1]}x{size[0]}, more than can be read")
    x, y = round(corner[0]), round(corner[1])
    left, top = max(0, -x), max(0, -y)
    mask = np.zeros(size, np.bool_)
    target = mask[max(0, y) : y + patch.shape[0], max(0, x) : x + patch.shape[1]]
    target[:] = patch[top : top + target.shape[0], left : left + target.shape[1]]
    return photo_mask(mask)


def photo_mask(mask: BinaryMask) -> Shape:
    """Return a mask of the whole photo."""
    if not mask.any():
        raise ValueError("the mask is empty")
    box = bounding_box(mask)
    sides = (float(box.x0), float(box.y0), float(box.x1), float(box.y1))
    return Shape(sides, {"rle": run_lengths(mask)}, float(mask.sum()))


def polygon_area(corners: Sequence[Corner]) -> float:
    """Return the area of a polygon by the shoelace formula."""
    points = np.asarray(corners, np.float64)
    points = points - points[0]
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _sides(corners: Sequence[Corner]) -> BoxSides:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _is_corner(point: Corner, box: BoxSides) -> bool:
    x, y = point
    return (
        min(abs(x - box[0]), abs(x - box[2])) <= SQUARE_TOLERANCE
        and min(abs(y - box[1]), abs(y - box[3])) <= SQUARE_TOLERANCE
    )


def _rotate(point: Corner, degrees: float, pivot: Corner) -> Corner:
    """Return a point after a clockwise turn around ``pivot``; y points down."""
    angle = radians(degrees)
    x, y = point[0] - pivot[0], point[1] - pivot[1]
    return (pivot[0] + x * cos(angle) - y * sin(angle),
            pivot[1] + x * sin(angle) + y * cos(angle))  # fmt: skip
