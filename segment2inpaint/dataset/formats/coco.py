"""COCO instance and panoptic annotations: prompts in, and annotations without removed objects out.

The formats are those of the COCO data set, https://cocodataset.org/#format-data; masks are decoded
with pycocotools.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, edit_items
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset
from segment2inpaint.types import BinaryMask

Annotations = dict[int, list[Annotation]]
"""The objects of each image, by image id."""


@dataclass(frozen=True)
class CocoSource:
    """The photos of a COCO JSON file.

    ``path`` is the JSON file, ``root`` the folder of the photos; None searches the usual folders
    around the file.
    """

    path: str
    base: Json
    annotation_filter: AnnotationFilter
    root: str | None = None
    kind = "coco"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each photo, sorted by its name. Raises ``BadDataset``."""
        data = load_annotations(self.path)
        root, top = self._folders(data)
        labels = {category["id"]: str(category["name"]) for category in data["categories"]}
        self.annotation_filter.check_categories(list(labels.values()), self.path)
        annotations = self._annotations(data, labels)
        ids = {a.id for objects in annotations.values() for a in objects}
        self.annotation_filter.check_ids(ids, self.path)
        for image in sorted(data["images"], key=lambda image: str(image["file_name"])):
            photo = storage.join(root, image["file_name"])
            output = output_name(_relative_name(photo, top))
            objects = [_with_area_fraction(a, image) for a in annotations.get(image["id"], [])]
            where = f"{self.path}: image {image['id']}"
            yield from edit_items(photo, output, objects, self.annotation_filter, self.base, where)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the files without the records of removed objects, otherwise byte for byte."""
        raw = storage.read(self.path)
        data = load_annotations(self.path)
        _, top = self._folders(data)
        name = _relative_name(self.path, top)
        if ".." in name:
            name = f"annotations/{PurePosixPath(name).name}"
        if is_panoptic(data):
            folder = str(PurePosixPath(name).with_suffix(""))
            yield from _remaining_panoptic(self.path, data, removed_ids, folder)
            changed = bool(removed_ids)
        else:
            remaining = [a for a in data["annotations"] if str(a["id"]) not in removed_ids]
            changed = len(remaining) < len(data["annotations"])
            data["annotations"] = remaining
        yield name, json.dumps(data).encode() if changed else raw

    def _annotations(self, data: Json, labels: dict[int, str]) -> Annotations:
        if is_panoptic(data):
            return _panoptic(data, labels, self.path, self.annotation_filter.categories)
        return _instances(data, labels, self.path)

    def _folders(self, data: Json) -> tuple[str, str]:
        """Return the folder of the photos, and the folder whose layout the output mirrors."""
        home, stem = _folder_and_stem(self.path)
        root = self.root or _find_photo_folder(home, stem, data, self.path)
        parent = os.path.dirname(home.rstrip("/"))
        for top in (home, parent):
            if root == top or root.startswith(top.rstrip("/") + "/"):
                return root, top
        return root, root


def load_annotations(path: str) -> Json:
    """Return the content of a COCO JSON file; pycocotools checks it unless it is panoptic.

    Raises ``BadDataset``.
    """
    try:
        data: Json = json.loads(storage.read(path))
        for key in ("images", "annotations", "categories"):
            if not isinstance(data[key], list):
                raise TypeError(f"{key} is not a list")
        for key, name in (("images", "file_name"), ("categories", "name")):
            for record in data[key]:
                record[name]
        if not is_panoptic(data):
            _index_with_pycocotools(data)
            _check_unique_ids(data, path)
    except (ValueError, KeyError, TypeError) as error:
        raise BadDataset(
            f"{path}: not COCO annotations with images, annotations, categories ({error!r:.80})"
        ) from error
    return data


def is_panoptic(data: Json) -> bool:
    """Return whether a COCO file holds panoptic segmentations rather than instances."""
    return bool(data["annotations"]) and "segments_info" in data["annotations"][0]


def decode_mask(shape: Json, size: tuple[int, int]) -> BinaryMask:
    """Return polygons or run lengths as a mask of ``size`` (height, width).

    ``shape`` is ``{"polygons": [[x, y, ...], ...]}`` or ``{"rle": {"size", "counts"}}``. Raises
    ``BadDataset`` if it is damaged or does not fit the photo.
    """
    from pycocotools import mask as coco_mask

    height, width = size
    counts = shape.get("rle", {}).get("counts")
    if isinstance(counts, list) and sum(counts) != height * width:
        raise BadDataset(
            f"the annotated run lengths have {sum(counts)} pixels in total, expected "
            f"{width}x{height} = {height * width}"
        )
    try:
        if "polygons" in shape:
            encoded = coco_mask.merge(coco_mask.frPyObjects(shape["polygons"], height, width))
        else:
            encoded = shape["rle"]
            if isinstance(encoded["counts"], list):
                encoded = coco_mask.frPyObjects(encoded, *encoded["size"])
        with warnings.catch_warnings():  # pycocotools uses what NumPy 2 deprecates
            warnings.simplefilter("ignore", DeprecationWarning)
            mask: BinaryMask = coco_mask.decode(encoded).astype(np.bool_)
    except Exception as error:
        raise BadDataset(f"the annotated mask is damaged: {error!r:.80}") from error
    if mask.shape != size:
        got = f"{mask.shape[1]}x{mask.shape[0]}"
        raise BadDataset(f"the annotated mask is {got}, expected the photo's {width}x{height}")
    return mask


def panoptic_segment(file: str, segment_id: int, size: tuple[int, int]) -> BinaryMask:
    """Return the pixels of a segment of a panoptic PNG, for a photo of ``size`` (height, width).

    Raises ``BadDataset`` if the PNG has another size.
    """
    ids = _segment_ids(file, storage.fingerprint(file))
    if ids.shape != size:
        raise BadDataset(f"{file}: has {ids.shape[::-1]} pixels, expected {size[::-1]}")
    mask: BinaryMask = ids == segment_id
    return mask


# --- reading ----------------------------------------------------------------------------------


def _index_with_pycocotools(data: Json) -> None:
    """Let pycocotools read the data, which raises ``KeyError`` or ``TypeError`` for damage."""
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        coco = COCO()
        coco.dataset = data
        coco.createIndex()


def _check_unique_ids(data: Json, path: str) -> None:
    """Raise ``BadDataset`` for a duplicate id: objects are removed by their ids."""
    for key in ("images", "annotations"):
        ids = set()
        for record in data[key]:
            if record["id"] in ids:
                raise BadDataset(f"{path}: two {key} have the id {record['id']}; make ids unique")
            ids.add(record["id"])


def _instances(data: Json, labels: dict[int, str], path: str) -> Annotations:
    annotations: Annotations = {}
    for record in data["annotations"]:
        where = f"{path}: annotation {record['id']}"
        x, y, w, h = _parse_bbox(record.get("bbox") or (0, 0, 0, 0), where)
        annotations.setdefault(record["image_id"], []).append(
            Annotation(
                id=str(record["id"]),
                label=labels.get(record["category_id"], str(record["category_id"])),
                where=where,
                box=(x, y, x + w, y + h) if w and h else None,
                shape=_segmentation_prompt(record.get("segmentation")),
                area=record.get("area"),
            )
        )
    return annotations


def _parse_bbox(bbox: Any, where: str) -> list[float]:
    try:
        numbers = [float(value) for value in bbox]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not all(map(isfinite, numbers)):
        raise BadDataset(f"{where}: expected a bbox x, y, width, height, got {bbox!r:.60}")
    return numbers


def _segmentation_prompt(segmentation: Any) -> Json | None:
    if not segmentation:
        return None
    if isinstance(segmentation, dict):
        return {"rle": {key: segmentation[key] for key in ("size", "counts")}}
    return {"polygons": segmentation}


def _panoptic(
    data: Json, labels: dict[int, str], path: str, categories: tuple[str, ...]
) -> Annotations:
    """Return the segments of things, and of stuff (sky, grass) whose category is selected."""
    stuff = {c["id"] for c in data["categories"] if not c.get("isthing", 1)}
    annotations: Annotations = {}
    for record in data["annotations"]:
        file = _panoptic_png(path, record["file_name"])
        for segment in record["segments_info"]:
            label = labels.get(segment["category_id"], str(segment["category_id"]))
            if segment["category_id"] in stuff and label not in categories:
                continue
            x, y, w, h = segment["bbox"]
            annotations.setdefault(record["image_id"], []).append(
                Annotation(
                    id=f"{record['file_name']}#{segment['id']}",
                    label=label,
                    where=f"{record['file_name']}: segment {segment['id']}",
                    box=(x, y, x + w, y + h),
                    shape={"segment": {"file": file, "id": segment["id"]}},
                    area=segment.get("area"),
                )
            )
    return annotations


@lru_cache(2)
def _segment_ids(file: str, fingerprint: str) -> NDArray[np.uint32]:
    """Return the segment ids of a panoptic PNG, cached for the other objects of its photo."""
    return _decode_ids(images.read(storage.read(file), name=file).image)


def _decode_ids(colors: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return R + 256 G + 256^2 B, the segment id that a colour encodes."""
    wide = colors.astype(np.uint32)
    ids: NDArray[np.uint32] = wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2]
    return ids


