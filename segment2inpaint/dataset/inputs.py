"""Read input files (photos, masks, clean plates), also from table rows, and detect changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from segment2inpaint import extras
from segment2inpaint.dataset import storage
from segment2inpaint.errors import Segment2InpaintError

FileVersion = tuple[str, str]
"""The state of a file when it was read: ``storage.fingerprint`` and the SHA-256 digest."""


def read_input(name: str) -> bytes:
    """Return the bytes of a file, of a range of one, or of the picture in a table row.

    Raises ``BadImage``.
    """
    match = storage.TABLE_ROW.match(name)
    if not match:
        return storage.read(name)
    with storage.errors_as_bad_image(name):
        return _read_picture(match["file"], int(match["row"]), match["column"])


def digest(data: bytes) -> str:
    """Return the SHA-256 digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def file_version(name: str) -> FileVersion:
    """Return the current version of an input file. Raises ``BadImage``."""
    return storage.fingerprint(name), digest(read_input(name))


def is_unchanged(name: str, version: Sequence[Any]) -> bool:
    """Return whether an input file still has a version: its fingerprint, or else its content."""
    fingerprint, content = str(version[0]), str(version[1])
    if fingerprint and storage.fingerprint(name) == fingerprint:
        return True
    try:
        return digest(read_input(name)) == content
    except Segment2InpaintError:
        return False


# --- tables -----------------------------------------------------------------------------------


@lru_cache(2)
def open_parquet(file: str) -> Any:
    """Return the ``pyarrow.parquet.ParquetFile`` of a path or URL; the last two are cached.

    Raises ``PackageMissing`` without pyarrow.
    """
    extras.require("parquet", file)
    from pyarrow import parquet

    return parquet.ParquetFile(storage.open_stream(file) if storage.is_remote(file) else file)


@lru_cache(2)
def read_arrow(file: str) -> Any:
    """Return the ``pyarrow.Table`` of an Arrow stream file; the last two are cached.

    Raises ``PackageMissing`` without pyarrow.
    """
    extras.require("parquet", file)
    import pyarrow

    source = storage.open_stream(file) if storage.is_remote(file) else pyarrow.memory_map(file)
    return pyarrow.ipc.open_stream(source).read_all()


def cell_path(file: str, path: str) -> str:
    """Return the name of the file that a cell of a table names, relative to the table's folder."""
    if storage.is_remote(path) or os.path.isabs(path):
        return path
    return storage.join(file.rpartition("/")[0], path)


def _read_picture(file: str, row: int, column: str) -> bytes:
    """Return the picture of a cell: its bytes, or the file at its path. Raises ``OSError``."""
    value = _read_cell(file, row, column)
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if not value:
        raise OSError("there is no picture in this row")
    return value if isinstance(value, bytes) else storage.read(cell_path(file, str(value)))


def _read_cell(file: str, row: int, column: str) -> Any:
    if file.lower().endswith(".arrow"):
        return read_arrow(file)[column][row].as_py()
    first = 0
    for group, count in enumerate(_row_group_sizes(file)):
        if row < first + count:
            return _read_row_group(file, group, column)[column][row - first].as_py()
        first += count
    raise OSError(f"no row {row}")


@lru_cache(2)
def _row_group_sizes(file: str) -> tuple[int, ...]:
    metadata = open_parquet(file).metadata
    return tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))


@lru_cache(2)
def _read_row_group(file: str, group: int, column: str) -> Any:
    return open_parquet(file).read_row_group(group, columns=[column])
