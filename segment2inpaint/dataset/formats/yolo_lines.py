"""The lines of YOLO label files: boxes, outlines, rotated boxes, and boxes with key points.

The formats are those of Ultralytics, in fractions of the photo's width and height:

* ``class x y width height``, perhaps with a confidence;
* ``class x1 y1 x2 y2 x3 y3 ...``: an outline, or the four corners of a rotated box;
* ``class x y width height`` and key points of ``kpt_shape``, of which the box counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import dist, isfinite

from segment2inpaint.dataset.formats.annotations import Annotation
from segment2inpaint.dataset.formats.shapes import Corner, polygon_area

EXPECTED = "class x y w h or class x1 y1 x2 y2 x3 y3 ..."
TOLERANCE = 0.05  # how far a fraction may be outside 0 to 1, as rounding and cut objects make it
KEY_POINT_SPREAD = 0.3  # of the box; key points that are closer together are an outline
SPIKE = 1.5  # times the other edges; a longer step to the second point and back is a box's size


@dataclass(frozen=True)
class LabelLine:
    """A line of a label file that is not blank: its number from 1, and its words."""

    number: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class LineLayout:
    """The meaning of the lines of a file.

    ``key_points`` is the count of numbers after the box that are key points, 0 if there are none.
    ``has_outlines``: other lines of the file are outlines. ``is_ambiguous``: its outlines may
    also be boxes with key points.
    """

    key_points: int = 0
    has_outlines: bool = False
    is_ambiguous: bool = False


def split_labels(lines: Sequence[str]) -> list[LabelLine]:
    """Return the lines of a label file that are not blank."""
    return [LabelLine(n, tuple(line.split())) for n, line in enumerate(lines, 1) if line.strip()]


def looks_like_label(line: str) -> bool:
    """Return whether a line begins with a class and the four numbers of a box."""
    words = line.split()
    numbers = _numbers(words)
    return len(words) >= 5 and numbers is not None and numbers[0] == int(numbers[0]) >= 0


def class_index(line: LabelLine) -> int:
    """Return the class of a line. Raises ``ValueError``."""
    numbers = _numbers(line.words[:1])
    if numbers is None or not 0 <= numbers[0] == int(numbers[0]):
        raise ValueError(f"expected {EXPECTED}, got {_text(line)}")
    return int(numbers[0])


def find_layout(
    lines: Sequence[LabelLine], kpt_shape: tuple[int, int] | None, *, has_yaml: bool
) -> LineLayout:
    """Return the layout of a file.

    ``kpt_shape`` is that of the dataset's YAML, None if it has none. With a YAML, what can be an
    outline is one.
    """
    if kpt_shape:
        return LineLayout(key_points=kpt_shape[0] * kpt_shape[1])
    rows = [numbers[1:] for line in lines if (numbers := _numbers(line.words))]
    long = [row for row in rows if len(row) > 5]
    counts = {len(row) for row in rows}
    if not long or len(counts) > 1:
        return LineLayout(has_outlines=bool(long))
    extra = counts.pop() - 4
    if extra % 3 == 0 and all(_has_visibility(row) for row in long):
        return LineLayout(key_points=extra)
    may_be_pose = extra % 2 == 0 and all(_may_have_key_points(row) for row in long)
    return LineLayout(has_outlines=True, is_ambiguous=may_be_pose and not has_yaml)


def parse_line(line: LabelLine, layout: LineLayout, label: str, where: str) -> Annotation:
    """Return the object of a line. Raises ``ValueError`` with the reason if it is invalid."""
    numbers = _numbers(line.words)
    if numbers is None:
        raise ValueError(f"expected {EXPECTED}, got {_text(line)}")
    values = numbers[1:]
    if layout.key_points:
        return _parse_pose(values, layout.key_points, label, where)
    if len(values) in (4, 5):
        if layout.has_outlines and len(values) == 4:
            raise ValueError(
                "four numbers in a file of outlines may be a box or an outline of two points; "
                "put boxes and outlines into separate files"
            )
        return _box(values, label, where)
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f"expected {EXPECTED}, got {len(values)} numbers after the class")
    if layout.is_ambiguous:
        raise ValueError(
            f"{len(values)} numbers may be an outline or a box with key points; give the dataset "
            "a data.yaml, with kpt_shape for key points"
        )
    return _outline(values, label, where)


# --- objects ----------------------------------------------------------------------------------


def _parse_pose(values: list[float], key_points: int, label: str, where: str) -> Annotation:
    """Return the box of a line with key points, perhaps with a confidence, or without them."""
    if len(values) not in (4, 5, 4 + key_points, 5 + key_points):
        raise ValueError(
            f"expected class x y w h and {key_points} numbers of key points as kpt_shape says, "
            f"got {len(values)} numbers after the class"
        )
    return _box(values[:4], label, where)


def _box(values: list[float], label: str, where: str) -> Annotation:
    x, y, w, h = (_checked(value) for value in values[:4])
    x0, y0, x1, y1 = (_clip(v) for v in (x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"the box has no area: width {w:g}, height {h:g}")
    area = (x1 - x0) * (y1 - y0)
    return Annotation(where, label, where, (x0, y0, x1, y1), None, True, area)


def _outline(values: list[float], label: str, where: str) -> Annotation:
    values = [_clip(_checked(value)) for value in values]
    corners = list(zip(values[::2], values[1::2], strict=True))
    area = polygon_area(corners)
    if not area:
        raise ValueError("the outline has no area; an outline needs three points")
    xs, ys = values[::2], values[1::2]
    box = (min(xs), min(ys), max(xs), max(ys))
    prompt = {"polygons": [values]}
    return Annotation(where, label, where, box, prompt, True, area)


def _checked(value: float) -> float:
    """Return a fraction of the photo's side. Raises ``ValueError`` if it is far outside 0 to 1."""
    if not -TOLERANCE <= value <= 1 + TOLERANCE:
        raise ValueError(
            f"expected fractions of the photo, 0 to 1, got {value:g}; divide pixels by the "
            "photo's width and height"
        )
    return value


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)


