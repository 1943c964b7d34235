"""The records of COCO files: images, categories, and the shapes of objects.

A damaged record is an ``InvalidRow``. Ids match whether they are numbers or text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Generic, TypeVar

from segment2inpaint.dataset.declared_size import Size, is_same_shape
from segment2inpaint.dataset.formats.coco_masks import check_run_lengths
from segment2inpaint.dataset.formats.records import RECORD_ERRORS, one_line
from segment2inpaint.dataset.formats.shapes import (
    BoxSides,
    parse_corners,
    parse_number,
    parse_photo_size,
)
from segment2inpaint.dataset.names import check_file_name
from segment2inpaint.dataset.run_types import InvalidRow, Json
from segment2inpaint.errors import BadDataset

Value = TypeVar("Value")
Id = int | float | str
PARSE_ERRORS = (*RECORD_ERRORS, BadDataset)


# --- ids --------------------------------------------------------------------------------------


class IdTable(Generic[Value]):
    """Finds what an id stands for; ``"7"``, ``"007"`` and 7.0 stand for 7 if nothing else does."""

    def __init__(self) -> None:
        self._exact: dict[Id, Value] = {}
        self._similar: dict[Id, dict[Id, Value]] = {}

    def add(self, id: Id, value: Value) -> None:
        """Add an id, or replace what it stands for."""
        self._exact[id] = value
        self._similar.setdefault(_similar_id(id), {})[id] = value

    def find(self, id: Any) -> Value | None:
        """Return what an id stands for, None if it stands for nothing or for several."""
        if not _is_id(id):
            return None
        if id in self._exact:
            return self._exact[id]
        similar = list(self._similar.get(_similar_id(id), {}).values())
        return similar[0] if len(similar) == 1 else None


def _is_id(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, int | str) and not isinstance(value, bool) and value != ""


def _check_id(record: Json) -> Id:
    if not _is_id(record["id"]):
        raise ValueError(f"expected a number or text as id, got {record['id']!r:.40}")
    id: Id = record["id"]
    return id


def _similar_id(id: Id) -> Id:
    if isinstance(id, str):
        text = id.strip()
        return int(text) if text.isdecimal() and len(text) < 20 else text
    return int(id) if id == int(id) else id


def record_name(record: Any, number: int) -> str:
    """Return the id of a record as text; its number in the file if it has none."""
    id = record.get("id") if isinstance(record, dict) else None
    return str(id) if _is_id(id) else f"#{number}"


# --- images and categories --------------------------------------------------------------------


@dataclass(frozen=True)
class CocoImage:
    """A photo of a COCO file: its place there, its name, and the size that is declared for it."""

    where: str
    name: str
    photo_size: Size | None


@dataclass(frozen=True)
class CocoImages:
    """The photos of a COCO file, and the records that are damaged, by id and as lists."""

    by_id: IdTable[CocoImage | InvalidRow] = field(default_factory=IdTable)
    sound: list[CocoImage] = field(default_factory=list)
    damaged: list[InvalidRow] = field(default_factory=list)


def parse_images(records: list[Any], path: str) -> CocoImages:
    """Return the photos of the COCO file ``path``."""
    images = CocoImages()
    counts = Counter(record_name(record, number) for number, record in enumerate(records, 1))
    for number, record in enumerate(records, 1):
        name = record_name(record, number)
        where = f"{path}: image {name:.80}"
        try:
            if counts[name] > 1:
                raise ValueError(f"two images have the id {name:.80}; make ids unique")
            image = _parse_image(record, where)
        except PARSE_ERRORS as error:
            problem = InvalidRow(where, one_line(error))
            images.damaged.append(problem)
            if not name.startswith("#"):
                images.by_id.add(record["id"], problem)
        else:
            images.sound.append(image)
            images.by_id.add(record["id"], image)
    return images


def _parse_image(record: Json, where: str) -> CocoImage:
    _check_id(record)
    check_file_name(record["file_name"], "file_name")
    size = parse_photo_size(record.get("height"), record.get("width"))
    return CocoImage(where, record["file_name"], size)


@dataclass(frozen=True)
class Categories:
    """The class names of a COCO file. ``stuff`` are those without single objects, such as sky."""

    by_id: IdTable[str] = field(default_factory=IdTable)
    known: list[str] = field(default_factory=list)
    stuff: set[str] = field(default_factory=set)
    damaged: list[InvalidRow] = field(default_factory=list)

    def label(self, record: Json) -> str:
        """Return the class name of an annotation. Raises ``ValueError`` if it has none."""
        if not isinstance(record, dict):
            raise ValueError(f"expected an annotation, got {record!r:.40}")
        id = record.get("category_id")
        name = self.by_id.find(id)
        if name is not None:
            return name
        if self.known:
            raise ValueError(f"no category has its category_id {id!r:.40}")
        return "" if id is None else str(id)


def parse_categories(records: list[Any], path: str) -> Categories:
    """Return the class names of the COCO file ``path``."""
    categories = Categories()
    for number, record in enumerate(records, 1):
        try:
            id, name = _check_id(record), str(record["name"])
            if categories.by_id.find(id) not in (None, name):
                raise ValueError(f"two categories have the id {id!s:.80}; make ids unique")
        except PARSE_ERRORS as error:
            where = f"{path}: category {record_name(record, number):.80}"
            categories.damaged.append(InvalidRow(where, one_line(error)))
            continue
        categories.by_id.add(id, name)
        categories.known.append(name)
        if not record.get("isthing", 1):
            categories.stuff.add(name)
    return categories


# --- shapes -----------------------------------------------------------------------------------


def parse_bbox(bbox: Any) -> BoxSides | None:
    """Return (x0, y0, x1, y1) of a bbox x, y, width, height; None if it has no area."""
    if not bbox:
        return None
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise ValueError(f"expected a bbox x, y, width, height, got {bbox!r:.60}")
    x, y, w, h = (parse_number(value, "a bbox") for value in bbox)
    return (x, y, x + w, y + h) if w > 0 and h > 0 else None


def parse_segmentation(value: Any, photo_size: Size | None) -> Json | None:
    """Return a segmentation as the prompt of ``EditItem.request``; None if it has no area."""
    if not value:
        return None
    if isinstance(value, dict):
        _check_size(check_run_lengths(value), photo_size)
        return {"rle": {key: value[key] for key in ("size", "counts")}}
    if not isinstance(value, list):
        raise ValueError(f"expected polygons or run lengths as segmentation, got {value!r:.40}")
    parts = value if all(isinstance(part, list) for part in value) else [value]
    polygons = [polygon for part in parts if (polygon := _parse_polygon(part))]
    return {"polygons": polygons} if polygons else None


def parse_area(value: Any, box: BoxSides | None) -> float | None:
    """Return the area in square pixels: that of the box if it is not given, None if unknown."""
    if value is None:
        return (box[2] - box[0]) * (box[3] - box[1]) if box else None
    try:
        area = float(value)
    except (TypeError, ValueError):
        return None
    return area if isfinite(area) and area >= 0 else None


def _check_size(size: Size, photo_size: Size | None) -> None:
    """Raise ``ValueError`` if the shape of a mask is not that of the photo, upright or turned."""
    if (
        photo_size
        and not is_same_shape(size, photo_size)
        and not is_same_shape(size[::-1], photo_size)
    ):
        (height, width), (h, w) = size, photo_size
        raise ValueError(f"the mask is {width}x{height}, expected the declared size {w}x{h}")


def _parse_polygon(values: list[Any]) -> list[float]:
    """Return a polygon ``[x, y, x, y, ...]``, empty if it has fewer than three points."""
    corners = parse_corners(values)
    if len(set(corners)) < 3:
        return []
    if all(type(value) in (int, float) for value in values):
        return values
    return [value for corner in corners for value in corner]
