"""COCO instance and panoptic annotations: prompts in, and annotations without removed objects out.

The formats are those of the COCO data set, https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats import coco_folders, coco_panoptic
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter
from segment2inpaint.dataset.formats.coco_records import (
    PARSE_ERRORS,
    Categories,
    CocoImage,
    CocoImages,
    parse_area,
    parse_bbox,
    parse_categories,
    parse_images,
    parse_segmentation,
    record_name,
)
from segment2inpaint.dataset.formats.photo_files import output_place
from segment2inpaint.dataset.formats.records import (
    AnnotationSelector,
    Record,
    one_line,
    parse_json,
)
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json, UnmatchedRow
from segment2inpaint.errors import BadDataset

PLACES = ("bbox", "segmentation", "segments_info")  # keys that say where an object is


@dataclass(frozen=True)
class CocoSource:
    """The photos of a COCO JSON file.

    ``path`` is the JSON file, ``root`` the folder of the photos; None searches the folders around
    the file.
    """

    path: str
    base: Json
    annotation_filter: AnnotationFilter
    root: str | None = None
    kind = "coco"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each photo, sorted by its name.

        Raises ``BadDataset`` if the file as a whole cannot be used.
        """
        data = load_annotations(self.path)
        images = parse_images(data["images"], self.path)
        categories = parse_categories(data["categories"], self.path)
        yield from (*images.damaged, *categories.damaged)
        selector = AnnotationSelector(self.annotation_filter, self.base, categories.known)
        objects: dict[CocoImage, list[Record]] = {image: [] for image in images.sound}
        read = _panoptic if coco_panoptic.is_panoptic(data["annotations"]) else _instances
        for image, record in read(data, self.path, images, categories, selector):
            if image:
                objects[image].append(record)
            elif isinstance(record, InvalidRow):
                yield record
        yield from self._photo_items(objects, selector)
        yield from selector.unmatched(self.path)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the files without the records of removed objects, otherwise byte for byte."""
        raw = storage.read(self.path)
        data = load_annotations(self.path)
        names = [image.name for image in parse_images(data["images"], self.path).sound]
        name = self._output_name(names)
        if coco_panoptic.is_panoptic(data["annotations"]):
            folder = str(PurePosixPath(name).with_suffix(""))
            yield from coco_panoptic.remaining(self.path, data, removed_ids, folder)
            changed = bool(removed_ids)
        else:
            records = data["annotations"]
            data["annotations"] = _without_removed(records, removed_ids)
            changed = len(data["annotations"]) < len(records)
        yield name, json.dumps(data).encode() if changed else raw

    def _photo_items(
        self, objects: dict[CocoImage, list[Record]], selector: AnnotationSelector
    ) -> Iterator[EditItem | InvalidRow]:
        images = sorted(objects, key=lambda image: image.name)
        names = [image.name for image in images]
        if not names:
            return
        root, top = coco_folders.folders(self.path, names, self.root)
        photos = coco_folders.find_photos(root, names)
        for image in images:
            photo = photos[image.name]
            output = output_name(output_place(photo, top)[0])
            yield from selector.items(photo, output, objects[image], image.where)

    def _output_name(self, names: list[str]) -> str:
        """Return the name of the annotation file in the output folder."""
        _, top = coco_folders.folders(self.path, names, self.root) if names else ("", "")
        name = coco_folders.relative_name(self.path, top) if top else ".."
        return f"annotations/{PurePosixPath(self.path).name}" if ".." in name else name


def load_annotations(path: str) -> Json:
    """Return the content of a COCO JSON file; its records may be damaged.

    Raises ``BadDataset`` if the file as a whole cannot be used.
    """
    data = parse_json(storage.read(path), path)
    problem = _problem(data)
    if problem:
        raise BadDataset(f"{path}: not COCO annotations: {problem}")
    loaded: Json = {**data, "categories": data.get("categories") or []}
    return loaded


def _problem(data: Any) -> str:
    """Return why a JSON file is no COCO file with places of objects; empty if it is one."""
    if isinstance(data, list) and any(isinstance(r, dict) and "image_id" in r for r in data):
        return "a list of detections without images; give the file of the annotations"
    if not isinstance(data, dict):
        return f"expected images, annotations and categories, got {type(data).__name__}"
    for key in ("images", "annotations"):
        if not isinstance(data.get(key), list):
            return f"expected a list of {key}, got {data.get(key)!r:.40}"
    if not data["images"]:
        return "it lists no images"
    if not isinstance(data.get("categories") or [], list):
        return f"expected a list of categories, got {data['categories']!r:.40}"
    records = [record for record in data["annotations"] if isinstance(record, dict)]
    if records and not any(record.get(key) for record in records for key in PLACES):
        for key, kind in (("caption", "captions"), ("keypoints", "key points")):
            if any(key in record for record in records):
                return f"it has only {kind}; expected boxes or masks, as in the instances file"
    return ""


class _NoImage(ValueError):
    """An annotation belongs to no image of its file."""


Objects = Iterator[tuple[CocoImage | None, Record]]
"""Selected objects, each with its image, and damaged records, some without one."""


def _instances(
    data: Json, path: str, images: CocoImages, categories: Categories, selector: AnnotationSelector
) -> Objects:
    seen: set[str] = set()
    for number, record in enumerate(data["annotations"], 1):
        id = record_name(record, number)
        where = f"{path}: annotation {id:.80}"
        image = None
        try:
            label = categories.label(record)
            if not selector.is_selected(label, id):
                continue
            image = _image_of(record, images)
            if id in seen:
                raise ValueError(f"two annotations have the id {id:.80}; make ids unique")
            if image:
                yield image, _instance(record, id, label, where, image)
        except _NoImage as error:
            yield None, UnmatchedRow(where, str(error))
        except PARSE_ERRORS as error:
            yield image, InvalidRow(where, one_line(error))
        seen.add(id)


def _panoptic(
    data: Json, path: str, images: CocoImages, categories: Categories, selector: AnnotationSelector
) -> Objects:
    for number, record in enumerate(data["annotations"], 1):
        where = f"{path}: annotation {record_name(record, number):.80}"
        image = None
        try:
            image = _image_of(record, images)
            if image:
                for segment in coco_panoptic.segments(record, path, image, categories, selector):
                    yield image, segment
        except _NoImage as error:
            yield None, UnmatchedRow(where, str(error))
        except PARSE_ERRORS as error:
            yield image, InvalidRow(where, one_line(error))


def _image_of(record: Json, images: CocoImages) -> CocoImage | None:
    """Return the image of an annotation, None if its record is damaged.

    Raises ``_NoImage`` if there is none.
    """
    if not isinstance(record, dict):
        raise ValueError(f"expected an annotation, got {record!r:.40}")
    image = images.by_id.find(record.get("image_id"))
    if image is None:
        raise _NoImage(f"no image has its image_id {record.get('image_id')!r:.40}")
    return image if isinstance(image, CocoImage) else None


def _instance(record: Json, id: str, label: str, where: str, image: CocoImage) -> Annotation:
    """Return an object with its box, its mask, or both. Raises ``PARSE_ERRORS``."""
    box = parse_bbox(record.get("bbox"))
    shape = parse_segmentation(record.get("segmentation"), image.photo_size)
    if not box and not shape:
        raise ValueError(
            f"no place: its bbox is {record.get('bbox')!r:.60}, its segmentation "
            f"{record.get('segmentation')!r:.60}"
        )
    return Annotation(
        id=id,
        label=label,
        where=where,
        box=box,
        shape=shape,
        area=parse_area(record.get("area"), box),
        photo_size=image.photo_size,
        is_crowd=bool(record.get("iscrowd")),
    )


def _without_removed(records: list[Any], removed_ids: set[str]) -> list[Any]:
    """Return the annotations that remain. Of several with one id, the first was removed."""
    seen: set[str] = set()
    remaining = []
    for number, record in enumerate(records, 1):
        id = record_name(record, number)
        if id not in removed_ids or id in seen:
            remaining.append(record)
        seen.add(id)
    return remaining
