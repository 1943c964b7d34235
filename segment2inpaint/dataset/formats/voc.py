"""Pascal VOC annotations: prompts in, and annotations without removed objects out.

The format is that of the Pascal VOC challenge: ``Annotations/NAME.xml`` has the boxes of
``JPEGImages/NAME.jpg``, ``SegmentationObject/NAME.png`` the masks of the same objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import degrees
from xml.etree import ElementTree

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats import shapes, voc_masks
from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.records import (
    RECORD_ERRORS,
    AnnotationSelector,
    Record,
    one_line,
    to_annotation,
)
from segment2inpaint.dataset.formats.shapes import BoxSides, PhotoSize, Shape, parse_number
from segment2inpaint.dataset.formats.voc_files import CLASS_FOLDER, OBJECT_FOLDER, VocFiles
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.dataset.text_files import decode_text
from segment2inpaint.errors import BadDataset, BadImage
from segment2inpaint.types import BinaryMask

PARSE_ERRORS = (*RECORD_ERRORS, BadDataset, BadImage)
SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class VocSource:
    """The photos of a Pascal VOC folder; ``path`` is the folder."""

    path: str
    base: Json
    annotation_filter: AnnotationFilter
    kind = "voc"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each annotated photo, sorted by name.

        Raises ``BadDataset`` if there are no annotation files.
        """
        files = VocFiles(self.path)
        if not files.annotations:
            raise BadDataset(f"{self.path}: no annotation files (.xml) in it; check the path")
        selector = AnnotationSelector(self.annotation_filter, self.base)
        for name in files.annotations:
            try:
                annotation = _read(self.path, name)
                photo = files.photo(name, annotation.filename)
                masks = _masks(annotation, files, photo)
                records = list(_records(annotation, masks, selector))
            except PARSE_ERRORS as error:
                yield InvalidRow(name, one_line(error).removeprefix(f"{name}: "))
                continue
            path = storage.join(self.path, photo)
            yield from selector.items(path, output_name(photo), records, name)
        yield from selector.unmatched(self.path)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each file without removed objects, otherwise byte for byte, and the image sets."""
        files = VocFiles(self.path)
        for name in files.annotations:
            raw = storage.read(storage.join(self.path, name))
            ids = [id for id in removed_ids if id.startswith(f"{name}#")]
            yield name, _without_objects(raw, name, ids)
            yield from self._remaining_masks(files, name, ids)
        for name in files.lists:
            yield name, storage.read(storage.join(self.path, name))

    def _remaining_masks(
        self, files: VocFiles, name: str, removed_ids: list[str]
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the segmentations of a photo, without the pixels of removed objects."""
        try:
            annotation = _read(self.path, name)
            photo = files.photo(name, annotation.filename)
            masks = _masks(annotation, files, photo)
        except PARSE_ERRORS:
            return
        removed = [int(id.rpartition("#")[2]) for id in removed_ids if masks]
        for kind in (OBJECT_FOLDER, CLASS_FOLDER):
            png = files.mask(name, photo, kind)
            if not png:
                continue
            raw = storage.read(storage.join(self.path, png))
            if removed and kind == OBJECT_FOLDER:
                raw = voc_masks.renumber_objects(raw, len(annotation.objects), removed)
            for number in removed if kind == CLASS_FOLDER else ():
                raw = voc_masks.erase(raw, masks[number]) if number in masks else raw
            yield png, raw


# --- annotation files -------------------------------------------------------------------------


@dataclass(frozen=True)
class _VocAnnotation:
    """An annotation file: its name, its XML, and the size that it declares for the photo."""

    folder: str
    name: str
    root: ElementTree.Element
    photo_size: PhotoSize | None

    @property
    def filename(self) -> str:
        """The name of the photo, empty if there is none."""
        return (self.root.findtext("filename") or "").strip()

    @property
    def objects(self) -> list[ElementTree.Element]:
        return self.root.findall("object")


def _read(folder: str, name: str) -> _VocAnnotation:
    """Return an annotation file. Raises ``PARSE_ERRORS``."""
    root = _parse(storage.read(storage.join(folder, name)), name)
    height, width = ((root.findtext(f"size/{n}") or "").strip() for n in ("height", "width"))
    return _VocAnnotation(folder, name, root, shapes.parse_photo_size(height, width))


