"""Photos inside of larger files: Hugging Face tables (Parquet, Arrow) and WebDataset tar files."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats import table
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, edit_items
from segment2inpaint.dataset.inputs import open_parquet, read_arrow
from segment2inpaint.dataset.names import is_photo, output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset, BadImage

TABLE_SUFFIXES = (".parquet", ".arrow")
PICTURE_COLUMNS = ("image", "photo")  # names of a picture column that the schema does not mark
MASK_SUFFIXES = ("mask.png", "seg.png")  # members of a tar file that are masks
ROWS_PER_BATCH = 64  # rows in memory at a time
SUFFIX_BY_MAGIC = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"II*\0": ".tif",
                   b"MM\0*": ".tif", b"BM": ".bmp"}  # fmt: skip


@dataclass(frozen=True)
class ParquetSource:
    """A folder of Parquet files, or a dataset saved to disk by Hugging Face ``datasets``.

    The table has a column of pictures. A column ``objects`` (``bbox`` as x, y, width, height;
    ``category``) supplies the prompts; without it, the prompts of ``base`` apply to every row.
    """

    path: str
    base: Json
    annotation_filter: AnnotationFilter
    kind = "hf"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each row. Raises ``BadDataset``."""
        names = [name for name in storage.list_files(self.path) if name.endswith(TABLE_SUFFIXES)]
        if not names:
            raise BadDataset(f"{self.path}: no {' or '.join(TABLE_SUFFIXES)} files")
        for name in names:
            yield from self._file_items(name)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield nothing: ``dataset.to_hf`` makes the new dataset."""
        return iter(())

    def _file_items(self, name: str) -> Iterator[EditItem]:
        file = storage.join(self.path, name)
        try:
            column, labels, has_objects = _parse_schema(file)
        except (ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise BadDataset(f"{file}: not a readable table: {reason}") from error
        if has_objects and labels:
            self.annotation_filter.check_categories(labels, file)
        for number, row in _read_rows(file, column, has_objects):
            where = f"{name}: row {number}"
            stem = f"{PurePosixPath(name).with_suffix('')}/{number:06d}"
            output = output_name(stem + _photo_suffix(row[column]))
            photo = f"{file}#row={number},{column}"
            if not has_objects:
                yield EditItem(photo, output, self.base, where)
                continue
            objects = list(_annotations(row["objects"], labels, where))
            yield from edit_items(photo, output, objects, self.annotation_filter, self.base, where)


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
        if self.path.endswith(".tar"):
            yield from self._shard_items(self.path, os.path.basename(self.path))
            return
        for name in storage.list_files(self.path):
            if name.endswith(".tar"):
                yield from self._shard_items(storage.join(self.path, name), name)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield nothing: the prompts in a shard are not annotations."""
        return iter(())

    def _shard_items(self, shard: str, name: str) -> Iterator[EditItem | InvalidRow]:
        try:
            for key, members in _samples(shard):
                yield self._sample_item(name, key, members)
        except (tarfile.TarError, OSError) as error:
            yield InvalidRow(name, f"not a readable tar: {error}")

    def _sample_item(self, name: str, key: str, members: dict[str, str]) -> EditItem | InvalidRow:
        """Return the item of a sample, whose members are given by suffix as in ``_samples``."""
        where = f"{name}: {key}"
        photos = [end for end in members if is_photo(f"x.{end}") and "." not in end]
        if len(photos) != 1:
            return InvalidRow(where, f"expected one photo, got {', '.join(photos) or 'none'}")
        try:
            request = table.row_request(_sample_row(members), self.base)
        except (ValueError, TypeError, AttributeError, BadImage) as error:
            return InvalidRow(where, f"{key}.json: {error}")
        output = output_name(f"{name.removesuffix('.tar')}/{key}.{photos[0]}")
        return EditItem(members[photos[0]], output, request, where)


# --- tables -----------------------------------------------------------------------------------


