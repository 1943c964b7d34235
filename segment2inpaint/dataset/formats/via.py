"""VGG Image Annotator: prompts in, and annotations without removed objects out.

The formats are those of https://www.robots.ox.ac.uk/~vgg/software/via, versions 1 and 2: a CSV
file, a JSON file of annotations, or a project.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import degrees
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats import shapes
from segment2inpaint.dataset.formats.annotation_files import AnnotationFiles
from segment2inpaint.dataset.formats.records import (
    RECORD_ERRORS,
    AnnotationSelector,
    Record,
    one_line,
    parse_json,
    to_annotation,
)
from segment2inpaint.dataset.formats.row_files import Row, large_cells, read_records
from segment2inpaint.dataset.formats.shapes import Shape, parse_number
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.dataset.text_files import check_decoded, decode_lines
from segment2inpaint.errors import BadDataset

CSV_SUFFIX = ".csv"
PROJECT_KEY = "_via_img_metadata"  # of the photos in a project
SHAPE_COLUMN, LABEL_COLUMN = "region_shape_attributes", "region_attributes"
NAME_COLUMN = "filename"
LABEL_KEYS = ("label", "class", "category", "name", "type", "object")  # the likeliest first
READ_SHAPES = ("rect", "polygon", "circle", "ellipse")


@dataclass(frozen=True)
class ViaSource(AnnotationFiles):
    """The photos of a VIA file, CSV or JSON."""

    kind = "via"
    suffixes = (".json", CSV_SUFFIX)

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each photo, in the order of the file.

        Raises ``BadDataset`` if the file cannot be read.
        """
        selector = AnnotationSelector(self.annotation_filter, self.base)
        finder = self.finder()
        for photo in _csv_photos(self.path) if self._is_csv() else _json_photos(self.path):
            if isinstance(photo, InvalidRow):
                yield photo
                continue
            try:
                path = finder.find(photo.name)
            except RECORD_ERRORS as error:
                yield InvalidRow(photo.where, one_line(error))
                continue
            output = self.output_of(path)
            yield from selector.items(path, output, _records(photo, selector), photo.where)
        yield from selector.unmatched(self.path)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the file without the removed regions, otherwise byte for byte."""
        raw = storage.read(self.path)
        change = _remaining_csv if self._is_csv() else _remaining_json
        changed = change(raw, self.path, removed_ids) if removed_ids else raw
        yield self.path.rpartition("/")[2], changed

    def _is_csv(self) -> bool:
        return self.path.lower().endswith(CSV_SUFFIX)


@dataclass
class _Photo:
    """A photo of a file, by the name there, and its regions, each with its place in the file."""

    name: str
    where: str
    regions: list[tuple[str, Any]] = field(default_factory=list)


Photo = _Photo | InvalidRow


def is_via_csv(header: bytes) -> bool:
    """Return whether the first bytes of a CSV file are those of VIA."""
    return SHAPE_COLUMN.encode() in header.replace(b"\0", b"")


def is_via(data: Any) -> bool:
    """Return whether the content of a JSON file is that of VIA."""
    try:
        photos = _photo_entries(data)
    except ValueError:
        return False
    return any(isinstance(p, dict) and NAME_COLUMN in p and "regions" in p for p in photos.values())


# --- JSON -------------------------------------------------------------------------------------


def _json_photos(path: str) -> Iterator[Photo]:
    """Yield the photos of a JSON file. Raises ``BadDataset``."""
    try:
        entries = _photo_entries(parse_json(storage.read(path), path))
    except ValueError as error:
        raise BadDataset(f"{path}: {error}") from error
    for key, entry in entries.items():
        where = f"{path}: {key}"
        try:
            photo = _Photo(entry[NAME_COLUMN], where)
            regions = _regions(entry)
        except RECORD_ERRORS as error:
            yield InvalidRow(where, one_line(error))
            continue
        photo.regions = [(f"{where}: region {n}", r) for n, r in enumerate(regions, 1)]
        yield photo


def _photo_entries(data: Any) -> dict[str, Any]:
    """Return the photos of a project or of exported annotations by key."""
    if isinstance(data, dict) and PROJECT_KEY in data:
        data = data[PROJECT_KEY]
    if isinstance(data, dict) and {"project", "metadata", "file"} <= data.keys():
        raise ValueError("a project of VIA 3 cannot be read; export its annotations as COCO")
    if not isinstance(data, dict):
        raise ValueError(f"expected VIA annotations, a photo for each key, got {data!r:.40}")
    return data


def _regions(entry: Json) -> list[Any]:
    """Return the regions of a photo, which version 1 numbers by text keys."""
    regions = entry.get("regions") or []
    if not isinstance(regions, list | dict):
        raise ValueError(f"expected a list of regions, got {regions!r:.40}")
    return list(regions.values()) if isinstance(regions, dict) else regions


def _remaining_json(raw: bytes, path: str, removed_ids: set[str]) -> bytes:
    data = parse_json(raw, path)
    for entry in _photo_entries(data).values():
        if not isinstance(entry, dict) or not isinstance(entry.get("regions"), list | dict):
            continue
        name, regions = entry.get(NAME_COLUMN), _regions(entry)
        kept = [r for n, r in enumerate(regions, 1) if _object_id(name, n) not in removed_ids]
        is_list = isinstance(entry["regions"], list)
        entry["regions"] = kept if is_list else {str(n): r for n, r in enumerate(kept)}
    return json.dumps(data).encode()


# --- CSV --------------------------------------------------------------------------------------


def _csv_photos(path: str) -> Iterator[Photo]:
    """Yield the photos of a CSV file, each at its first row. Raises ``BadDataset``."""
    photos: dict[str, _Photo] = {}
    for number, row in _csv_rows(storage.read(path), path):
        where = f"{path}:{number}"
        if isinstance(row, Exception):
            yield InvalidRow(where, one_line(row))
            continue
        photo = photos.setdefault(row[NAME_COLUMN], _Photo(row[NAME_COLUMN], where))
        region = {"shape_attributes": row[SHAPE_COLUMN], LABEL_COLUMN: row[LABEL_COLUMN]}
        if row[SHAPE_COLUMN] not in ("", "{}"):
            photo.regions.append((where, region))
    yield from photos.values()


def _csv_rows(raw: bytes, path: str) -> Iterator[Row]:
    """Yield the line number of each row, and its cells by column or why they cannot be read."""
    lines = list(io.StringIO(decode_lines(raw), newline=""))
    columns = _columns(lines, path)
    with large_cells():
        records = list(read_records(lines, 1, ","))
    for number, cells in records:
        if isinstance(cells, Exception) or not any(cells):
            yield from [(number, cells)] if isinstance(cells, Exception) else []
        elif len(cells) != len(columns):
            yield number, ValueError(f"expected {len(columns)} cells, got {len(cells)}")
        else:
            yield number, _checked_row(dict(zip(columns, cells, strict=True)))


def _columns(lines: list[str], path: str) -> list[str]:
    columns = [name.strip().lstrip("#") for name in next(csv.reader(lines[:1]), [])]
    needed = (NAME_COLUMN, SHAPE_COLUMN, LABEL_COLUMN)
    if missing := [name for name in needed if name not in columns]:
        raise BadDataset(f"{path}: expected the columns of VIA, has no {', '.join(missing)}")
    return columns


def _checked_row(row: dict[str, str]) -> dict[str, str] | ValueError:
    try:
        check_decoded("".join(row.values()))
    except ValueError as error:
        return error
    return row


def _remaining_csv(raw: bytes, path: str, removed_ids: set[str]) -> bytes:
    """Return the rows of the regions that are not removed; a photo without any keeps a row."""
    lines = list(io.StringIO(decode_lines(raw), newline=""))
    rows = [row for _, row in _csv_rows(raw, path) if not isinstance(row, Exception)]
    kept = _kept_rows(rows, removed_ids)
    text = io.StringIO(newline="")
    text.write(lines[0])
    ending = "\r\n" if lines[0].endswith("\r\n") else "\n"
    csv.writer(text, lineterminator=ending).writerows(row.values() for row in kept)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _kept_rows(rows: list[dict[str, str]], removed_ids: set[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of remaining regions, numbered anew, in the order of their photos."""
    photos: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        photos.setdefault(row[NAME_COLUMN], []).append(row)
    for name, group in photos.items():
        regions = [row for row in group if row[SHAPE_COLUMN] not in ("", "{}")]
        kept = [r for n, r in enumerate(regions, 1) if _object_id(name, n) not in removed_ids]
        empty = {**group[0], SHAPE_COLUMN: "{}", LABEL_COLUMN: "{}"}
        for number, row in enumerate(kept or [empty]):
            yield {**row, **_numbers(row, number, len(kept))}


