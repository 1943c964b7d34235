"""What kind of dataset a path is, and the reader for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats import labelme, voc, yolo
from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.coco import CocoSource
from segment2inpaint.dataset.formats.folder import FolderSource
from segment2inpaint.dataset.formats.shards import TABLES, ParquetSource, WebDatasetSource
from segment2inpaint.dataset.formats.table import TableSource
from segment2inpaint.dataset.names import is_photo
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset, BadImage

FORMATS = ("auto", "folder", "rows", "coco", "yolo", "voc", "labelme", "hf", "webdataset")
ALL = AnnotationFilter()
ANNOTATED = ("coco", "yolo", "voc", "labelme", "hf")


class Source(Protocol):
    """Where the objects come from. ``items`` may be read more than once."""

    @property
    def kind(self) -> str: ...

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Each object asked for, in an order that does not vary."""
        ...

    def updated(self, gone: set[str]) -> Iterator[tuple[str, bytes]]:
        """The annotations' files, names relative, without the objects whose id is ``gone``."""
        ...


def open_source(
    path: str,
    base: Json,
    *,
    format: str = "auto",
    pick: AnnotationFilter = ALL,
    root: str | None = None,
    globs: Sequence[str] = (),
    out: str = "",
) -> Source:
    """The reader for a file or folder; ``base`` is what a row leaves open.

    ``root`` is where photos' names start, by default where the file says or is. ``out`` is
    left out of a folder that it lies in. Raises ``BadDataset``.
    """
    if not storage.is_folder(path) and storage.size(path) < 0:
        raise BadDataset(f"{path}: no such file or folder, expected photos or annotations")
    path = path if storage.is_remote(path) else os.path.abspath(path)
    kind = kind_of(path, base) if format == "auto" else format
    if globs and kind != "folder":
        raise BadDataset(f"{path}: is read as {kind}, --glob chooses in a folder of photos")
    if pick != ALL and kind not in ANNOTATED:
        raise BadDataset(f"{path}: is read as {kind}, which has no annotations to pick from")
    if base["prompts"] and kind in ANNOTATED and kind != "hf":
        raise BadDataset(f"{path}: is read as {kind}, its annotations are the prompts; give none")
    if not base["prompts"] and kind == "folder":
        raise BadDataset(f"{path}: photos without annotations need a prompt that holds for all")
    match kind:
        case "rows":
            return TableSource(path, os.path.abspath(root) if root else os.path.dirname(path), base)
        case "coco":
            return CocoSource(path, base, pick, os.path.abspath(root) if root else None)
        case "yolo":
            return yolo.YoloSource(path, base, pick)
        case "voc":
            return voc.VocSource(path, base, pick)
        case "labelme":
            return labelme.LabelMeSource(path, base, pick)
        case "hf":
            return ParquetSource(path, base, pick)
        case "webdataset":
            return WebDatasetSource(path, base)
    return FolderSource(path, base, globs, _inside(out, path))


def kind_of(path: str, base: Json) -> str:
    """The format of a file by its name, of a folder by what is in it. Raises ``BadDataset``.

    A folder for which there are prompts is a folder of photos, whatever labels lie in it.
    """
    if not storage.is_folder(path):
        return _kind_of_file(path)
    names = storage.walk(path)
    photos = any(is_photo(name) for name in names)
    if not photos and any(name.endswith(".tar") for name in names):
        return "webdataset"
    if not photos and any(name.endswith(TABLES) for name in names):
        return "hf"
    if base["prompts"]:
        return "folder"
    tops = {name.partition("/")[0] for name in names}
    if {voc.NOTES, voc.PHOTOS} <= tops:
        return "voc"
    if tops & set(yolo.YAMLS) or {"images", "labels"} <= tops:
        return "yolo"
    notes = [name for name in names if name.endswith(".json")]
    if notes and _is_labelme(storage.join(path, notes[0])):
        return "labelme"
    return "folder"


def _kind_of_file(path: str) -> str:
    end = os.path.splitext(path)[1].lower()
    kinds = {".jsonl": "rows", ".ndjson": "rows", ".csv": "rows", ".json": "coco",
             ".yaml": "yolo", ".yml": "yolo", ".tar": "webdataset"}  # fmt: skip
    if end not in kinds:
        raise BadDataset(
            f"{path}: expected a folder, .jsonl, .csv, COCO .json, YOLO .yaml or .tar; "
            "for one photo there is `segment2inpaint remove`"
        )
    return kinds[end]


def _is_labelme(path: str) -> bool:
    try:
        labelme.parsed(storage.read(path))
    except (ValueError, KeyError, TypeError, BadImage):
        return False
    return True


def _inside(out: str, folder: str) -> str:
    """The output folder relative to the source, if it lies in it."""
    if not out or storage.is_remote(out) or storage.is_remote(folder):
        return ""
    relative = os.path.relpath(os.path.realpath(out), os.path.realpath(folder))
    return "" if relative.startswith("..") or relative == "." else relative.replace(os.sep, "/")
