"""An SQLite connection for texts that are not valid UTF-8, and the counts of a plan.

SQLite refuses such texts, for example file names from other systems. They are stored as their
bytes instead, and read as they were.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from segment2inpaint.dataset.text_files import is_utf8


class SurrogateConnection(sqlite3.Connection):
    """A connection that stores a text with lone surrogates as a blob, and reads blobs as text.

    Use ``execute`` and ``executemany`` of the connection for statements with parameters.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.row_factory = _read_row

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> sqlite3.Cursor:  # type: ignore[override]
        return super().execute(sql, [_storable(value) for value in parameters])

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> sqlite3.Cursor:  # type: ignore[override]
        return super().executemany(sql, [[_storable(v) for v in row] for row in parameters])


def _storable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    data = value.encode("utf-8", "surrogatepass")
    return value if is_utf8(data) else data


def _read_row(_: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(v.decode("utf-8", "surrogatepass") if isinstance(v, bytes) else v for v in row)


@dataclass(frozen=True)
class PlanCounts:
    """Sizes of a run.

    Attributes:
        photos: all photos.
        objects: the objects to edit.
        copies: the photos without an object.
        processed: the photos with a record.
        failed: those of them that failed.
        done: those of them in which no object failed.
        copied: those of them that are as they were.
        invalid: the records that cannot be used.
        unmatched: the records that match nothing, such as an annotation without a photo.
    """

    photos: int
    objects: int
    copies: int
    processed: int
    failed: int
    done: int
    copied: int
    invalid: int
    unmatched: int
