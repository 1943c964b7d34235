"""Photos inside of larger files: Hugging Face tables (Parquet, Arrow) and WebDataset tar files."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Any

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats import table
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter
from segment2inpaint.dataset.formats.records import AnnotationSelector, one_line
from segment2inpaint.dataset.formats.table import ROW_ERRORS
from segment2inpaint.dataset.inputs import cell_path, open_parquet, read_arrow
from segment2inpaint.dataset.names import check_file_name, is_photo, output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.dataset.text_files import decode_text
from segment2inpaint.errors import BadDataset

TABLE_SUFFIXES = (".parquet", ".arrow")
# Names of a picture column that the schema does not mark.
PICTURE_COLUMNS = ("image", "photo", "img", "image_path", "file_name")
MASK_SUFFIXES = ("mask.png", "seg.png")  # members of a tar file that are masks
ROWS_PER_BATCH = 64  # rows in memory at a time
SUFFIX_BY_MAGIC = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"II*\0": ".tif",
                   b"MM\0*": ".tif", b"BM": ".bmp"}  # fmt: skip


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet or Arrow file, or a folder of them, as Hugging Face ``datasets`` saves it.

    The table has a column of pictures. A column ``objects`` (``bbox`` as x, y, width, height;
    ``category``) supplies the prompts; without it, the prompts of ``base`` apply to every row.
    """

    path: str
    base: Json
    annotation_filter: AnnotationFilter
    kind = "hf"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each row. Raises ``BadDataset`` if there is no table."""
        folder, names = self._tables()
        if not names:
            raise BadDataset(f"{self.path}: no {' or '.join(TABLE_SUFFIXES)} files")
        selector = AnnotationSelector(self.annotation_filter, self.base)
        classes: set[str] = set()
        for name in names:
            try:
                yield from self._file_items(folder, name, selector, classes)
            except _table_errors() as error:
                yield InvalidRow(name, f"not a readable table: {one_line(error)}")
        yield from self.annotation_filter.unmatched(
            classes, selector.labels, selector.ids, self.path
        )

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield nothing: ``dataset.to_hf`` makes the new dataset."""
        return iter(())

    def _tables(self) -> tuple[str, list[str]]:
        """Return the folder of the tables and their names in it."""
        if self.path.lower().endswith(TABLE_SUFFIXES):
            folder, _, name = self.path.rpartition("/")
            return folder, [name]
        names = storage.list_files(self.path)
        return self.path, [name for name in names if name.lower().endswith(TABLE_SUFFIXES)]

    def _file_items(
        self, folder: str, name: str, selector: AnnotationSelector, classes: set[str]
    ) -> Iterator[EditItem | InvalidRow]:
        """Yield the items of a table, and add the class names that it declares to ``classes``."""
        file = storage.join(folder, name)
        column, class_names, has_objects = _parse_schema(file)
        row_errors: tuple[type[Exception], ...] = (*ROW_ERRORS, *_table_errors())
        classes.update(class_names)
        for number, row in _read_rows(file, column, has_objects):
            where = f"{name}: row {number}"
            try:
                if isinstance(row, Exception):
                    raise row
                photo, suffix = _photo(file, number, column, row[column])
                output = output_name(f"{os.path.splitext(name)[0]}/{number:06d}{suffix}")
                if not has_objects:
                    yield EditItem(photo, output, self.base, where)
                    continue
                objects = list(_objects(row["objects"], class_names, where, selector))
                yield from selector.items(photo, output, objects, where)
            except row_errors as error:
                yield InvalidRow(where, one_line(error))


