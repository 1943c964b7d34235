"""LabelMe annotations: prompts in, and annotations without removed objects out.

The format is that of https://github.com/wkentaro/labelme, one JSON file for each photo, and of
X-AnyLabeling, which adds rotated rectangles.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from segment2inpaint import images
from segment2inpaint.dataset.formats import shapes
from segment2inpaint.dataset.formats.annotation_files import AnnotationFiles
from segment2inpaint.dataset.formats.annotations import Annotation
from segment2inpaint.dataset.formats.photo_files import output_place
from segment2inpaint.dataset.formats.records import (
    RECORD_ERRORS,
    AnnotationSelector,
    Record,
    one_line,
    parse_json,
    to_annotation,
)
from segment2inpaint.dataset.formats.shapes import PhotoSize, Shape
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset, BadImage

MASK_THRESHOLD = 0  # a pixel of a mask is in the object above it
READ_TYPES = "polygon, rectangle, rotation, circle, mask or point"


@dataclass(frozen=True)
class LabelMeSource(AnnotationFiles):
    """The photos of LabelMe files."""

    kind = "labelme"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each annotated photo, sorted by file name."""
        selector = AnnotationSelector(self.annotation_filter, self.base)
        finder = self.finder()
        for name in self.file_names():
            try:
                data = parse(self.read(name), name)
                photo = finder.find(data["imagePath"], str(PurePosixPath(name).parent))
                size = shapes.parse_photo_size(data.get("imageHeight"), data.get("imageWidth"))
            except (*RECORD_ERRORS, BadDataset, BadImage) as error:
                yield InvalidRow(name, one_line(error).removeprefix(f"{name}: "))
                continue
            output = self.output_of(photo)
            yield from selector.items(photo, output, _records(data, name, size, selector), name)
        yield from selector.unmatched(self.path)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each file without the removed shapes, otherwise byte for byte.

        A changed file also loses its copy of the photo (``imageData``), which would still show
        the removed object.
        """
        finder = self.finder()
        for name in self.file_names():
            try:
                raw = self.read(name)
                data = parse(raw, name)
                photo = finder.find(data["imagePath"], str(PurePosixPath(name).parent))
            except (ValueError, BadDataset, BadImage):
                continue
            output, folder = output_place(photo, self.folder)
            file = str(PurePosixPath(folder, name))
            yield file, _remove_shapes(raw, data, name, removed_ids, _path_from(file, output))


def parse(raw: bytes, name: str) -> Json:
    """Return the content of a LabelMe file. Raises ``BadDataset`` if it is something else."""
    data: Json = parse_json(raw, name)
    keys = ("shapes", list, "a list"), ("imagePath", str, "a file name")
    for key, kind, expected in keys:
        if not isinstance(data, dict) or not isinstance(data.get(key), kind):
            got = data.get(key) if isinstance(data, dict) else data
            raise BadDataset(
                f"{name}: not a LabelMe file: expected {key} to be {expected}, got {got!r:.40}"
            )
    return data


# --- shapes -----------------------------------------------------------------------------------


def _records(
    data: Json, name: str, size: PhotoSize | None, selector: AnnotationSelector
) -> list[Record]:
    """Return the shapes of a file that may be selected, and those of them that are invalid."""
    records: list[Record] = []
    for number, shape in enumerate(data["shapes"], 1):
        where, id = f"{name}: shape {number}", f"{name}#{number}"
        label = _label(shape)
        if not selector.is_selected(label, id):
            continue
        try:
            records.append(_annotation(shape, id, label, where, size))
        except (*RECORD_ERRORS, BadImage) as error:
            records.append(InvalidRow(where, one_line(error)))
    return records


def _label(shape: Any) -> str:
    label = shape.get("label") if isinstance(shape, dict) else None
    return "" if label is None else str(label)


def _annotation(shape: Json, id: str, label: str, where: str, size: PhotoSize | None) -> Annotation:
    kind = shape.get("shape_type") or "polygon"
    corners = shapes.parse_corners(shape["points"])
    if kind in ("point", "points"):
        return _points_annotation(corners, id, label, where, size)
    return to_annotation(_parse_shape(kind, corners, shape, size), id, label, where, size)


def _points_annotation(
    corners: list[shapes.Corner], id: str, label: str, where: str, size: PhotoSize | None
) -> Annotation:
    """Return an object that is found from clicks on it."""
    if not corners:
        raise ValueError("expected a point, got none")
    clicks = {"points": {"include": [[int(x), int(y)] for x, y in corners]}}
    return Annotation(id, label, where, None, clicks, area=0.0, photo_size=size)


def _parse_shape(
    kind: str, corners: list[shapes.Corner], shape: Json, size: PhotoSize | None
) -> Shape:
    if kind == "polygon":
        return shapes.polygon(corners)
    if kind in ("rectangle", "rotation", "quadrilateral"):
        return shapes.rectangle(corners)
    if kind == "circle":
        if len(corners) != 2:
            raise ValueError(f"a circle needs its centre and a point, got {len(corners)} points")
        return shapes.circle(*corners)
    if kind == "mask":
        return _mask(corners, shape, size)
    raise ValueError(f"a {kind!s:.20} has no area; expected {READ_TYPES}")


def _mask(corners: list[shapes.Corner], shape: Json, size: PhotoSize | None) -> Shape:
    """Return the mask in a PNG, whose top left corner is the first point."""
    try:
        data = base64.b64decode(shape["mask"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise ValueError(
            f"expected a mask as a PNG in base64, got {shape['mask']!r:.40}"
        ) from error
    patch = images.read(data, name="mask").image[..., 0] > MASK_THRESHOLD
    return shapes.patch_mask(patch, corners[0], size)


# --- writing ----------------------------------------------------------------------------------


def _remove_shapes(raw: bytes, data: Json, name: str, removed_ids: set[str], photo: str) -> bytes:
    """Return a file without removed shapes; ``photo`` is the path of the result from there."""
    remaining = [s for n, s in enumerate(data["shapes"], 1) if f"{name}#{n}" not in removed_ids]
    if len(remaining) == len(data["shapes"]):
        return raw
    changed = {**data, "shapes": remaining, "imageData": None, "imagePath": photo}
    return json.dumps(changed, indent=2).encode()


def _path_from(file: str, photo: str) -> str:
    return os.path.relpath(photo, os.path.dirname(file) or ".").replace(os.sep, "/")
