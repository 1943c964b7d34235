"""The formats of datasets: open the reader for a path."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from segment2inpaint import extras
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.coco import CocoSource
from segment2inpaint.dataset.formats.cvat import CvatSource
from segment2inpaint.dataset.formats.detection import detect_source
from segment2inpaint.dataset.formats.folder import FolderSource
from segment2inpaint.dataset.formats.label_studio import LabelStudioSource
from segment2inpaint.dataset.formats.labelme import LabelMeSource
from segment2inpaint.dataset.formats.shards import ParquetSource, WebDatasetSource
from segment2inpaint.dataset.formats.table import TableSource
from segment2inpaint.dataset.formats.via import ViaSource
from segment2inpaint.dataset.formats.voc import VocSource
from segment2inpaint.dataset.formats.yolo import YoloSource
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset

FORMATS = ("auto", "folder", "rows", "coco", "yolo", "voc", "labelme", "cvat", "label-studio",
           "via", "hf", "webdataset")  # fmt: skip
ANNOTATED_FORMATS = ("coco", "yolo", "voc", "labelme", "cvat", "label-studio", "via", "hf")
ALL_ANNOTATIONS = AnnotationFilter()


class Source(Protocol):
    """A reader of a dataset."""

    @property
    def kind(self) -> str:
        """The format, one of ``FORMATS``."""
        ...

    @property
    def path(self) -> str:
        """The file or folder that is read, for messages."""
        ...

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the objects to edit, in an order that does not vary. It may be called again."""
        ...

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the annotation files without the objects whose ids are in ``removed_ids``.

        Each is a name relative to the output folder, and the content.
        """
        ...


def open_source(
    path: str,
    base: Json,
    *,
    format: str = "auto",
    annotation_filter: AnnotationFilter = ALL_ANNOTATIONS,
    root: str | None = None,
    globs: Sequence[str] = (),
    out: str = "",
) -> Source:
    """Return the reader for a file or folder, a path or a URL.

    ``base`` is the request as JSON that rows and annotations complete. ``root`` is the folder that
    photo names are relative to; None is the default of the format. ``globs`` select photos of a
    folder. An output folder ``out`` inside of the source is not read.

    Raises ``BadDataset`` if the path does not exist or the arguments do not fit its format,
    and ``PackageMissing`` for tables without pyarrow.
    """
    if not storage.is_folder(path) and storage.size(path) < 0:
        raise BadDataset(f"{path}: no such file or folder, expected photos or annotations")
    path = path if storage.is_remote(path) else os.path.abspath(path)
    kind, path = detect_source(path, base) if format == "auto" else (format, path)
    has_filter = annotation_filter != ALL_ANNOTATIONS
    _check_arguments(path, kind, bool(base["prompts"]), bool(globs), has_filter)
    absolute_root = os.path.abspath(root) if root else None
    match kind:
        case "rows":
            return TableSource(path, absolute_root or os.path.dirname(path), base)
        case "coco":
            return CocoSource(path, base, annotation_filter, absolute_root)
        case "yolo":
            return YoloSource(path, base, annotation_filter)
        case "voc":
            return VocSource(path, base, annotation_filter)
        case "labelme":
            return LabelMeSource(path, base, annotation_filter, absolute_root)
        case "cvat":
            return CvatSource(path, base, annotation_filter, absolute_root)
        case "label-studio":
            return LabelStudioSource(path, base, annotation_filter, absolute_root)
        case "via":
            return ViaSource(path, base, annotation_filter, absolute_root)
        case "hf":
            extras.require("parquet", path)
            return ParquetSource(path, base, annotation_filter)
        case "webdataset":
            return WebDatasetSource(path, base)
    return FolderSource(path, base, globs, _relative_output(out, path))


def _check_arguments(
    path: str, kind: str, has_prompts: bool, has_globs: bool, has_filter: bool
) -> None:
    """Raise ``BadDataset`` for arguments that do not fit a format."""
    annotated = kind in ANNOTATED_FORMATS
    if has_globs and kind != "folder":
        raise BadDataset(
            f"{path}: read as {kind}; --glob selects from a folder of photos, leave it out"
        )
    if has_filter and not annotated:
        raise BadDataset(f"{path}: read as {kind}, which has no annotations to select from")
    if has_prompts and annotated and kind != "hf":
        raise BadDataset(
            f"{path}: read as {kind}, whose annotations are the prompts; give no others"
        )
    if not has_prompts and kind == "folder":
        raise BadDataset(f"{path}: photos without annotations need a prompt for all of them")


def _relative_output(out: str, folder: str) -> str:
    """Return the output folder relative to the source, or an empty string if it is outside."""
    if not out or storage.is_remote(out) or storage.is_remote(folder):
        return ""
    relative = os.path.relpath(os.path.realpath(out), os.path.realpath(folder))
    return "" if relative.startswith("..") or relative == "." else relative.replace(os.sep, "/")
