"""Pascal VOC boxes as prompts, and without what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from xml.etree import ElementTree

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, items_of
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset

NOTES, PHOTOS, LISTS = "Annotations", "JPEGImages", "ImageSets"


@dataclass(frozen=True)
class VocSource:
    """``path`` is the folder with ``Annotations`` and ``JPEGImages``."""

    path: str
    base: Json
    pick: AnnotationFilter
    kind = "voc"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """The chosen objects of each annotated photo, sorted by name. Raises ``BadDataset``."""
        known: set[str] = set()
        for name in self._notes():
            where = f"{NOTES}/{name}"
            try:
                root = _tree(storage.read(storage.join(self.path, where)), where)
                found = _found(root, where)
            except BadDataset as error:
                yield InvalidRow(where, str(error).partition(": ")[2])
                continue
            known.update(one.label for one in found)
            photo = f"{PHOTOS}/{_photo(root, name)}"
            source = storage.join(self.path, photo)
            yield from items_of(source, output_name(photo), found, self.pick, self.base, where)
        self.pick.check(sorted(known), self.path)

    def updated(self, gone: set[str]) -> Iterator[tuple[str, bytes]]:
        """Each file without the objects in ``gone``, else byte for byte; and the lists."""
        for name in self._notes():
            where = f"{NOTES}/{name}"
            raw = storage.read(storage.join(self.path, where))
            yield where, _without(raw, where, gone)
        lists = storage.join(self.path, LISTS)
        if storage.is_folder(lists):
            for name in storage.walk(lists):
                yield f"{LISTS}/{name}", storage.read(storage.join(lists, name))

    def _notes(self) -> list[str]:
        return [n for n in storage.walk(storage.join(self.path, NOTES)) if n.endswith(".xml")]


def _tree(raw: bytes, where: str) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        raise BadDataset(f"{where}: not XML: {error}") from error
    if root.tag != "annotation":
        raise BadDataset(f"{where}: expected <annotation>, got <{root.tag}>")
    return root


def _found(root: ElementTree.Element, where: str) -> list[Annotation]:
    pixels = float(root.findtext("size/width") or 0) * float(root.findtext("size/height") or 0)
    found = []
    for number, one in enumerate(root.findall("object"), 1):
        try:
            x0, y0, x1, y1 = (
                float(one.findtext(f"bndbox/{end}") or "")
                for end in ("xmin", "ymin", "xmax", "ymax")
            )
        except ValueError:
            raise BadDataset(f"{where}: object {number} has no bndbox of four numbers") from None
        # VOC counts pixels from 1, both ends belong to the object
        box = (x0 - 1, y0 - 1, x1, y1)
        area = (x1 - x0 + 1) * (y1 - y0 + 1)
        found.append(
            Annotation(
                id=f"{where}#{number}",
                label=one.findtext("name") or "",
                where=f"{where}: object {number}",
                box=box,
                area=area,
                share=area / pixels if pixels else None,
            )
        )
    return found


def _photo(root: ElementTree.Element, name: str) -> str:
    return root.findtext("filename") or str(PurePosixPath(name).with_suffix(".jpg"))


def _without(raw: bytes, where: str, gone: set[str]) -> bytes:
    try:
        root = _tree(raw, where)
    except BadDataset:
        return raw
    lost = [o for n, o in enumerate(root.findall("object"), 1) if f"{where}#{n}" in gone]
    for one in lost:
        root.remove(one)
    return ElementTree.tostring(root) if lost else raw