# --- words ------------------------------------------------------------------------------------


def _numbers(words: Sequence[str]) -> list[float] | None:
    """Return words as finite numbers, None if one is something else."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return None
    return numbers if numbers and all(map(isfinite, numbers)) else None


def _text(line: LabelLine) -> str:
    return " ".join(line.words)[:40]


# --- key points -------------------------------------------------------------------------------


def _has_visibility(values: list[float]) -> bool:
    """Return whether a line is surely a box with key points x, y, visibility.

    An outline has an even count of numbers, and none of them is 2.
    """
    flags = values[6::3]
    is_odd = len(values) % 2 == 1
    return set(flags) <= {0.0, 1.0, 2.0} and (is_odd or 2.0 in flags) and bool(flags)


def _may_have_key_points(values: list[float]) -> bool:
    """Return whether a line that can be an outline looks like a box with key points x, y.

    The points lie in the box and fill a good part of it, and make no good outline together with
    the centre and the size of the box.
    """
    corners = list(zip(values[::2], values[1::2], strict=True))
    (x, y), (w, h), *points = corners
    points = [point for point in points if point != (0.0, 0.0)]
    sides = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    if not all(-TOLERANCE <= side <= 1 + TOLERANCE for side in sides) or not points:
        return False
    xs, ys = [px for px, _ in points], [py for _, py in points]
    is_inside = sides[0] <= min(xs) and max(xs) <= sides[2]
    is_inside &= sides[1] <= min(ys) and max(ys) <= sides[3]
    is_spread = max(xs) - min(xs) >= KEY_POINT_SPREAD * w
    is_spread |= max(ys) - min(ys) >= KEY_POINT_SPREAD * h
    return is_inside and is_spread and (_has_spike(corners) or _crosses_itself(corners))


def _has_spike(corners: Sequence[Corner]) -> bool:
    """Return whether the steps to the second point and back are far longer than the others."""
    edges = [dist(a, b) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)]
    return min(edges[:2]) > SPIKE * max(edges[2:])


def _crosses_itself(corners: Sequence[Corner]) -> bool:
    edges = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    return any(
        _cross(*first, *second)
        for i, first in enumerate(edges)
        for second in edges[i + 2 : len(edges) - (i == 0)]
    )


def _cross(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Return whether the lines from a to b and from c to d cross."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Corner, b: Corner, c: Corner) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
