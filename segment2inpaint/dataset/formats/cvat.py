"""CVAT annotations: prompts in, and annotations without removed objects out.

The format is "CVAT for images 1.1", https://docs.cvat.ai/docs/other/xml_format: an XML file
next to a folder ``images``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats import shapes
from segment2inpaint.dataset.formats.annotation_files import AnnotationFiles
from segment2inpaint.dataset.formats.photo_files import PhotoFinder
from segment2inpaint.dataset.formats.records import (
    RECORD_ERRORS,
    AnnotationSelector,
    Record,
    one_line,
    to_annotation,
)
from segment2inpaint.dataset.formats.shapes import PhotoSize, Shape, parse_number
from segment2inpaint.dataset.run_types import EditItem, InvalidRow
from segment2inpaint.dataset.text_files import decode_text
from segment2inpaint.errors import BadDataset, BadImage

Attributes = Mapping[str, str]

SUFFIX = ".xml"
READ_SHAPES = ("box", "polygon", "mask", "ellipse")
OTHER_SHAPES = ("polyline", "points", "cuboid", "skeleton")  # they have no area
DETECTION_SAMPLE = 50  # XML files of a folder that are read to detect the format
TRACK_HINT = "export the task as 'CVAT for images 1.1', which has the objects of each frame"


@dataclass(frozen=True)
class CvatSource(AnnotationFiles):
    """The photos of a CVAT XML file."""

    kind = "cvat"
    suffixes = (SUFFIX,)

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each photo, in the order of the file.

        Raises ``BadDataset`` if the file cannot be read.
        """
        selector = AnnotationSelector(self.annotation_filter, self.base)
        finder = self.finder()
        for name in self.file_names():
            try:
                document = parse(self.read(name), name)
            except BadDataset:
                if self.path.endswith(name):
                    raise
                continue  # an XML file of something else in the folder
            selector.categories = [*selector.categories, *_categories(document)]
            yield from self._file_items(document, name, selector, finder)
        yield from selector.unmatched(self.path)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each file without the removed objects, otherwise byte for byte."""
        for name in self.file_names():
            raw = self.read(name)
            try:
                yield name, _remove_objects(raw, name, removed_ids)
            except BadDataset:
                continue

    def file_names(self) -> list[str]:
        """Return the name of the file, or of the XML files at the top of the folder."""
        return [name for name in super().file_names() if _is_top_xml(name)]

    def _file_items(
        self,
        document: ElementTree.Element,
        name: str,
        selector: AnnotationSelector,
        finder: PhotoFinder,
    ) -> Iterator[EditItem | InvalidRow]:
        tracks = document.findall("track")
        if tracks:
            yield InvalidRow(name, f"{len(tracks)} tracks of a video cannot be read; {TRACK_HINT}")
        for number, image in enumerate(document.findall("image"), 1):
            where = _image_name(image, name, number)
            try:
                photo = finder.find(image.attrib["name"])
                size = shapes.parse_photo_size(image.get("height"), image.get("width"))
            except RECORD_ERRORS as error:
                yield InvalidRow(where, one_line(error))
                continue
            output = self.output_of(photo)
            yield from selector.items(photo, output, _records(image, where, size, selector), where)


def parse(raw: bytes, name: str) -> ElementTree.Element:
    """Return the content of a CVAT XML file. Raises ``BadDataset`` if it is something else."""
    try:
        document = ElementTree.fromstring(decode_text(raw, name))
    except (ElementTree.ParseError, ValueError) as error:
        raise BadDataset(f"{name}: not XML: {one_line(ValueError(str(error)))}") from error
    if document.tag != "annotations":
        raise BadDataset(f"{name}: expected <annotations> of CVAT, got <{document.tag:.40}>")
    return document


def is_cvat(path: str) -> bool:
    """Return whether a file holds CVAT annotations."""
    try:
        parse(storage.read(path), path)
    except (BadDataset, BadImage):
        return False
    return True


def holds_cvat(folder: str, names: Sequence[str]) -> bool:
    """Return whether a folder with these files holds CVAT annotations."""
    files = list(filter(_is_top_xml, names))[:DETECTION_SAMPLE]
    return any(is_cvat(storage.join(folder, name)) for name in files)


# --- objects ----------------------------------------------------------------------------------


def _records(
    image: ElementTree.Element, where: str, size: PhotoSize | None, selector: AnnotationSelector
) -> list[Record]:
    """Return the shapes of a photo that may be selected, and those of them that are invalid."""
    records: list[Record] = []
    for number, element in _shape_elements(image):
        place, id = f"{where}: shape {number}", _object_id(where, number)
        label = element.get("label", "")
        if not selector.is_selected(label, id):
            continue
        try:
            shape = _parse_shape(element.tag, element.attrib, size)
        except RECORD_ERRORS as error:
            records.append(InvalidRow(place, one_line(error)))
        else:
            records.append(to_annotation(shape, id, label, place, size))
    return records


def _parse_shape(kind: str, attributes: Attributes, size: PhotoSize | None) -> Shape:
    if kind == "box":
        x0, y0, x1, y1 = _numbers(attributes, "xtl", "ytl", "xbr", "ybr")
        center = ((x0 + x1) / 2, (y0 + y1) / 2)
        return shapes.rotated_box((x0, y0, x1, y1), _rotation(attributes), center)
    if kind == "polygon":
        return shapes.polygon(_corners(attributes["points"]))
    if kind == "ellipse":
        x, y, radius_x, radius_y = _numbers(attributes, "cx", "cy", "rx", "ry")
        return shapes.ellipse((x, y), radius_x, radius_y, _rotation(attributes))
    if kind == "mask":
        return _mask(attributes, size)
    raise ValueError(f"a {kind:.20} has no area; expected {', '.join(READ_SHAPES)}")


def _mask(attributes: Attributes, size: PhotoSize | None) -> Shape:
    """Return the mask of run lengths, row by row in its box, zeros first."""
    left, top, width, height = _numbers(attributes, "left", "top", "width", "height")
    counts = [int(part) for part in attributes["rle"].split(",")]
    pixels = int(width) * int(height)
    if not 0 < pixels <= shapes.MAX_PIXELS or min(counts) < 0 or sum(counts) != pixels:
        raise ValueError(
            f"the run lengths of the mask have {sum(counts)} pixels in total, expected "
            f"{width:g}x{height:g} = {pixels}"
        )
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return shapes.patch_mask(values.reshape(int(height), int(width)), (left, top), size)


def _numbers(attributes: Attributes, *names: str) -> list[float]:
    return [parse_number(attributes[name], name) for name in names]


def _rotation(attributes: Attributes) -> float:
    return parse_number(attributes.get("rotation") or 0, "rotation")


def _corners(points: str) -> list[shapes.Corner]:
    pairs = [pair.split(",") for pair in points.split(";") if pair.strip()]
    return shapes.parse_corners(pairs)


# --- the document -----------------------------------------------------------------------------


def _is_top_xml(name: str) -> bool:
    return "/" not in name and name.lower().endswith(SUFFIX)


def _image_name(image: ElementTree.Element, name: str, number: int) -> str:
    return image.get("name") or f"{name}: image {number}"


def _object_id(image: str, number: int) -> str:
    return f"{image}#{number}"


def _shape_elements(image: ElementTree.Element) -> list[tuple[int, ElementTree.Element]]:
    """Return the shapes of an image, numbered from 1."""
    elements = [child for child in image if child.tag in (*READ_SHAPES, *OTHER_SHAPES)]
    return list(enumerate(elements, 1))


def _categories(document: ElementTree.Element) -> list[str]:
    """Return the labels that the file declares."""
    names = (label.findtext("name") for label in document.iterfind("meta//labels/label"))
    return [re.sub(r"\s+", " ", name).strip() for name in names if name]


def _remove_objects(raw: bytes, name: str, removed_ids: set[str]) -> bytes:
    document = parse(raw, name)
    removed = [
        (image, element)
        for number, image in enumerate(document.findall("image"), 1)
        for index, element in _shape_elements(image)
        if _object_id(_image_name(image, name, number), index) in removed_ids
    ]
    for image, element in removed:
        image.remove(element)
    data: bytes = ElementTree.tostring(document, encoding="utf-8", xml_declaration=True)
    return data if removed else raw
