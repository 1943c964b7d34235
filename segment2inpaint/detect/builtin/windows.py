"""Windows of a photo in which the click network looks for an object.

Points are (x, y), sizes (h, w), boxes are half-open, all in px of the photo.
"""

from __future__ import annotations

from collections.abc import Iterator

from segment2inpaint.masks import components_at
from segment2inpaint.networks.click import MASK_CELL, Embedding
from segment2inpaint.types import Box, FloatArray, Image, Point, bounding_box

SMALL_OBJECT = 0.1  # of the photo's long side; a smaller object is looked at in a window
MIN_MARGIN = 8  # px, added to a margin
MIN_WINDOW_SIDE = 48  # px, long side of the smallest window
ZOOM = 0.4  # of the window before, long side of the next window round a click


def whole_photo(image: Image) -> Box:
    return Box(0, 0, image.shape[1], image.shape[0])


def around(box: Box, margin: float, size: tuple[int, int]) -> Box:
    """Return the box with a margin on each side, as a share of its long side."""
    long = max(box.width, box.height)
    return box.expand(
        max(MIN_MARGIN + round(margin * long), (MIN_WINDOW_SIDE - long + 1) // 2), size
    )


def click_windows(click: Point, size: tuple[int, int]) -> Iterator[Box]:
    """Yield smaller and smaller windows round a click."""
    x, y = click
    side = ZOOM * max(size)
    while side >= MIN_WINDOW_SIDE:
        yield Box(x, y, x + 1, y + 1).expand(round(side / 2), size)
        side *= ZOOM


def object_box(embedding: Embedding, logits: FloatArray, click: Point) -> Box | None:
    """Return the box in the photo of the object at a click, None if there is none."""
    letterbox = embedding.letterbox
    x, y = mask_place(embedding, click)
    mask = components_at(logits > 0, [(x, y)]) if logits[y, x] > 0 else None
    if mask is None:
        return None
    x0, y0, x1, y1 = (MASK_CELL * value for value in bounding_box(mask))
    height, width = letterbox.size
    return letterbox.box_to_photo(Box(x0, y0, min(x1, width), min(y1, height)))


def mask_place(embedding: Embedding, click: Point) -> Point:
    """Return the place (x, y) of a click of the photo in the logits."""
    x, y = embedding.letterbox.point_to_input(click)
    return x // MASK_CELL, y // MASK_CELL


def is_small(box: Box, size: tuple[int, int]) -> bool:
    return max(box.width, box.height) < SMALL_OBJECT * max(size)


def is_cut(box: Box, window: Box, size: tuple[int, int]) -> bool:
    """Return whether a window cuts through an object, beyond whose edge the photo goes on."""
    return (
        (box.x0 <= window.x0 > 0) or (box.y0 <= window.y0 > 0)
        or (window.x1 < size[1] and box.x1 >= window.x1)
        or (window.y1 < size[0] and box.y1 >= window.y1)
    )  # fmt: skip
