"""The rows of JSONL and CSV files, in the encodings and dialects that programs write.

A row that cannot be read is an exception in its place, so that it does not cost the others.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.text_files import (
    check_decoded,
    decode_lines,
    split_lines,
    wide_encoding,
)
from segment2inpaint.errors import BadDataset

CSV_SUFFIXES = (".csv", ".tsv")
SEPARATORS = ",;\t|"
WIDE = ("utf-16", "utf-32")  # encodings whose ASCII letters have NUL bytes
MAX_CELL = min(sys.maxsize, 2**31 - 1)  # characters; the csv module allows 131072 by default

Row = tuple[int, Any]
"""The line number of a row, and its content or the exception that says why it has none."""


def read_rows(path: str) -> Iterator[Row]:
    """Yield the rows of a file. Raises ``BadDataset`` if its header has no column ``photo``."""
    if path.lower().endswith(CSV_SUFFIXES):
        yield from csv_records(path, "photo")
        return
    for number, line in enumerate(_text_lines(path), 1):
        if line.strip():
            yield number, _parse_line(line)


# --- JSONL ------------------------------------------------------------------------------------


def _text_lines(path: str) -> Iterator[str]:
    """Yield the lines of a text file; only one of UTF-16 or with CR ends is read at once."""
    lines = storage.read_lines(path)
    first = next(lines, b"")
    if wide_encoding(first)[1].startswith(WIDE):
        data = storage.read(path)
        if b"\0" in data.rstrip().rpartition(b"\n")[2]:  # else only the first line is damaged
            yield from split_lines(decode_lines(data))
            return
    for line in chain([first], lines):
        yield from split_lines(decode_lines(line))


def _parse_line(line: str) -> Any:
    """Return the content of a JSONL line, or a ``ValueError``."""
    try:
        check_decoded(line)
        return json.loads(line)
    except json.JSONDecodeError as error:
        return ValueError(f"not JSON: {error}")
    except RecursionError:
        return ValueError("not a row: its JSON is nested too deeply")
    except ValueError as error:
        return error


# --- CSV --------------------------------------------------------------------------------------


def csv_records(path: str, column: str) -> Iterator[Row]:
    """Yield the rows of a CSV file as dictionaries of the cells that are not empty.

    Column names are in lower case. Raises ``BadDataset`` if there is no ``column`` among them.
    """
    lines = list(io.StringIO(decode_lines(storage.read(path)), newline=""))
    first = next((i for i, line in enumerate(lines) if _has_cells(line)), len(lines))
    if first == len(lines):
        return
    columns, separator = _header(path, lines[first], column)
    with large_cells():
        for number, cells in read_records(lines, first + 1, separator):
            if isinstance(cells, ValueError):
                yield number, cells
            elif any(cells):
                yield number, _csv_row(columns, cells)


@contextmanager
def large_cells() -> Iterator[None]:
    """Let the csv module read cells of any size."""
    before = csv.field_size_limit(MAX_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _has_cells(line: str) -> bool:
    """Return whether a line is neither blank nor the separator that Excel writes first."""
    return bool(line.strip()) and not line.lower().startswith("sep=")


def _header(path: str, line: str, column: str) -> tuple[list[str], str]:
    """Return the column names and the separator with which ``column`` is one of them."""
    for separator in SEPARATORS:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
        names = [name.strip().lower() for name in cells]
        if column in names:
            return names, separator
    raise BadDataset(f"{path}: expected a column {column}, got {line.strip():.80}")


def read_records(lines: list[str], start: int, separator: str) -> Iterator[Row]:
    """Yield the line number and the cells of each record, which may extend over lines.

    After a record that cannot be read, reading goes on at the line that follows its first.
    """
    while start < len(lines):
        rest = (lines[i] for i in range(start, len(lines)))
        reader = csv.reader(rest, delimiter=separator, skipinitialspace=True, strict=True)
        number = start + 1
        try:
            cells = next(reader)
        except csv.Error as error:
            yield number, ValueError(f"not a row of a table: {error}; check its quotes")
            start += 1
            continue
        yield number, cells
        start += reader.line_num


def _csv_row(columns: list[str], cells: list[str]) -> dict[str, str] | ValueError:
    """Return the cells that are not empty by column, or a ``ValueError``."""
    extra = [cell for cell in cells[len(columns) :] if cell]
    if extra:
        return ValueError(f"more cells than columns, {extra!r:.60}; quote cells that hold a comma")
    row: dict[str, str] = {}
    for column, cell in zip(columns, cells, strict=False):
        if cell and row.get(column, cell) != cell:
            return ValueError(f"two columns {column!r} with different cells; delete one of them")
        if cell:
            row[column] = cell
    try:
        check_decoded("".join(cells))
    except ValueError as error:
        return error
    return row
