"""COCO panoptic annotations: the segments of a PNG for each photo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.annotations import Annotation
from segment2inpaint.dataset.formats.coco_masks import decode_ids
from segment2inpaint.dataset.formats.coco_records import (
    PARSE_ERRORS,
    Categories,
    CocoImage,
    parse_area,
    parse_bbox,
)
from segment2inpaint.dataset.formats.records import AnnotationSelector, Record, one_line
from segment2inpaint.dataset.names import check_file_name
from segment2inpaint.dataset.run_types import InvalidRow, Json


def is_panoptic(annotations: list[Any]) -> bool:
    """Return whether the annotations are panoptic segmentations rather than instances."""
    return any(isinstance(record, dict) and "segments_info" in record for record in annotations)


def segments(
    record: Json, path: str, image: CocoImage, categories: Categories, selector: AnnotationSelector
) -> Iterator[Record]:
    """Yield the things of a photo, and the stuff (sky, grass) whose category is selected.

    Raises ``PARSE_ERRORS`` if the record itself is damaged.
    """
    name = record["file_name"]
    check_file_name(name, "file_name")
    file = panoptic_png(path, name)
    for segment in list(record["segments_info"]):
        id = _segment_id(name, segment)
        where = f"{name}: segment {id.rpartition('#')[2]:.40}"
        try:
            label = categories.label(segment)
            is_hidden = label in categories.stuff
            if is_hidden and label not in selector.annotation_filter.categories:
                continue
            if selector.is_selected(label, id):
                yield _segment(segment, id, label, where, file, image)
        except PARSE_ERRORS as error:
            yield InvalidRow(where, one_line(error))


def remaining(
    path: str, data: Json, removed_ids: set[str], folder: str
) -> Iterator[tuple[str, bytes]]:
    """Yield each PNG with the pixels of removed segments set to 0 (unlabelled).

    Also deletes the removed segments from ``data``. Damaged records stay as they are.
    """
    for record in data["annotations"]:
        try:
            name, infos = record["file_name"], list(record["segments_info"])
            file = panoptic_png(path, name)
            removed = [s for s in infos if _segment_id(name, s) in removed_ids]
            raw = storage.read(file) if storage.size(file) >= 0 else b""
        except PARSE_ERRORS:
            continue
        if removed:
            record["segments_info"] = [s for s in infos if s not in removed]
            raw = _without_segments(raw, file, [int(s["id"]) for s in removed])
        if raw:
            yield f"{folder}/{name}", raw


def _segment_id(name: str, segment: Any) -> str:
    """Return the id of the object that a segment of the PNG ``name`` is."""
    return f"{name}#{segment.get('id') if isinstance(segment, dict) else segment}"


def panoptic_png(path: str, name: str) -> str:
    """Return the path of a panoptic PNG, in the folder that is named like the JSON file."""
    return storage.join(str(path).removesuffix(".json"), name)


def _segment(
    segment: Json, id: str, label: str, where: str, file: str, image: CocoImage
) -> Annotation:
    box = parse_bbox(segment.get("bbox"))
    return Annotation(
        id=id,
        label=label,
        where=where,
        box=box,
        shape={"segment": {"file": file, "id": int(segment["id"])}},
        area=parse_area(segment.get("area"), box),
        photo_size=image.photo_size,
    )


def _without_segments(raw: bytes, file: str, removed: list[int]) -> bytes:
    png = images.read(raw, name=file)
    mask = np.isin(decode_ids(png.image), removed)
    unlabelled = np.where(mask[..., None], np.uint8(0), png.image)
    return images.encode(png, unlabelled, mask.astype(np.float32))
