"""Pascal VOC boxes: ``JPEGImages/`` and ``Annotations/`` with an XML file for each photo.

The corners of a box count from 1 and belong to it, as in the VOC data sets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from xml.etree import ElementTree

from segment2inpaint.dataset.annotations_out.dataset_folder import DatasetFolder
from segment2inpaint.dataset.annotations_out.objects import AnnotatedPhoto, RecordedObject
from segment2inpaint.dataset.names import printable

PHOTO_FOLDER = "JPEGImages"
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(
    folder: DatasetFolder, photos: Callable[[], Iterator[AnnotatedPhoto]], classes: Sequence[str]
) -> None:
    """Write the dataset; VOC has no list of classes."""
    for photo in photos():
        name = folder.photo_name(photo.photo, photo.output)
        folder.add_photo(photo.photo, name, f"{PHOTO_FOLDER}/")
        xml = PurePosixPath("Annotations", name).with_suffix(".xml")
        folder.write(str(xml), _encode(photo, name))


def _encode(photo: AnnotatedPhoto, name: str) -> bytes:
    root = ElementTree.Element("annotation")
    _add(root, "folder", str(PurePosixPath(PHOTO_FOLDER, name).parent))
    _add(root, "filename", PurePosixPath(name).name)
    _add(ElementTree.SubElement(root, "source"), "database", "Unknown")
    size = ElementTree.SubElement(root, "size")
    for key, value in (("width", photo.size[1]), ("height", photo.size[0]), ("depth", 3)):
        _add(size, key, value)
    _add(root, "segmented", 0)
    for each in photo.objects:
        _add_object(root, each)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8")) + b"\n"


def _add_object(root: ElementTree.Element, each: RecordedObject) -> None:
    """Add an object; a crowd is marked as difficult, which evaluations leave out."""
    node = ElementTree.SubElement(root, "object")
    fields = (("name", each.label), ("pose", "Unspecified"), ("truncated", 0),
              ("difficult", int(each.is_crowd)))  # fmt: skip
    for key, value in fields:
        _add(node, key, value)
    x0, y0, x1, y1 = each.box
    corners = ElementTree.SubElement(node, "bndbox")
    for key, value in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
        _add(corners, key, value)


def _add(parent: ElementTree.Element, key: str, value: str | int) -> None:
    ElementTree.SubElement(parent, key).text = NOT_XML.sub("?", printable(str(value)))