def _numbers(row: Mapping[str, str], number: int, count: int) -> dict[str, str]:
    numbers = {"region_count": str(count), "region_id": str(number)}
    return {key: value for key, value in numbers.items() if key in row}


# --- regions ----------------------------------------------------------------------------------


def _object_id(name: Any, number: int) -> str:
    return f"{name}#{number}"


def _records(photo: _Photo, selector: AnnotationSelector) -> list[Record]:
    """Return the regions of a photo that may be selected, and those of them that are invalid."""
    records: list[Record] = []
    for number, (where, region) in enumerate(photo.regions, 1):
        id = _object_id(photo.name, number)
        try:
            label = selector.pick_label(_labels(_attributes(region.get(LABEL_COLUMN) or {})))
            if not selector.is_selected(label, id):
                continue
            shape = _parse_shape(_attributes(region["shape_attributes"]))
        except RECORD_ERRORS as error:
            records.append(InvalidRow(where, one_line(error)))
        else:
            records.append(to_annotation(shape, id, label, where, None))
    return records


def _attributes(value: Any) -> Json:
    """Return attributes, which are JSON text in a CSV file."""
    attributes = json.loads(value) if isinstance(value, str) else value
    if not isinstance(attributes, dict):
        raise ValueError(f"expected attributes of a region, got {attributes!r:.40}")
    return attributes


