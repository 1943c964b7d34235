"""Real photos with object masks, read from folders that the user names.

Two layouts are read: ``NAME.jpg`` beside ``NAME.png``, a mask of one object; and ``NAME.jpg``
beside ``NAME.txt``, polygons in the format of YOLO segmentation with the 80 classes of COCO.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.types import BinaryMask, Image

MAX_SIDE = 1024  # px, long side of a photo in memory
AREA_RANGE = (0.0008, 0.9)  # of the photo, of objects that count
MAX_GAP = 2  # px between things that touch
MIN_NEAR_SHARE = 0.5  # of a thing's area, in the enlarged box of an object that it belongs to
BOX_MARGIN = 0.35  # of the box's height and width, on each side

PERSON = 0
# Things that a person holds or wears: backpack, umbrella, handbag, tie, frisbee, ball, bat, glove,
# racket, bottle, cup, laptop, remote control, phone, book and others.
HELD = frozenset({24, 25, 26, 27, 29, 32, 34, 35, 38, 39, 41, 63, 65, 67, 73, 77})
# Things that a person rides: bicycle, motorcycle, horse, elephant, skis, boards.
RIDDEN = frozenset({1, 3, 17, 20, 30, 31, 36, 37})

ClassMask = tuple[int, BinaryMask]  # number of the class, mask


@dataclass(frozen=True, eq=False)
class LabelledObject:
    """Masks (h, w): of the ``object`` that a user means, of a ``part``, and of the ``whole``.

    A person together with what they hold is an object, the person alone is its part, and a rider
    with what they ride is the whole. ``part`` and ``whole`` are None where they are not known.
    """

    object: BinaryMask
    part: BinaryMask | None = None
    whole: BinaryMask | None = None


@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    """A photo (h, w, 3) RGB and its objects."""

    image: Image
    objects: tuple[LabelledObject, ...]


def read_photos(folder: Path) -> Iterator[LabelledPhoto]:
    """Yield the photos below a folder that have at least one object. Raises ``ValueError``."""
    for path in sorted(folder.rglob("*.jpg")):
        image = _reduce(read_image(path, cv2.IMREAD_COLOR_RGB))
        objects = tuple(_read_objects(path, (image.shape[0], image.shape[1])))
        if objects:
            yield LabelledPhoto(image, objects)


def read_image(path: Path, flags: int) -> Image:
    """Return an image as OpenCV reads it. Raises ``ValueError`` if it cannot."""
    image = cv2.imread(str(path), flags)
    if image is None:
        raise ValueError(f"{path}: not an image that OpenCV can read; replace or remove it")
    return np.asarray(image, np.uint8)


def _reduce(image: Image) -> Image:
    scale = MAX_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _read_objects(path: Path, size: tuple[int, int]) -> Iterator[LabelledObject]:
    """Yield the objects of the photo in ``path``, which has ``size`` (h, w) in memory."""
    mask_file, label_file = path.with_suffix(".png"), path.with_suffix(".txt")
    if mask_file.is_file():
        mask = read_image(mask_file, cv2.IMREAD_GRAYSCALE)
        scaled = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA) > 127
        if _counts(scaled):
            yield LabelledObject(scaled)
    elif label_file.is_file():
        found = list(read_polygons(label_file, size))
        yield from (_with_companions(c, found) for c in found if _counts(c[1]))


def read_polygons(path: Path, size: tuple[int, int]) -> Iterator[ClassMask]:
    """Yield the objects of a file of YOLO segmentation, for a photo of ``size`` (h, w).

    Raises ``ValueError``.
    """
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip():
            yield _read_polygon(line, size, f"{path}: line {number}")


def _read_polygon(line: str, size: tuple[int, int], place: str) -> ClassMask:
    """Return the class and the mask of a line. Raises ``ValueError``."""
    try:
        index, *values = map(float, line.split())
        points = np.array(values).reshape(-1, 2) * size[::-1]
    except ValueError:
        message = f"{place}: expected a class and the x and y of corners, got {line[:60]!r}"
        raise ValueError(message) from None
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)
    return int(index), mask > 0


def _with_companions(one: ClassMask, found: Sequence[ClassMask]) -> LabelledObject:
    """Return an object; a person gets what they hold, a rider and what is ridden each other."""
    index, mask = one
    if index == PERSON:
        held = _join(mask, found, HELD)
        person = mask if held is None else held
        part = None if held is None else mask
        return LabelledObject(person, part, _join(person, found, RIDDEN))
    riders = frozenset({PERSON}) if index in RIDDEN else frozenset[int]()
    return LabelledObject(mask, whole=_join(mask, found, riders))


def _join(
    mask: BinaryMask, found: Sequence[ClassMask], classes: frozenset[int]
) -> BinaryMask | None:
    """Return the mask with the things of some classes that belong to it; None if there are none."""
    others = [
        other for i, other in found if i in classes and _touch(other, mask) and _near(other, mask)
    ]
    return np.logical_or.reduce([mask, *others]) if others else None


def _touch(one: BinaryMask, other: BinaryMask) -> bool:
    kernel = np.ones((2 * MAX_GAP + 1, 2 * MAX_GAP + 1), np.uint8)
    grown = cv2.dilate(one.astype(np.uint8), kernel) > 0
    return bool((grown & other).any())


def _near(thing: BinaryMask, mask: BinaryMask) -> bool:
    """Return whether a thing lies mostly around a mask, and does not only reach behind it."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    (y0, y1), (x0, x1) = (_enlarge(places) for places in (rows, columns))
    return bool(thing[y0:y1, x0:x1].sum() >= MIN_NEAR_SHARE * thing.sum())


def _enlarge(places: NDArray[np.intp]) -> tuple[int, int]:
    """Return the range of places with a margin."""
    margin = round(BOX_MARGIN * (np.ptp(places) + 1))
    return max(0, int(places[0]) - margin), int(places[-1]) + margin + 1


def _counts(mask: BinaryMask) -> bool:
    return bool(AREA_RANGE[0] <= mask.mean() <= AREA_RANGE[1])
