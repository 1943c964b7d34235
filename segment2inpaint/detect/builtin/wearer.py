"""Find the face above clothes: a click on them means the person who wears them."""

from __future__ import annotations

from dataclasses import dataclass

from segment2inpaint.networks.faces import SURE_FACE_SCORE, FaceEllipse, find_faces
from segment2inpaint.types import Box, Image, Point

SEARCH_SIDE = 320  # px, long side of the region in which faces are looked for
# The region reaches so far beyond the clothes, in widths of their box: sideways, up and down.
REACH_SIDEWAYS, REACH_UP, REACH_DOWN = 0.4, 1.5, 0.8
# Limits were chosen on photos that train the click network. The width of clothes in widths of a
# face: what is narrower is held before the wearer, and what is wider stands behind them.
WIDTHS = (1.5, 5.0)
# The face's middle may lie so far beside that of the clothes, in widths of theirs, and the chin so
# far above and below their top, in heights of the face.
MAX_ASIDE, MAX_ABOVE, MAX_BELOW = 0.25, 0.4, 0.6
HAIR_BESIDE, HAIR_ABOVE = 0.3, 0.4  # in widths and heights of the face
MIN_FACE_SIDE = 8  # px of the photo


@dataclass(frozen=True)
class Face:
    """A face that fills ``box``, and the box of its ``head`` with the hair."""

    box: Box
    head: Box

    @property
    def middle(self) -> Point:
        return (self.box.x0 + self.box.x1) // 2, (self.box.y0 + self.box.y1) // 2

    def contains(self, point: Point) -> bool:
        """Return whether a point lies on the face, an ellipse in its box."""
        (x, y), (middle_x, middle_y) = point, self.middle
        across, along = 2 * (x - middle_x) / self.box.width, 2 * (y - middle_y) / self.box.height
        return across**2 + along**2 <= 1


def find_faces_above(image: Image, clothes: Box) -> list[Face]:
    """Return the faces to which clothes may belong, the surest first.

    ``image`` is (H, W, 3) uint8 RGB, ``clothes`` the box of what was selected.
    """
    size = image.shape[0], image.shape[1]
    region = _search_region(clothes, size)
    scale = SEARCH_SIDE / max(region.width, region.height)
    found = find_faces(image[region.slices], scale)
    sure = [face for face in found if face.score >= SURE_FACE_SCORE]
    boxes = [_box_in_photo(face, region) for face in sorted(sure, key=lambda face: -face.score)]
    return [Face(box, _head(box, size)) for box in boxes if _belongs(box, clothes)]


def _box_in_photo(face: FaceEllipse, region: Box) -> Box:
    """Return the part in a region of the box of a face, whose place is relative to the region."""
    (x, y), (a, b) = face.center, face.axes
    left, top = region.x0 + max(0, x - a), region.y0 + max(0, y - b)
    return Box(left, top, min(region.x1, region.x0 + x + a), min(region.y1, region.y0 + y + b))


def _head(face: Box, size: tuple[int, int]) -> Box:
    beside, above = round(HAIR_BESIDE * face.width), round(HAIR_ABOVE * face.height)
    return Box(
        max(0, face.x0 - beside), max(0, face.y0 - above), min(size[1], face.x1 + beside), face.y1
    )


def _search_region(clothes: Box, size: tuple[int, int]) -> Box:
    beside, up, down = (
        round(reach * clothes.width) for reach in (REACH_SIDEWAYS, REACH_UP, REACH_DOWN)
    )
    return Box(
        max(0, clothes.x0 - beside), max(0, clothes.y0 - up),
        min(size[1], clothes.x1 + beside), min(size[0], clothes.y0 + down),
    )  # fmt: skip


def _belongs(face: Box, clothes: Box) -> bool:
    """Return whether a face is where that of the clothes' wearer would be, and as large."""
    aside = abs((face.x0 + face.x1) - (clothes.x0 + clothes.x1)) / 2
    return (
        min(face.width, face.height) >= MIN_FACE_SIDE
        and WIDTHS[0] * face.width < clothes.width < WIDTHS[1] * face.width
        and aside <= MAX_ASIDE * clothes.width
        and -MAX_ABOVE * face.height <= face.y1 - clothes.y0 <= MAX_BELOW * face.height
    )
