"""Read the records of a source so that a failure of its reader costs no record before it."""

from __future__ import annotations

from collections.abc import Iterator

from segment2inpaint.dataset.formats.registry import Source
from segment2inpaint.dataset.run_types import EditItem, InvalidRow
from segment2inpaint.errors import ModelMissing, Segment2InpaintError

MAX_MESSAGE = 200  # characters of the message of an unexpected exception


def read_records(source: Source) -> Iterator[EditItem | InvalidRow]:
    """Yield the records of a source; an exception of its reader becomes the last, invalid one.

    Raises the ``Segment2InpaintError`` of a source that yields nothing before it.
    """
    count, where = 0, ""
    try:
        for record in source.items():
            count, where = count + 1, record.where
            yield record
    except Segment2InpaintError as error:
        if not count or isinstance(error, ModelMissing):
            raise
        yield InvalidRow(_place(source, count, where), f"{error}; the rest was not read")
    except Exception as error:  # noqa: BLE001 - whatever is in the file, the user gets one line
        message = f"cannot be read: {describe(error)}; the rest was not read"
        yield InvalidRow(_place(source, count, where), message)


def describe(error: Exception) -> str:
    """Return an unexpected exception as one short line."""
    try:
        text = " ".join(str(error).split())[:MAX_MESSAGE]
    except Exception:  # noqa: BLE001 - an exception whose text cannot be made
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _place(source: Source, count: int, where: str) -> str:
    """Return where the record after the last one that was read is."""
    if not count:
        return f"{source.path}: first record"
    return f"{source.path}: record {count + 1}, after {where}"
