"""Photos inside of files: Parquet and Arrow as Hugging Face datasets have them, and tars."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats import table
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, items_of
from segment2inpaint.dataset.names import is_photo, output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset, BadImage

TABLES = (".parquet", ".arrow")
SOME = 64  # rows looked at together
MAGIC = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"II*\0": ".tif",
         b"MM\0*": ".tif", b"BM": ".bmp"}  # fmt: skip


@dataclass(frozen=True)
class ParquetSource:
    """A folder of Parquet files, or of a dataset saved to disk, with a column of pictures.

    A column ``objects`` (``bbox`` as x, y, width, height; ``category``) makes the prompts, else
    ``base`` is for all.
    """

    path: str
    base: Json
    pick: AnnotationFilter
    kind = "hf"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """The chosen objects of each row. Raises ``BadDataset``."""
        names = [name for name in storage.walk(self.path) if name.endswith(TABLES)]
        annotated = False
        for name in names:
            file = storage.join(self.path, name)
            try:
                column, labels, has_objects = _schema(file)
            except (ValueError, OSError) as error:
                why = str(error).splitlines()[0]
                raise BadDataset(f"{file}: not a readable table: {why}") from error
            annotated |= has_objects
            if has_objects and labels:
                self.pick.check(labels, file)
            for number, row in _heads(file, column, has_objects):
                where = f"{name}: row {number}"
                suffix = _suffix(row[column])
                output = output_name(f"{PurePosixPath(name).with_suffix('')}/{number:06d}{suffix}")
                photo = f"{file}#row={number},{column}"
                if not has_objects:
                    yield EditItem(photo, output, self.base, where)
                    continue
                found = list(_objects(row["objects"], labels, where))
                yield from items_of(photo, output, found, self.pick, self.base, where)
        if not names:
            raise BadDataset(f"{self.path}: no {' or '.join(TABLES)} files")

    def updated(self, gone: set[str]) -> Iterator[tuple[str, bytes]]:
        """``to_hf`` makes the new dataset."""
        return iter(())


@dataclass(frozen=True)
class WebDatasetSource:
    """WebDataset shards: a photo and what has the same key. ``x.json`` may hold a row's prompts
    (see ``rows``), ``x.mask.png`` is an own mask; else ``base`` is for all."""

    path: str
    base: Json
    kind = "webdataset"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """The photos of all shards, in order. Raises ``BadDataset``."""
        folder = not self.path.endswith(".tar")
        names = [n for n in storage.walk(self.path) if n.endswith(".tar")] if folder else [""]
        for name in names:
            shard = storage.join(self.path, name) if name else self.path
            yield from self._shard(shard, name or os.path.basename(shard))

    def updated(self, gone: set[str]) -> Iterator[tuple[str, bytes]]:
        """Prompts are not annotations."""
        return iter(())

    def _shard(self, shard: str, name: str) -> Iterator[EditItem | InvalidRow]:
        try:
            for key, parts in _samples(shard):
                yield from self._sample(shard, name, key, parts)
        except (tarfile.TarError, OSError) as error:
            yield InvalidRow(name, f"not a readable tar: {error}")

    def _sample(
        self, shard: str, name: str, key: str, parts: dict[str, str]
    ) -> Iterator[EditItem | InvalidRow]:
        where = f"{name}: {key}"
        photos = [end for end in parts if is_photo(f"x.{end}") and "." not in end]
        if len(photos) != 1:
            yield InvalidRow(where, f"expected one photo, got {', '.join(photos) or 'none'}")
            return
        row: Json = {}
        try:
            if "json" in parts:
                row = {
                    k: v
                    for k, v in json.loads(storage.read(parts["json"])).items()
                    if k in table.ASKED
                }
            masks = [parts[end] for end in parts if end in ("mask.png", "seg.png")]
            request = table.request_of({**row, **({"mask": masks} if masks else {})}, self.base)
        except (ValueError, TypeError, AttributeError, BadImage) as error:
            yield InvalidRow(where, f"{key}.json: {error}")
            return
        output = output_name(f"{name.removesuffix('.tar')}/{key}.{photos[0]}")
        yield EditItem(parts[photos[0]], output, request, where)


def read_input(name: str) -> bytes:
    """Return the bytes of a photo, mask or plate: a file, part of one, or a row of a table.

    Raises ``BadImage``.
    """
    found = storage.ROW.match(name)
    if not found:
        return storage.read(name)
    with storage.reading(name):
        return picture(found["file"], int(found["row"]), found["column"])


def picture(file: str, row: int, column: str) -> bytes:
    """The file of a picture in a table: its bytes, or those at its path. Raises ``OSError``."""
    value = _cell(file, row, column)
    if not value:
        raise OSError("there is no picture in this row")
    if isinstance(value, bytes):
        return value
    if value.get("bytes"):
        return bytes(value["bytes"])
    return storage.read(storage.join(file.rpartition("/")[0], value["path"]))


def _cell(file: str, row: int, column: str) -> Any:
    if file.endswith(".arrow"):
        return _arrow(file)[column][row].as_py()
    first, group = 0, 0
    for group, count in enumerate(_groups(file)):
        if row < first + count:
            return _group(file, group, column)[column][row - first].as_py()
        first += count
    raise OSError(f"no row {row}")


@lru_cache(2)
def _groups(file: str) -> tuple[int, ...]:
    meta = _parquet(file).metadata
    return tuple(meta.row_group(i).num_rows for i in range(meta.num_row_groups))


@lru_cache(2)
def _group(file: str, group: int, column: str) -> Any:
    return _parquet(file).read_row_group(group, columns=[column])


@lru_cache(2)
def _parquet(file: str) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(_stream(file) if storage.is_remote(file) else file)


@lru_cache(2)
def _arrow(file: str) -> Any:
    import pyarrow

    source = _stream(file) if storage.is_remote(file) else pyarrow.memory_map(file)
    return pyarrow.ipc.open_stream(source).read_all()


def _schema(file: str) -> tuple[str, list[str], bool]:
    """The column of pictures, the names of categories, whether objects are annotated."""
    schema = _arrow(file).schema if file.endswith(".arrow") else _parquet(file).schema_arrow
    notes = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = notes.get("info", {}).get("features", {})
    named = [n for n, f in features.items() if isinstance(f, dict) and f.get("_type") == "Image"]
    shaped = [f.name for f in schema if str(f.type).startswith("struct<bytes: binary")]
    columns = named or shaped or [n for n in ("image", "photo") if n in schema.names]
    if not columns:
        raise BadDataset(f"{file}: no column of pictures; there are {', '.join(schema.names)}")
    return columns[0], _class_names(features.get("objects")), "objects" in schema.names


def _class_names(feature: Any) -> list[str]:
    """The names of the first ``ClassLabel`` in a description of features."""
    if isinstance(feature, list):
        return next((names for one in feature if (names := _class_names(one))), [])
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") == "ClassLabel":
        return [str(name) for name in feature["names"]]
    return _class_names(list(feature.values()))


def _heads(file: str, column: str, objects: bool) -> Iterator[tuple[int, Any]]:
    """Each row's number, picture and objects, a few rows in memory at a time."""
    columns = [column, "objects"] if objects else [column]
    if file.endswith(".arrow"):
        batches = _arrow(file).select(columns).to_batches(max_chunksize=SOME)
    else:
        batches = _parquet(file).iter_batches(batch_size=SOME, columns=columns)
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            yield number, row
            number += 1


