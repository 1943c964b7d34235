"""Pascal VOC boxes: prompts in, and annotations without removed objects out.

The format is that of the Pascal VOC challenge: ``Annotations/NAME.xml`` describes
``JPEGImages/NAME.jpg``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from xml.etree import ElementTree

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, edit_items
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset

ANNOTATION_FOLDER = "Annotations"
PHOTO_FOLDER = "JPEGImages"
LIST_FOLDER = "ImageSets"


@dataclass(frozen=True)
class VocSource:
    """The photos of a Pascal VOC folder; ``path`` holds ``Annotations`` and ``JPEGImages``."""

    path: str
    base: Json
    annotation_filter: AnnotationFilter
    kind = "voc"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each annotated photo, sorted by name.

        Raises ``BadDataset``.
        """
        labels: set[str] = set()
        for name in self._annotation_files():
            where = f"{ANNOTATION_FOLDER}/{name}"
            try:
                root = _parse(storage.read(storage.join(self.path, where)), where)
                annotations = _annotations(root, where)
            except BadDataset as error:
                yield InvalidRow(where, str(error).partition(": ")[2])
                continue
            labels.update(annotation.label for annotation in annotations)
            photo = f"{PHOTO_FOLDER}/{_photo_name(root, name)}"
            yield from edit_items(
                storage.join(self.path, photo), output_name(photo), annotations,
                self.annotation_filter, self.base, where,
            )  # fmt: skip
        self.annotation_filter.check_categories(sorted(labels), self.path)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each file without removed objects, otherwise byte for byte, and the image sets."""
        for name in self._annotation_files():
            where = f"{ANNOTATION_FOLDER}/{name}"
            raw = storage.read(storage.join(self.path, where))
            yield where, _remove_objects(raw, where, removed_ids)
        lists = storage.join(self.path, LIST_FOLDER)
        if storage.is_folder(lists):
            for name in storage.list_files(lists):
                yield f"{LIST_FOLDER}/{name}", storage.read(storage.join(lists, name))

    def _annotation_files(self) -> list[str]:
        folder = storage.join(self.path, ANNOTATION_FOLDER)
        return [name for name in storage.list_files(folder) if name.endswith(".xml")]


def _parse(raw: bytes, where: str) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        raise BadDataset(f"{where}: not XML: {error}") from error
    if root.tag != "annotation":
        raise BadDataset(f"{where}: expected <annotation>, got <{root.tag}>")
    return root


def _annotations(root: ElementTree.Element, where: str) -> list[Annotation]:
    pixels = float(root.findtext("size/width") or 0) * float(root.findtext("size/height") or 0)
    annotations = []
    for number, record in enumerate(root.findall("object"), 1):
        xmin, ymin, xmax, ymax = _parse_box(record, number, where)
        area = (xmax - xmin + 1) * (ymax - ymin + 1)
        annotations.append(
            Annotation(
                id=f"{where}#{number}",
                label=record.findtext("name") or "",
                where=f"{where}: object {number}",
                box=(xmin - 1, ymin - 1, xmax, ymax),
                area=area,
                area_fraction=area / pixels if pixels else None,
            )
        )
    return annotations


def _parse_box(record: ElementTree.Element, number: int, where: str) -> tuple[float, ...]:
    """Return (xmin, ymin, xmax, ymax) as VOC counts: from 1, both ends included."""
    try:
        return tuple(
            float(record.findtext(f"bndbox/{name}") or "")
            for name in ("xmin", "ymin", "xmax", "ymax")
        )
    except ValueError:
        raise BadDataset(f"{where}: object {number} has no bndbox of four numbers") from None


def _photo_name(root: ElementTree.Element, name: str) -> str:
    return root.findtext("filename") or str(PurePosixPath(name).with_suffix(".jpg"))


def _remove_objects(raw: bytes, where: str, removed_ids: set[str]) -> bytes:
    try:
        root = _parse(raw, where)
    except BadDataset:
        return raw
    objects = enumerate(root.findall("object"), 1)
    removed = [record for number, record in objects if f"{where}#{number}" in removed_ids]
    for record in removed:
        root.remove(record)
    return ElementTree.tostring(root) if removed else raw
