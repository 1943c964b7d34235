"""``manifest.jsonl`` and ``manifest.parquet``: a row for each object, sorted by output name.

Names that are not UTF-8 on disk are escaped in ``manifest.jsonl``, so that Python's ``json`` reads
them as they are; in ``manifest.parquet``, which has UTF-8 only, their other bytes are ``\\xe9``.
The table needs the extra ``[parquet]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from segment2inpaint import extras
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.names import printable
from segment2inpaint.dataset.run_types import Json, package_version

PART_NAME = re.compile(r"^manifest-\d{5}-of-\d{5}\.(jsonl|parquet)$")
ROWS_PER_BATCH = 1000  # rows in memory at a time
COLUMNS: dict[str, str] = {
    "photo": "string", "output": "string", "mask": "string", "where": "string", "id": "string",
    "label": "string", "status": "string", "error": "string", "verdict": "string",
    "checks": "json", "attempts": "int32", "box": "box", "area": "int64", "changed": "int64",
    "changed_outside": "int64", "detector": "string", "inpainter": "string", "request": "json",
    "key": "string", "photo_sha256": "string", "output_sha256": "string",
    "mask_sha256": "string", "version": "string", "versions": "json", "seconds": "float64",
    "timings": "json", "note": "string", "score": "float64",
    "probability": "float64", "reason": "string", "sentence": "string", "action": "json",
    "actions": "json",
}  # fmt: skip


def rows(records: Iterable[Json]) -> Iterator[Json]:
    """Yield the manifest rows in records of the results log, each with every column."""
    for record in records:
        for row in record["rows"]:
            yield {**dict.fromkeys(COLUMNS), **row, "version": package_version()}


def write(out: str, records: Iterable[Json], part: str = "") -> int:
    """Write both manifests into the output folder, and return the number of rows.

    ``part`` is the label of a shard, for the names of its files. Without pyarrow,
    ``manifest.jsonl`` is written alone.
    """
    count = 0
    name = storage.join(out, f"manifest-{part}" if part else "manifest")
    with storage.open_atomic(f"{name}.jsonl") as lines, _open_table(f"{name}.parquet") as table:
        all_rows = rows(records)
        while batch := list(islice(all_rows, ROWS_PER_BATCH)):
            count += len(batch)
            lines.write("".join(json.dumps(row) + "\n" for row in batch).encode())
            if table:
                table.write_table(_table(batch))
    return count


@contextmanager
def _open_table(name: str) -> Iterator[Any]:
    """Yield the ``pyarrow.parquet.ParquetWriter`` of a file.

    Without pyarrow, yield None, and delete the file of an earlier run.
    """
    if not extras.is_installed("parquet"):
        storage.delete(name)
        yield None
        return
    from pyarrow import parquet

    with (
        storage.open_atomic(name) as file,
        parquet.ParquetWriter(file, _schema(), compression="zstd") as writer,
    ):
        yield writer


def delete_parts(out: str) -> None:
    """Delete the manifests of shards in a local output folder, once they are joined."""
    if not storage.is_remote(out):
        for path in Path(out).glob("manifest-*-of-*.*"):
            if PART_NAME.match(path.name):
                path.unlink(missing_ok=True)


def _table(batch: list[Json]) -> Any:
    """Return rows as a ``pyarrow.Table``, by way of JSON: ``pyarrow.table`` imports pandas."""
    from pyarrow.json import ParseOptions, ReadOptions, read_json

    cells = ({name: _cell(kind, row[name]) for name, kind in COLUMNS.items()} for row in batch)
    lines = "".join(json.dumps(row) + "\n" for row in cells).encode()
    one_block = ReadOptions(use_threads=False, block_size=len(lines))
    return read_json(BytesIO(lines), one_block, ParseOptions(explicit_schema=_schema()))


def _cell(kind: str, value: Any) -> Any:
    if kind == "json" and value is not None:
        return json.dumps(value, sort_keys=True)
    return printable(value) if isinstance(value, str) else value


def _schema() -> Any:
    import pyarrow

    types = {
        "string": pyarrow.string(), "json": pyarrow.string(), "int32": pyarrow.int32(),
        "int64": pyarrow.int64(), "float64": pyarrow.float64(),
        "box": pyarrow.list_(pyarrow.int32()),
    }  # fmt: skip
    return pyarrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])


def to_hf(out: str | Path) -> Any:
    """Return the results of a run as a Hugging Face ``datasets.Dataset``.

    It has a row for each object with the status ``done``. The columns ``image`` and, if masks were
    written, ``mask`` hold pictures; the others are those of the manifest. ``out`` is the output
    folder. Raises ``PackageMissing`` without the package ``datasets``.
    """
    extras.require("datasets", "to_hf")
    import datasets
    from pyarrow import compute, parquet

    folder = str(out)
    table = parquet.read_table(Path(folder, "manifest.parquet"))
    table = table.filter(compute.equal(table["status"], "done"))
    lines = storage.read_lines(storage.join(folder, "manifest.jsonl"))
    rows = [row for row in map(json.loads, lines) if row["status"] == "done"]
    has_masks = any(row["mask"] for row in rows)
    columns = {"image": "output", "mask": "mask"} if has_masks else {"image": "output"}
    for column, name_column in columns.items():
        files = [storage.join(folder, row[name_column]) for row in rows]
        table = _with_column(table, column, _pictures(files))
    dataset = datasets.Dataset(table)
    for column in columns:
        dataset = dataset.cast_column(column, datasets.Image())
    return dataset


def _pictures(files: list[str]) -> list[Any]:
    """Return the values of a column of pictures: paths, or bytes if a path is not UTF-8."""
    if all(printable(file) == file for file in files):
        return files
    return [{"bytes": storage.read(file), "path": printable(file)} for file in files]


def _with_column(table: Any, name: str, values: list[Any]) -> Any:
    import pyarrow

    if name in table.column_names:
        table = table.drop_columns([name])
    return table.append_column(name, pyarrow.array(values, None if values else pyarrow.string()))