def _parse(raw: bytes, name: str) -> ElementTree.Element:
    """Return the root of an annotation file. Raises ``BadDataset``."""
    text = decode_text(raw, name)
    if "<!ENTITY" in text:  # a small file may expand to gigabytes
        raise BadDataset(f"{name}: it declares XML entities, which are not read; remove them")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise BadDataset(f"{name}: not XML: {error}") from error
    if root.tag != "annotation":
        raise BadDataset(f"{name}: expected <annotation>, got <{root.tag!s:.40}>")
    return root


def _without_objects(raw: bytes, name: str, removed_ids: list[str]) -> bytes:
    if not removed_ids:
        return raw
    root = _parse(raw, name)
    for number, record in enumerate(root.findall("object"), 1):
        if f"{name}#{number}" in removed_ids:
            root.remove(record)
    return ElementTree.tostring(root)


# --- objects ----------------------------------------------------------------------------------


def _records(
    annotation: _VocAnnotation, masks: Mapping[int, BinaryMask], selector: AnnotationSelector
) -> Iterator[Record]:
    """Yield the objects that may be selected, and those of them that are damaged."""
    for number, record in enumerate(annotation.objects, 1):
        id, where = f"{annotation.name}#{number}", f"{annotation.name}: object {number}"
        label = record.findtext("name") or ""
        if not selector.is_selected(label, id):
            continue
        try:
            shape = _parse_shape(record)
            if number in masks and not shape.prompt:
                shape = replace(shape, prompt=shapes.photo_mask(masks[number]).prompt)
            yield to_annotation(shape, id, label, where, annotation.photo_size)
        except PARSE_ERRORS as error:
            yield InvalidRow(where, one_line(error))


def _masks(annotation: _VocAnnotation, files: VocFiles, photo: str) -> dict[int, BinaryMask]:
    """Return the masks of objects by number; none if there is no segmentation."""
    png = files.mask(annotation.name, photo, OBJECT_FOLDER)
    if not png:
        return {}
    boxes: dict[int, BoxSides] = {}
    for number, record in enumerate(annotation.objects, 1):
        try:
            boxes[number] = _parse_shape(record).box
        except PARSE_ERRORS:
            continue
    return voc_masks.object_masks(storage.join(annotation.folder, png), boxes)


def _parse_shape(record: ElementTree.Element) -> Shape:
    """Return the box of an object, or its outline if it has one. Raises ``ValueError``."""
    box, rotated = record.find("bndbox"), record.find("robndbox")
    outline = record.find("polygon")
    if outline is not None and len(outline):
        return shapes.polygon(_parse_outline(outline))
    if box is not None:
        return shapes.upright_box(_parse_box(box))
    if rotated is not None:
        return _parse_rotated_box(rotated)
    raise ValueError("expected a bndbox of four numbers, got none")


def _parse_box(box: ElementTree.Element) -> BoxSides:
    """Return a box in photo pixels; VOC counts from 1 and includes both ends."""
    xmin, ymin, xmax, ymax = (_number(box, name) for name in SIDES)
    return xmin - 1, ymin - 1, xmax, ymax


def _parse_rotated_box(box: ElementTree.Element) -> Shape:
    """Return a box as roLabelImg writes it: its centre, size, and angle in radians."""
    x, y, w, h, angle = (_number(box, name) for name in ("cx", "cy", "w", "h", "angle"))
    sides = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    return shapes.rotated_box(sides, degrees(angle), (x, y))


def _parse_outline(outline: ElementTree.Element) -> list[shapes.Corner]:
    """Return the points of ``<pt><x>1</x><y>2</y></pt>`` or of ``<x1>1</x1><y1>2</y1>``."""
    points = outline.findall("pt")
    if points:
        return [(_number(point, "x"), _number(point, "y")) for point in points]
    count = len(outline) // 2
    return [(_number(outline, f"x{i}"), _number(outline, f"y{i}")) for i in range(1, count + 1)]


def _number(element: ElementTree.Element, name: str) -> float:
    return parse_number(element.findtext(name), name)