@dataclass(frozen=True)
class WebDatasetSource:
    """WebDataset shards, tar files whose members with the same key belong together.

    ``path`` is a tar file or a folder of them. For the photo ``x.jpg``, ``x.json`` may hold the
    prompts and options of a table row, and ``x.mask.png`` a mask. ``base`` supplies the rest.
    """

    path: str
    base: Json
    kind = "webdataset"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the photos of all shards, in order. Raises ``BadDataset``."""
        if self.path.lower().endswith(".tar"):
            yield from self._shard_items(self.path, os.path.basename(self.path))
            return
        for name in storage.list_files(self.path):
            if name.lower().endswith(".tar"):
                yield from self._shard_items(storage.join(self.path, name), name)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield nothing: the prompts in a shard are not annotations."""
        return iter(())

    def _shard_items(self, shard: str, name: str) -> Iterator[EditItem | InvalidRow]:
        try:
            for key, members in _samples(shard):
                yield self._sample_item(name, key, members)
        except (tarfile.TarError, OSError, ValueError) as error:
            yield InvalidRow(name, f"not a readable tar: {one_line(error)}")

    def _sample_item(self, name: str, key: str, members: dict[str, str]) -> EditItem | InvalidRow:
        """Return the item of a sample, whose members are given by suffix as in ``_samples``."""
        where = f"{name}: {key}"
        photos = [end for end in members if is_photo(f"x.{end}") and "." not in end]
        if len(photos) != 1:
            return InvalidRow(where, f"expected one photo, got {', '.join(photos) or 'none'}")
        try:
            request = table.row_request(_sample_row(members), self.base)
        except ROW_ERRORS as error:
            return InvalidRow(where, f"{key}.json: {one_line(error)}")
        output = output_name(f"{os.path.splitext(name)[0]}/{key}.{photos[0]}")
        return EditItem(members[photos[0]], output, request, where)


# --- tables -----------------------------------------------------------------------------------


def _table_errors() -> tuple[type[Exception], ...]:
    """Return the errors that reading a damaged table raises."""
    import pyarrow

    return (pyarrow.ArrowException, ValueError, TypeError, LookupError, OSError, AttributeError)


def _parse_schema(file: str) -> tuple[str, list[str], bool]:
    """Return the picture column, the class names, and whether there is a column ``objects``."""
    is_arrow = file.lower().endswith(".arrow")
    schema = read_arrow(file).schema if is_arrow else open_parquet(file).schema_arrow
    features = _features(schema)
    marked = [n for n, f in features.items() if isinstance(f, dict) and f.get("_type") == "Image"]
    structs = [f.name for f in schema if str(f.type).startswith("struct<bytes: binary")]
    columns = [n for n in (*marked, *structs, *PICTURE_COLUMNS) if n in schema.names]
    if not columns:
        raise ValueError(f"no column of pictures; there are {', '.join(schema.names)}")
    return columns[0], _class_names(features.get("objects")), "objects" in schema.names


