"""Detect the format of a dataset: of a file from its name and content, of a folder from both."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats import (
    cvat,
    label_studio,
    via,
    voc_files,
    yolo,
    yolo_files,
)
from segment2inpaint.dataset.formats.photo_files import source_files
from segment2inpaint.dataset.formats.records import parse_json
from segment2inpaint.dataset.formats.shards import TABLE_SUFFIXES
from segment2inpaint.dataset.names import is_photo
from segment2inpaint.dataset.run_types import Json
from segment2inpaint.errors import BadDataset, BadImage

FORMAT_BY_SUFFIX = {".jsonl": "rows", ".ndjson": "rows", ".csv": "rows", ".tsv": "rows",
                    ".json": "coco", ".yaml": "yolo", ".yml": "yolo", ".xml": "cvat",
                    ".tar": "webdataset", ".parquet": "hf", ".arrow": "hf"}  # fmt: skip
FILE_FORMATS = ("coco", "via")  # formats that are one file even if a folder is given
COCO_KEYS = ("images", "annotations", "categories")
JSON_SAMPLE = 50  # JSON files of a folder that are read to detect their format


def detect_source(path: str, base: Json) -> tuple[str, str]:
    """Return the format of a file or folder, and the path to read.

    That is the annotation file in a folder for formats that are one file. A folder is a folder of
    photos if ``base`` has prompts, whatever labels it holds. Raises ``BadDataset``.
    """
    if not storage.is_folder(path):
        return _format_of_file(path), path
    names = source_files(path)
    kind = _format_of_folder(path, names, has_prompts=bool(base["prompts"]))
    if kind:
        return kind, path
    found = list(_annotation_files(path, names))
    kinds = {kind for _, kind in found}
    if not kinds:
        return "folder", path
    if len(kinds) == 1 and not kinds & set(FILE_FORMATS):
        return kinds.pop(), path
    if len(found) == 1:
        return found[0][1], storage.join(path, found[0][0])
    listed = ", ".join(f"{name} ({kind})" for name, kind in found[:4])
    raise BadDataset(f"{path}: has {len(found)} annotation files, {listed}; give one of them")


def _format_of_folder(path: str, names: Sequence[str], *, has_prompts: bool) -> str:
    """Return the format that the names in a folder show, empty if they show none."""
    has_photos = any(is_photo(name) for name in names)
    if not has_photos and any(name.lower().endswith(".tar") for name in names):
        return "webdataset"
    has_tables = any(name.lower().endswith(TABLE_SUFFIXES) for name in names)
    if has_tables and not (has_photos and has_prompts):  # cells may hold the paths of the photos
        return "hf"
    if has_prompts:
        return "folder"
    if voc_files.holds_voc(path, names):
        return "voc"
    entries = {name.partition("/")[0] for name in names}
    if entries & set(yolo_files.CONFIG_NAMES) or {"images", "labels"} <= entries:
        return "yolo"
    if cvat.holds_cvat(path, names):
        return "cvat"
    return "yolo" if yolo.has_labels(path, names) else ""


def _annotation_files(path: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the annotation files of a folder and their formats, for a sample of its files.

    Only LabelMe and Label Studio have a file for each photo; one of them is enough.
    """
    for name in [name for name in names if name.lower().endswith(".json")][:JSON_SAMPLE]:
        kind = _format_of_json(storage.join(path, name))
        if kind:
            yield name, kind
        if kind and kind not in FILE_FORMATS:
            return
    for name in names:
        file = storage.join(path, name)
        if "/" not in name and name.lower().endswith(".csv") and via.is_via_csv(_header(file)):
            yield name, "via"


def _format_of_file(path: str) -> str:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in FORMAT_BY_SUFFIX:
        raise BadDataset(
            f"{path}: expected a folder, .jsonl, .csv, COCO, Label Studio, VIA or LabelMe .json, "
            "CVAT .xml, YOLO .yaml, .parquet or .tar; for one photo use `segment2inpaint remove`"
        )
    if suffix == ".json":
        return _format_of_json(path) or "coco"
    if suffix == ".csv" and via.is_via_csv(_header(path)):
        return "via"
    return FORMAT_BY_SUFFIX[suffix]


def _header(path: str) -> bytes:
    try:
        return next(storage.read_lines(path), b"")
    except BadImage:
        return b""


def _format_of_json(path: str) -> str:
    """Return the format of a JSON file, empty if it is none that is known."""
    try:
        raw = storage.read(path)
        if all(f'"{key}"'.encode() in raw for key in COCO_KEYS) and b"_via_" not in raw:
            return "coco"  # not parsed, as it may be large
        return _format_of_content(parse_json(raw, path))
    except (BadDataset, BadImage):
        return ""


def _format_of_content(data: Any) -> str:
    if isinstance(data, dict) and isinstance(data.get("shapes"), list) and "imagePath" in data:
        return "labelme"
    if label_studio.is_label_studio(data):
        return "label-studio"
    return "via" if via.is_via(data) else ""
