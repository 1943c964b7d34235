"""Label Studio annotations: prompts in, and annotations without removed objects out.

The format is the JSON export of https://labelstud.io, a list of tasks or one file for each task,
or its short form JSON-MIN. Coordinates are per cent of the photo's width and height.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from segment2inpaint.dataset.formats import label_studio_brush, shapes
from segment2inpaint.dataset.formats.annotation_files import AnnotationFiles
from segment2inpaint.dataset.formats.photo_files import PhotoFinder
from segment2inpaint.dataset.formats.records import (
    RECORD_ERRORS,
    AnnotationSelector,
    Record,
    one_line,
    parse_json,
    to_annotation,
)
from segment2inpaint.dataset.formats.shapes import PhotoSize, Shape, parse_number
from segment2inpaint.dataset.names import is_photo
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset, BadImage

READ_SHAPES = ("rectangle", "polygon", "ellipse", "brush")
OTHER_SHAPES = ("keypoint", "vector", "bitmask", "cuboid", "videorectangle")
PHOTO_KEYS = ("image", "img", "photo", "url", "ocr")  # of a task's data, the likeliest first
RESULT_KEYS = ("original_width", "original_height")  # of an object in JSON-MIN


@dataclass(frozen=True)
class LabelStudioSource(AnnotationFiles):
    """The photos of a Label Studio export."""

    kind = "label-studio"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each photo, in the order of the tasks.

        Raises ``BadDataset`` if a single file cannot be read.
        """
        selector = AnnotationSelector(self.annotation_filter, self.base)
        finder = self.finder()
        for name in self.file_names():
            try:
                tasks = parse(self.read(name), name)
            except (BadDataset, BadImage) as error:
                if self.is_file:
                    raise
                yield InvalidRow(name, one_line(error).removeprefix(f"{name}: "))
                continue
            for number, task in enumerate(tasks, 1):
                yield from self._task_items(task, _Place(name, number, task), selector, finder)
        yield from selector.unmatched(self.path)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each file without the removed objects, otherwise byte for byte.

        Labels, choices and texts of a removed object are removed too.
        """
        for name in self.file_names():
            try:
                raw = self.read(name)
                data = parse_json(raw, name)
                changed = _remove_results(data, name, removed_ids)
            except (BadDataset, BadImage):
                continue
            yield name, json.dumps(data, indent=2).encode() if changed else raw

    def _task_items(
        self, task: Any, place: _Place, selector: AnnotationSelector, finder: PhotoFinder
    ) -> Iterator[EditItem | InvalidRow]:
        try:
            photo = finder.find(_photo_name(task))
            records = _records(task, place, selector)
        except RECORD_ERRORS as error:
            yield InvalidRow(place.where, one_line(error))
            return
        output = self.output_of(photo)
        yield from selector.items(photo, output, records, place.where)


@dataclass(frozen=True)
class _Place:
    """A task of a file, by its number from 1 and, if it has one, its id."""

    file: str
    number: int
    task: Any

    @property
    def where(self) -> str:
        id = self.task.get("id") if isinstance(self.task, dict) else None
        return f"{self.file}: task {self.number if id is None else id}"

    def object_id(self, annotation: int, result: int) -> str:
        return f"{self.file}#{self.number}.{annotation}.{result}"


def parse(raw: bytes, name: str) -> list[Any]:
    """Return the tasks of an export. Raises ``BadDataset`` if it is something else."""
    tasks = parse_json(raw, name)
    if isinstance(tasks, dict):
        tasks = [tasks]
    if not is_label_studio(tasks):
        raise BadDataset(f"{name}: expected a list of Label Studio tasks with data and annotations")
    return list(tasks)


def is_label_studio(data: Any) -> bool:
    """Return whether the content of a JSON file is a list of tasks, or a single task."""
    tasks = data if isinstance(data, list) else [data]
    return any(isinstance(task, dict) and _is_task(task) for task in tasks)


def _is_task(task: Json) -> bool:
    if isinstance(task.get("data"), dict):
        return True
    return any(True for _ in _short_form_results(task))


# --- tasks ------------------------------------------------------------------------------------


def _photo_name(task: Json) -> str:
    """Return the name of the photo of a task. Raises ``ValueError`` if it has none or several."""
    data = task.get("data", task)
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    known = [texts[key] for key in PHOTO_KEYS if key in texts]
    photos = known or [value for value in texts.values() if is_photo(value.partition("?")[0])]
    if not photos:
        raise ValueError(
            f"expected data with an image, got {', '.join(map(str, data)) or 'none':.60}"
        )
    if not known and len(photos) > 1:
        raise ValueError(f"expected one image, got {len(photos)}: {', '.join(photos):.80}")
    return photos[0]


def _annotations(task: Json) -> list[Any]:
    """Return the annotations of a task, those in JSON-MIN as lists of objects."""
    if "data" not in task:
        return list(_short_form_results(task))
    annotations = task.get("annotations") or task.get("completions") or []
    if not isinstance(annotations, list):
        raise ValueError(f"expected a list of annotations, got {annotations!r:.40}")
    return annotations


def _short_form_results(task: Json) -> Iterator[list[Any]]:
    """Yield the lists of objects of a task in JSON-MIN."""
    for value in task.values():
        if isinstance(value, list) and any(
            isinstance(result, dict) and all(key in result for key in RESULT_KEYS)
            for result in value
        ):
            yield value


def _results(annotation: Any) -> list[Any]:
    """Return the results of an annotation; none if it was cancelled. Raises ``ValueError``."""
    if isinstance(annotation, list):
        return annotation
    if not isinstance(annotation, dict):
        raise ValueError(f"expected an annotation with a result, got {annotation!r:.40}")
    if annotation.get("was_cancelled") or annotation.get("skipped"):
        return []
    results = annotation.get("result") or []
    if not isinstance(results, list):
        raise ValueError(f"expected a list of results, got {results!r:.40}")
    return results


def _records(task: Json, place: _Place, selector: AnnotationSelector) -> list[Record]:
    """Return the objects of a task that may be selected, and those of them that are invalid."""
    records: list[Record] = []
    for annotation, content in enumerate(_annotations(task), 1):
        try:
            results = _results(content)
        except ValueError as error:
            records.append(InvalidRow(f"{place.where}: annotation {annotation}", str(error)))
            continue
        labels = _labels_by_id(results)
        for number, result in enumerate(results, 1):
            id = place.object_id(annotation, number)
            where = f"{place.where}: result {number}"
            if record := _record(result, id, where, labels, selector):
                records.append(record)
    return records


def _record(
    result: Any, id: str, where: str, labels: Mapping[str, list[str]], selector: AnnotationSelector
) -> Record | None:
    """Return the object of a result, why it is invalid, or None if it is not selected."""
    try:
        kind, value = _kind(result), _value(result)
        label = selector.pick_label(_labels(value) or labels.get(str(result.get("id")), []))
        if not kind or not selector.is_selected(label, id):
            return None
        size = _photo_size(result)
        return to_annotation(_parse_shape(kind, value, size), id, label, where, size)
    except RECORD_ERRORS as error:
        return InvalidRow(where, one_line(error))


def _kind(result: Json) -> str:
    """Return the kind of a shape; empty for what is no shape: choices, texts, relations."""
    if result.get("type"):
        kind = str(result["type"]).removesuffix("labels")
        return kind if kind in (*READ_SHAPES, *OTHER_SHAPES) else ""
    value = _value(result)
    keys = {"rle": "brush", "points": "polygon", "radiusX": "ellipse", "width": "rectangle"}
    return next((keys[key] for key in keys if key in value), "keypoint" if "x" in value else "")


def _value(result: Json) -> Json:
    """Return the shape of a result; in JSON-MIN it is the result itself."""
    value: Json = result.get("value", result)
    return value


def _labels(value: Json) -> list[str]:
    """Return the labels of a value, such as those of ``rectanglelabels``."""
    found = (value[key] for key in value if str(key).endswith("labels"))
    names: Any = next(filter(None, found), [])
    return [str(name) for name in names] if isinstance(names, list) else [str(names)]


def _labels_by_id(results: list[Any]) -> dict[str, list[str]]:
    """Return the labels of regions whose shape and label are two results of one id."""
    mappings = [result for result in results if isinstance(result, dict)]
    values = [(result.get("id"), result.get("value")) for result in mappings]
    named = [(id, _labels(value)) for id, value in values if isinstance(value, dict)]
    return {str(id): names for id, names in named if names}


# --- shapes -----------------------------------------------------------------------------------


def _photo_size(result: Json) -> PhotoSize:
    size = shapes.parse_photo_size(result.get("original_height"), result.get("original_width"))
    if size is None:
        raise ValueError("expected original_width and original_height, got none")
    if result.get("image_rotation"):
        raise ValueError(
            f"the photo was turned by {result['image_rotation']!r:.20} degrees in Label Studio; "
            "turn it back there, or turn the photo itself, and annotate it again"
        )
    return size


def _parse_shape(kind: str, value: Mapping[str, Any], size: PhotoSize) -> Shape:
    height, width = size
    if kind == "brush":
        if value.get("format", "rle") != "rle" or "rle" not in value:
            raise ValueError(f"expected a brush mask as rle, got {value.get('format')!r:.20}")
        if height * width > shapes.MAX_PIXELS:
            raise ValueError(f"the mask is for a photo of {width}x{height}, more than can be read")
        return shapes.photo_mask(label_studio_brush.decode(value["rle"], size))
    if kind == "polygon":
        corners = shapes.parse_corners(value["points"])
        return shapes.polygon([(x * width / 100, y * height / 100) for x, y in corners])
    if kind not in READ_SHAPES:
        raise ValueError(f"a {kind} has no area; expected {', '.join(READ_SHAPES)}")
    x, y = _share(value, "x", width), _share(value, "y", height)
    rotation = parse_number(value.get("rotation") or 0, "rotation")
    if kind == "ellipse":
        radii = _share(value, "radiusX", width), _share(value, "radiusY", height)
        return shapes.ellipse((x, y), *radii, rotation)
    box = (x, y, x + _share(value, "width", width), y + _share(value, "height", height))
    return shapes.rotated_box(box, rotation, (x, y))


def _share(value: Mapping[str, Any], key: str, side: int) -> float:
    """Return a per cent of a side of the photo in pixels."""
    return parse_number(value[key], key) * side / 100


# --- writing ----------------------------------------------------------------------------------


def _remove_results(data: Any, name: str, removed_ids: set[str]) -> bool:
    """Delete the removed objects in the content of a file; return whether there were any."""
    changed = False
    for number, task in enumerate(data if isinstance(data, list) else [data], 1):
        place = _Place(name, number, task)
        for annotation, results in _readable_results(task):
            removed = [
                result
                for index, result in enumerate(results, 1)
                if place.object_id(annotation, index) in removed_ids
            ]
            results[:] = [r for r in results if not any(_belongs(r, object) for object in removed)]
            changed |= bool(removed)
    return changed


def _readable_results(task: Any) -> Iterator[tuple[int, list[Any]]]:
    """Yield the number and the results of each annotation of a task that is not damaged."""
    try:
        annotations = _annotations(task)
    except RECORD_ERRORS:
        return
    for number, annotation in enumerate(annotations, 1):
        with suppress(ValueError):
            yield number, _results(annotation)


def _belongs(result: Any, removed: Json) -> bool:
    """Return whether a result is a removed object, or says something of it."""
    if result is removed:
        return True
    if not isinstance(result, dict) or removed.get("id") is None:
        return False
    ids = (result.get("id"), result.get("from_id"), result.get("to_id"))
    return bool(removed["id"] in ids)