def _features(schema: Any) -> Json:
    """Return the features that Hugging Face ``datasets`` has noted; empty if it has not."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _class_names(feature: Any) -> list[str]:
    """Return the names of the first ``ClassLabel`` in a description of Hugging Face features."""
    if isinstance(feature, list):
        return next((names for part in feature if (names := _class_names(part))), [])
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") == "ClassLabel":
        return [str(name) for name in feature.get("names") or ()]
    return _class_names(list(feature.values()))


def _read_rows(file: str, column: str, has_objects: bool) -> Iterator[tuple[int, Any]]:
    """Yield the number of each row, and its picture and objects, or the error in them."""
    columns = [column, "objects"] if has_objects else [column]
    if file.lower().endswith(".arrow"):
        batches = read_arrow(file).select(columns).to_batches(max_chunksize=ROWS_PER_BATCH)
    else:
        batches = open_parquet(file).iter_batches(batch_size=ROWS_PER_BATCH, columns=columns)
    rows = (_read_row(batch, i) for batch in batches for i in range(batch.num_rows))
    yield from enumerate(rows)


def _read_row(batch: Any, number: int) -> Json | Exception:
    try:
        return {name: batch.column(name)[number].as_py() for name in batch.schema.names}
    except _table_errors() as error:
        return error


def _photo(file: str, number: int, column: str, cell: Any) -> tuple[str, str]:
    """Return the storage name of the picture in a cell, and the suffix of its file name."""
    row_name = f"{file}#row={number},{column}"
    path = cell.get("path") if isinstance(cell, dict) else cell
    if (isinstance(cell, dict) and cell.get("bytes")) or isinstance(cell, bytes) or not path:
        return row_name, _photo_suffix(cell, path)
    check_file_name(path, column)
    return cell_path(file, path), PurePosixPath(path).suffix


def _photo_suffix(cell: Any, path: Any) -> str:
    """Return the file name suffix for the picture of a cell, from its path or its first bytes."""
    if isinstance(path, str) and is_photo(path):
        return PurePosixPath(path).suffix
    data = cell if isinstance(cell, bytes) else (cell or {}).get("bytes") or b""
    if data[4:12] == b"ftypavif":
        return ".avif"
    if kind := images.plugin_format(data):
        return {"HEIF": ".heic", "JXL": ".jxl"}[kind]
    return next((end for magic, end in SUFFIX_BY_MAGIC.items() if data.startswith(magic)), ".png")


def _objects(
    value: Any, class_names: list[str], where: str, selector: AnnotationSelector
) -> Iterator[Annotation | InvalidRow]:
    """Yield the objects in a cell that may be selected."""
    for number, (box, category) in enumerate(_boxes(value)):
        name, label = f"{where}, object {number}", _class_name(category, class_names)
        if not selector.is_selected(label, name):
            continue
        try:
            yield _annotation(box, label, name)
        except ROW_ERRORS as error:
            yield InvalidRow(name, one_line(error))


def _boxes(value: Any) -> list[tuple[Any, Any]]:
    """Return the box and the category of each object of a row.

    The objects are a struct of lists or a list of structs.
    """
    if isinstance(value, list):
        records = [record if isinstance(record, dict) else {} for record in value]
        return [(record.get("bbox"), _category(record)) for record in records]
    if not isinstance(value, dict):
        return []
    boxes, categories = value.get("bbox") or [], _category(value) or []
    return list(zip_longest(boxes, categories[: len(boxes)]))


def _category(record: Json) -> Any:
    keys = ("category", "categories", "label", "labels", "category_id")
    return next((record[key] for key in keys if record.get(key) is not None), None)


def _class_name(category: Any, classes: list[str]) -> str:
    if isinstance(category, int) and 0 <= category < len(classes):
        return classes[category]
    return "" if category is None else str(category)


def _annotation(box: Any, label: str, where: str) -> Annotation:
    """Return an object with a box of x, y, width and height. Raises ``ValueError``."""
    try:
        x, y, w, h = (float(number) for number in box)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected bbox x, y, width, height, got {box!r:.60}") from error
    if not (abs(x) + abs(y) + abs(w) + abs(h) < table.MAX_PIXEL and w > 0 and h > 0):
        raise ValueError(f"expected bbox x, y, width, height in pixels, got {box!r:.60}")
    return Annotation(where, label, where, (x, y, x + w, y + h), area=w * h)


# --- tar files --------------------------------------------------------------------------------


def _samples(shard: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the key of each sample, and the storage names of its members by suffix.

    As in WebDataset, the suffix is what follows the first dot of the member's name.
    """
    key = ""
    members: dict[str, str] = {}
    with _open_tar(shard) as tar:
        for member in _members(tar, storage.size(shard)):
            if isinstance(member, Exception):
                if members:
                    yield key, members
                raise member
            folder, _, name = member.name.rpartition("/")
            stem, dot, suffix = name.partition(".")
            if not member.isfile() or not stem or not dot:
                continue
            member_key = f"{folder}/{stem}" if folder else stem
            if member_key != key and members:
                yield key, members
                members = {}
            key = member_key
            members[suffix.lower()] = f"{shard}#{member.offset_data}+{member.size}"
    if members:
        yield key, members


def _members(tar: tarfile.TarFile, size: int) -> Iterator[tarfile.TarInfo | Exception]:
    """Yield the members of a tar file; the last is an error if the file is damaged there.

    ``size`` is that of the file, in bytes. Python takes an incomplete header for its end.
    """
    try:
        yield from tar
    except (tarfile.TarError, OSError, ValueError) as error:
        yield error
    if 0 < size - tar.offset < tarfile.BLOCKSIZE:
        yield tarfile.ReadError("it ends within a member")


def _sample_row(members: dict[str, str]) -> Json:
    """Return the table row of a sample: the known keys of its JSON, and its masks."""
    row: Json = {}
    if "json" in members:
        data = json.loads(decode_text(storage.read(members["json"]), "json"))
        if not isinstance(data, dict):
            raise ValueError(f'expected an object such as {{"boxes": ...}}, got {data!r:.40}')
        row = {key: value for key, value in data.items() if key in table.EDIT_KEYS}
    masks = [name for suffix, name in members.items() if suffix in MASK_SUFFIXES]
    return {**row, "mask": masks} if masks else row


def _open_tar(shard: str) -> tarfile.TarFile:
    if not storage.is_remote(shard):
        return tarfile.open(shard, "r:")
    return tarfile.open(fileobj=storage.open_stream(shard), mode="r:")