def _parse_schema(file: str) -> tuple[str, list[str], bool]:
    """Return the picture column, the class names, and whether there is a column ``objects``."""
    schema = read_arrow(file).schema if file.endswith(".arrow") else open_parquet(file).schema_arrow
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = metadata.get("info", {}).get("features", {})
    marked = [n for n, f in features.items() if isinstance(f, dict) and f.get("_type") == "Image"]
    structs = [f.name for f in schema if str(f.type).startswith("struct<bytes: binary")]
    columns = marked or structs or [name for name in PICTURE_COLUMNS if name in schema.names]
    if not columns:
        raise BadDataset(f"{file}: no column of pictures; there are {', '.join(schema.names)}")
    return columns[0], _class_names(features.get("objects")), "objects" in schema.names


def _class_names(feature: Any) -> list[str]:
    """Return the names of the first ``ClassLabel`` in a description of Hugging Face features."""
    if isinstance(feature, list):
        return next((names for part in feature if (names := _class_names(part))), [])
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") == "ClassLabel":
        return [str(name) for name in feature["names"]]
    return _class_names(list(feature.values()))


def _read_rows(file: str, column: str, has_objects: bool) -> Iterator[tuple[int, Any]]:
    """Yield the number of each row, and its picture and objects as a dictionary."""
    columns = [column, "objects"] if has_objects else [column]
    if file.endswith(".arrow"):
        batches = read_arrow(file).select(columns).to_batches(max_chunksize=ROWS_PER_BATCH)
    else:
        batches = open_parquet(file).iter_batches(batch_size=ROWS_PER_BATCH, columns=columns)
    rows = (row for batch in batches for row in batch.to_pylist())
    yield from enumerate(rows)


def _photo_suffix(value: Any) -> str:
    """Return the file name suffix for the picture of a cell, from its path or its first bytes."""
    if isinstance(value, dict) and value.get("path") and is_photo(value["path"]):
        return PurePosixPath(value["path"]).suffix
    data = value if isinstance(value, bytes) else (value or {}).get("bytes") or b""
    if data[4:12] == b"ftypavif":
        return ".avif"
    return next((end for magic, end in SUFFIX_BY_MAGIC.items() if data.startswith(magic)), ".png")


def _annotations(value: Any, labels: list[str], where: str) -> Iterator[Annotation]:
    """Yield the objects of a row, which are a struct of lists or a list of structs."""
    if isinstance(value, list):
        value = {key: [record[key] for record in value] for key in (value[0] if value else {})}
    value = value or {}
    categories = value.get("category") or value.get("categories") or value.get("label") or []
    for number, (x, y, w, h) in enumerate(value.get("bbox") or []):
        category = categories[number] if number < len(categories) else ""
        if isinstance(category, int) and category < len(labels):
            category = labels[category]
        name = f"{where}, object {number}"
        yield Annotation(name, str(category), name, (x, y, x + w, y + h), area=w * h)


# --- tar files --------------------------------------------------------------------------------


def _samples(shard: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the key of each sample, and the storage names of its members by suffix.

    As in WebDataset, the suffix is what follows the first dot of the member's name.
    """
    key = ""
    members: dict[str, str] = {}
    with _open_tar(shard) as tar:
        for member in tar:
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


def _sample_row(members: dict[str, str]) -> Json:
    """Return the table row of a sample: the known keys of its JSON, and its masks."""
    row: Json = {}
    if "json" in members:
        data = json.loads(storage.read(members["json"]))
        row = {key: value for key, value in data.items() if key in table.EDIT_KEYS}
    masks = [name for suffix, name in members.items() if suffix in MASK_SUFFIXES]
    return {**row, "mask": masks} if masks else row


def _open_tar(shard: str) -> tarfile.TarFile:
    if not storage.is_remote(shard):
        return tarfile.open(shard, "r:")
    return tarfile.open(fileobj=storage.open_stream(shard), mode="r:")