def _with_area_fraction(annotation: Annotation, image: Json) -> Annotation:
    pixels = image.get("width", 0) * image.get("height", 0)
    if not pixels or annotation.area is None:
        return annotation
    return replace(annotation, area_fraction=annotation.area / pixels)


# --- writing ----------------------------------------------------------------------------------


def _remaining_panoptic(
    path: str, data: Json, removed_ids: set[str], folder: str
) -> Iterator[tuple[str, bytes]]:
    """Yield each PNG with the pixels of removed segments set to 0 (unlabelled).

    Also deletes the removed segments from ``data``.
    """
    for record in data["annotations"]:
        name, segments = record["file_name"], record["segments_info"]
        file = _panoptic_png(path, name)
        removed = [s["id"] for s in segments if f"{name}#{s['id']}" in removed_ids]
        record["segments_info"] = [s for s in segments if s["id"] not in removed]
        raw = storage.read(file)
        if removed:
            png = images.read(raw, name=file)
            mask = np.isin(_decode_ids(png.image), removed)
            unlabelled = np.where(mask[..., None], np.uint8(0), png.image)
            raw = images.encode(png, unlabelled, mask.astype(np.float32))
        yield f"{folder}/{name}", raw


# --- folders ----------------------------------------------------------------------------------


def _panoptic_png(path: str, name: str) -> str:
    """Return the path of a panoptic PNG, in the folder that is named like the JSON file."""
    return storage.join(str(path).removesuffix(".json"), name)


def _folder_and_stem(path: str) -> tuple[str, str]:
    folder, _, name = (path if storage.is_remote(path) else os.path.abspath(path)).rpartition("/")
    return folder or "/", name.rpartition(".")[0]


def _find_photo_folder(home: str, stem: str, data: Json, path: str) -> str:
    """Return the first of the usual photo folders that holds the first photo of the file."""
    parent = os.path.dirname(home.rstrip("/"))
    split = stem.removeprefix("instances_").removeprefix("panoptic_")
    folders = [home, f"{home}/images", f"{home}/{split}", f"{parent}/{split}", f"{parent}/images"]
    folders += [parent, f"{parent}/images/{split}"]
    if not data["images"]:
        return home
    photo = data["images"][0]["file_name"]
    for folder in folders:
        if storage.size(storage.join(folder, photo)) >= 0:
            return folder
    raise BadDataset(f"{path}: the photo {photo} is not next to it; give --root")


def _relative_name(name: str, top: str) -> str:
    if storage.is_remote(name):
        return name[len(top.rstrip("/")) + 1 :]
    return Path(os.path.relpath(name, top)).as_posix()