def _labels(attributes: Json) -> list[str]:
    """Return the class names: of the usual attributes, else of the first that has a value."""
    by_key = {str(key).lower(): value for key, value in attributes.items()}
    values = [by_key[key] for key in LABEL_KEYS if key in by_key]
    return next(filter(None, map(_texts, [*values, *by_key.values()])), [])


def _texts(value: Any) -> list[str]:
    """Return the values of an attribute; check boxes are ``{name: true}``."""
    if isinstance(value, dict):
        return [str(key) for key, is_set in value.items() if is_set]
    text = "" if value is None else str(value).strip()
    return [text] if text else []


def _parse_shape(attributes: Mapping[str, Any]) -> Shape:
    kind = str(attributes["name"])
    if kind == "rect":
        x, y, width, height = _parse_numbers(attributes, "x", "y", "width", "height")
        return shapes.upright_box((x, y, x + width, y + height))
    if kind == "polygon":
        xs, ys = attributes["all_points_x"], attributes["all_points_y"]
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise ValueError("expected as many all_points_x as all_points_y")
        return shapes.polygon(shapes.parse_corners(list(zip(xs, ys, strict=True))))
    if kind == "circle":
        x, y, radius = _parse_numbers(attributes, "cx", "cy", "r")
        return shapes.ellipse((x, y), radius, radius)
    if kind == "ellipse":
        x, y, radius_x, radius_y = _parse_numbers(attributes, "cx", "cy", "rx", "ry")
        angle = degrees(parse_number(attributes.get("theta") or 0, "theta"))
        return shapes.ellipse((x, y), radius_x, radius_y, angle)
    raise ValueError(f"a {kind:.20} has no area; expected {', '.join(READ_SHAPES)}")


def _parse_numbers(attributes: Mapping[str, Any], *names: str) -> list[float]:
    return [parse_number(attributes[name], name) for name in names]