def _suffix(value: Any) -> str:
    if isinstance(value, dict) and value.get("path") and is_photo(value["path"]):
        return PurePosixPath(value["path"]).suffix
    data = value if isinstance(value, bytes) else (value or {}).get("bytes") or b""
    if data[4:12] == b"ftypavif":
        return ".avif"
    return next((end for magic, end in MAGIC.items() if data.startswith(magic)), ".png")


def _objects(value: Any, labels: list[str], where: str) -> Iterator[Annotation]:
    """The objects of a row: a struct of lists, or a list of structs."""
    if isinstance(value, list):
        value = {key: [one[key] for one in value] for key in (value[0] if value else {})}
    value = value or {}
    kinds = value.get("category") or value.get("categories") or value.get("label") or []
    for number, (x, y, w, h) in enumerate(value.get("bbox") or []):
        kind = kinds[number] if number < len(kinds) else ""
        label = labels[kind] if isinstance(kind, int) and kind < len(labels) else str(kind)
        name = f"{where}, object {number}"
        yield Annotation(name, label, name, (x, y, x + w, y + h), area=w * h)


def _samples(shard: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Keys and, by what follows the first dot, where the bytes are."""
    key = ""
    parts: dict[str, str] = {}
    with _opened(shard) as tar:
        for member in tar:
            folder, _, name = member.name.rpartition("/")
            stem, dot, end = name.partition(".")
            if not member.isfile() or not stem or not dot:
                continue
            own = f"{folder}/{stem}" if folder else stem
            if own != key and parts:
                yield key, parts
                parts = {}
            key = own
            parts[end.lower()] = f"{shard}#{member.offset_data}+{member.size}"
    if parts:
        yield key, parts


def _opened(shard: str) -> tarfile.TarFile:
    if not storage.is_remote(shard):
        return tarfile.open(shard, "r:")
    return tarfile.open(fileobj=_stream(shard), mode="r:")


def _stream(file: str) -> Any:
    import fsspec

    return fsspec.open(file, "rb").open()
