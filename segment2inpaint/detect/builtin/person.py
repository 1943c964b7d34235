"""Find the rest of a person of whom a click selects a part.

A click on clothes means the person who wears them, and a click on a face the person whose face it
is. The face network finds the face; the face and the chest below it are where a person is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from segment2inpaint.networks.faces import SURE_FACE_SCORE, FaceEllipse, find_faces
from segment2inpaint.types import Box, Image, Point

SEARCH_SIDE = 320  # px, long side of the region in which faces are looked for
# The region reaches so far beyond what is selected, in widths of its box: sideways, up and down
# from its top. If that may be a head by its height in widths, all of it lies in the region, and so
# many of its heights.
REACH_SIDEWAYS, REACH_UP, REACH_DOWN = 0.4, 1.5, 0.8
MAX_HEAD_ASPECT, HEAD_REACH = 1.8, 1.3
MIN_FACE_SIDE = 8  # px of the photo
# All limits were chosen on photos that train the click network. The width of clothes in widths of
# a face: what is narrower is held before the wearer, and what is wider stands behind them.
CLOTHES_WIDTHS = (1.5, 5.0)
# The face's middle may lie so far beside that of the clothes, in widths of theirs, and the chin so
# far above and below their top, in heights of the face.
MAX_ASIDE, MAX_ABOVE, MAX_BELOW = 0.25, 0.4, 0.6
# A head alone is at most so large, in widths and heights of the face, and reaches so far below it.
MAX_HEAD_SIZE, MAX_NECK = 2.0, 0.5
HAIR_BESIDE, HAIR_ABOVE = 0.3, 0.4  # of a head, in widths and heights of its face
# Of the body, in heights of the face below the chin: the point on the chest, the chest's end, and
# that of a window for the person. Near the photo's lower edge the point lies nearer to the chin.
CHEST_BELOW, CHEST_HEIGHT, BODY_HEIGHT = 0.8, 2.0, 3.8
MIN_CHEST_BELOW, EDGE_DISTANCE = 0.3, 0.1
CHEST_BESIDE = 0.5  # widths of the face, beside it


@dataclass(frozen=True)
class PersonPart:
    """A part of a person: asked about at ``point``, in the ellipse in ``box``.

    A window for the person shows all of ``seen``.
    """

    point: Point
    box: Box
    seen: Box

    def contains(self, point: Point) -> bool:
        """Return whether a point lies on the part."""
        (x, y), box = point, self.box
        across = (2 * x - box.x0 - box.x1) / box.width
        along = (2 * y - box.y0 - box.y1) / box.height
        return across**2 + along**2 <= 1


def find_rest_of_person(
    image: Image, selected: Box, is_selected: Callable[[Point], bool]
) -> list[PersonPart]:
    """Return the parts that a person has beside what is selected, the surest first.

    ``image`` is (H, W, 3) uint8 RGB, ``selected`` the box of what is selected; ``is_selected``
    tells it for a point. There are none unless clothes or a head are selected.
    """
    size = image.shape[0], image.shape[1]
    rest = (
        _chest_below(face, selected, size)
        if is_selected(_middle(face))
        else _face_above(face, selected, size)
        for face in _find_faces(image, selected)
    )
    return [part for part in rest if part and not is_selected(part.point)]


def _face_above(face: Box, clothes: Box, size: tuple[int, int]) -> PersonPart | None:
    """Return a face if it is where that of the clothes' wearer would be, and as large."""
    aside = abs((face.x0 + face.x1) - (clothes.x0 + clothes.x1)) / 2
    belongs = (
        CLOTHES_WIDTHS[0] * face.width < clothes.width < CLOTHES_WIDTHS[1] * face.width
        and aside <= MAX_ASIDE * clothes.width
        and -MAX_ABOVE * face.height <= face.y1 - clothes.y0 <= MAX_BELOW * face.height
    )
    if not belongs:
        return None
    head = _around(face, size, beside=HAIR_BESIDE, above=HAIR_ABOVE, below=0)
    return PersonPart(_middle(face), face, head)


def _chest_below(face: Box, head: Box, size: tuple[int, int]) -> PersonPart | None:
    """Return the chest if the head alone is selected, and the chest is in the photo."""
    is_head = (
        head.width <= MAX_HEAD_SIZE * face.width
        and head.height <= MAX_HEAD_SIZE * face.height
        and head.y1 - face.y1 <= MAX_NECK * face.height
    )
    lowest = size[0] - 1 - round(EDGE_DISTANCE * face.height)
    x, y = _middle(face)[0], min(face.y1 + round(CHEST_BELOW * face.height), lowest)
    if not is_head or y < face.y1 + MIN_CHEST_BELOW * face.height:
        return None
    body = _around(face, size, beside=1, above=HAIR_ABOVE, below=BODY_HEIGHT)
    chest = _around(face, size, beside=CHEST_BESIDE, above=-1, below=CHEST_HEIGHT)
    return PersonPart((x, y), chest, body)


def _middle(box: Box) -> Point:
    return (box.x0 + box.x1) // 2, (box.y0 + box.y1) // 2


def _around(face: Box, size: tuple[int, int], *, beside: float, above: float, below: float) -> Box:
    """Return the part of the photo round a face, in widths and heights of the face beyond it."""
    return Box(
        max(0, face.x0 - round(beside * face.width)),
        max(0, face.y0 - round(above * face.height)),
        min(size[1], face.x1 + round(beside * face.width)),
        min(size[0], face.y1 + round(below * face.height)),
    )


# --- faces --------------------------------------------------------------------------------------


def _find_faces(image: Image, selected: Box) -> list[Box]:
    """Return the boxes of the faces round the top of what is selected, the surest first."""
    region = _search_region(selected, (image.shape[0], image.shape[1]))
    scale = SEARCH_SIDE / max(region.width, region.height)
    found = find_faces(image[region.slices], scale)
    sure = [face for face in found if face.score >= SURE_FACE_SCORE]
    boxes = [_box_in_photo(face, region) for face in sorted(sure, key=lambda face: -face.score)]
    return [box for box in boxes if min(box.width, box.height) >= MIN_FACE_SIDE]


def _search_region(selected: Box, size: tuple[int, int]) -> Box:
    width, height = selected.width, selected.height
    beside, up, down = (round(r * width) for r in (REACH_SIDEWAYS, REACH_UP, REACH_DOWN))
    if height <= MAX_HEAD_ASPECT * width:
        down = max(down, round(HEAD_REACH * height))
    return Box(
        max(0, selected.x0 - beside), max(0, selected.y0 - up),
        min(size[1], selected.x1 + beside), min(size[0], selected.y0 + down),
    )  # fmt: skip


def _box_in_photo(face: FaceEllipse, region: Box) -> Box:
    """Return the part in a region of the box of a face, whose place is relative to the region."""
    (x, y), (a, b) = face.center, face.axes
    left, top = region.x0 + max(0, x - a), region.y0 + max(0, y - b)
    return Box(left, top, min(region.x1, region.x0 + x + a), min(region.y1, region.y0 + y + b))
