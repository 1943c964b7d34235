"""An SQLite connection for texts that are not valid UTF-8, such as file names from other systems.

SQLite refuses them. They are stored as their bytes instead, and read as they were.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
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
