"""``manifest.jsonl`` and ``manifest.parquet``: a row for each object, sorted by output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.run_types import Json, own_version

SOME = 1000  # rows in memory
COLUMNS: dict[str, str] = {
    "photo": "string", "output": "string", "mask": "string", "where": "string", "id": "string",
    "label": "string", "status": "string", "error": "string", "verdict": "string",
    "checks": "json", "attempts": "int32", "box": "box", "area": "int64", "changed": "int64",
    "changed_outside": "int64", "detector": "string", "inpainter": "string", "request": "json",
    "key": "string", "photo_sha256": "string", "output_sha256": "string",
    "mask_sha256": "string", "version": "string", "versions": "json", "seconds": "float64",
    "timings": "json",
}  # fmt: skip


def rows(records: Iterable[Json]) -> Iterator[Json]:
    """The rows of all photos, with every column."""
    for record in records:
        for row in record["rows"]:
            yield {**dict.fromkeys(COLUMNS), **row, "version": own_version()}


def write(out: str, records: Iterable[Json]) -> int:
    """Write both files; the number of rows."""
    count = 0
    names = (storage.join(out, f"manifest.{end}") for end in ("jsonl", "parquet"))
    with storage.writing(next(names)) as lines, storage.writing(next(names)) as table:
        writer = _writer(table)
        every = rows(records)
        while some := list(islice(every, SOME)):
            count += len(some)
            lines.write("".join(json.dumps(row) + "\n" for row in some).encode())
            writer.write_table(_table(some))
        writer.close()
    return count


def _table(some: list[Json]) -> Any:
    import pyarrow

    columns = {name: [_cell(kind, row[name]) for row in some] for name, kind in COLUMNS.items()}
    return pyarrow.table(columns, schema=_schema())


def _cell(kind: str, value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if kind == "json" and value is not None else value


def _writer(file: BinaryIO) -> Any:
    from pyarrow import parquet

    return parquet.ParquetWriter(file, _schema(), compression="zstd")


def _schema() -> Any:
    import pyarrow

    kinds = {
        "string": pyarrow.string(), "json": pyarrow.string(), "int32": pyarrow.int32(),
        "int64": pyarrow.int64(), "float64": pyarrow.float64(),
        "box": pyarrow.list_(pyarrow.int32()),
    }  # fmt: skip
    return pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])


def to_hf(out: str | Path) -> Any:
    """The results of a run as a Hugging Face ``datasets.Dataset``, a row for each object done.

    ``image`` and, if masks were written, ``mask`` are pictures; the other columns are the
    manifest's. Needs ``pip install datasets``.
    """
    import datasets
    from pyarrow import compute, parquet

    folder = str(out)
    table = parquet.read_table(Path(folder, "manifest.parquet"))
    table = table.filter(compute.equal(table["status"], "done"))
    masked = any(table["mask"].to_pylist())
    for column, source in (("image", "output"), ("mask", "mask")):
        if column == "image" or masked:
            files = [storage.join(folder, name) for name in table[source].to_pylist()]
            table = _with(table, column, files)
    found = datasets.Dataset(table)
    for column in ("image", "mask") if masked else ("image",):
        found = found.cast_column(column, datasets.Image())
    return found


def _with(table: Any, column: str, values: list[str]) -> Any:
    import pyarrow

    if column in table.column_names:
        table = table.drop_columns([column])
    return table.append_column(column, pyarrow.array(values, pyarrow.string()))
