"""Rows of a table that describe one object: those with the same photo, output and id."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from segment2inpaint.dataset.formats.row_files import Row

AsList = Callable[[str, Any], list[Any]]
"""Returns the prompts in the value of a key such as ``points`` as a list."""


@dataclass
class _Group:
    """The rows of an object so far: their merged content, and the line of the first."""

    number: int
    row: dict[str, Any]


class RowGroups:
    """Merges the rows of each object.

    ``rows`` are read once to count the rows of each object, so that ``add`` knows which is its
    last. ``prompt_keys`` are the keys whose values add up; ``as_list`` parses them.
    """

    def __init__(self, rows: Iterable[Row], prompt_keys: Iterable[str], as_list: AsList) -> None:
        keys = Counter(_object_key(row) for _, row in rows)
        self._left = {key: count for key, count in keys.items() if key and count > 1}
        self._groups: dict[int, _Group] = {}
        self._prompt_keys = frozenset(prompt_keys)
        self._as_list = as_list

    def add(self, number: int, row: Mapping[str, Any]) -> None:
        """Add a valid row, without null values, to its object.

        Raises ``ValueError`` if it repeats an earlier row or contradicts one.
        """
        key = _object_key(row)
        if key not in self._left:
            return
        group = self._groups.setdefault(key, _Group(number, {}))
        merged = dict(group.row)
        for name, value in row.items():
            merged[name] = self._merged(name, merged.get(name), value, group.number)
        if merged == group.row:
            raise ValueError(f"repeats an earlier row for {row['photo']}; delete one of them")
        group.row = merged

    def take(self, number: int, row: Any) -> tuple[int, Any] | None:
        """Return the line and content of an object after its last row, None before.

        A row of its own is returned as it is. Call it once for each row, also for invalid ones.
        """
        key = _object_key(row)
        if key not in self._left:
            return number, row
        self._left[key] -= 1
        if self._left[key]:
            return None
        group = self._groups.pop(key, None)
        return (group.number, group.row) if group else None

    def _merged(self, name: str, old: Any, value: Any, number: int) -> Any:
        if name in self._prompt_keys:
            old, new = old or [], self._as_list(name, value)
            return [*old, *(prompt for prompt in new if prompt not in old)]
        if name == "photo":  # in one of several spellings
            return old or value
        if old is not None and old != value:
            raise ValueError(
                f"{name} is {value!r:.40}, but line {number} has {old!r:.40} for the same photo "
                "and id; expected one value for an object"
            )
        return value


def _object_key(row: Any) -> int:
    """Return a number that rows of one object share; 0 for a row without an id."""
    if not isinstance(row, Mapping) or row.get("id") in (None, ""):
        return 0
    photo = posixpath.normpath(str(row.get("photo")))
    return hash((photo, row.get("output") and str(row["output"]), str(row["id"]))) or 1
