"""JSONL and CSV tables with a row for each object; rows of one photo are edited together.

Several rows with the same photo and ``id`` are one object.

Keys of a row (columns of a CSV), all optional except ``photo``:

* ``photo``: a path or URL, relative to the root; ``output``: the name of the result below the
  output folder; ``id`` and ``label``: copied to the manifest.
* ``points``, ``not_points``: ``[[x, y], ...]``, in CSV ``x,y;x,y``; ``boxes``: ``[[x0, y0, x1,
  y1], ...]``; ``colors``: ``#rrggbb`` or ``x,y``; ``text``: words; ``find``: ``text`` or
  ``face``; ``mask``, ``plate``: files.
* any field of ``Refine`` and ``Fill`` (``dilate``, ``prompt``, ``seed``, ...), ``detector``,
  ``inpainter``, ``verify``, ``attempts``; or ``request``: a whole request, as ``--json`` prints it.

The base request (the command line) supplies what a row leaves out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.records import RECORD_ERRORS, one_line
from segment2inpaint.dataset.formats.row_files import read_rows
from segment2inpaint.dataset.formats.row_groups import RowGroups
from segment2inpaint.dataset.names import check_file_name, output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset, Segment2InpaintError
from segment2inpaint.types import Fill, Refine

ROW_KEYS = {"photo", "output", "id", "label", "request"}
REFINE_KEYS = {f.name for f in fields(Refine)}
FILL_KEYS = {f.name for f in fields(Fill)}
REQUEST_KEYS = {"detector", "inpainter", "verify", "attempts"}
FILE_PROMPTS = ("mask", "plate")
LENGTH_KEYS = ("dilate", "feather")
TEXT_KEYS = {"dilate", "feather", "prompt", "negative_prompt", "detector", "inpainter", "picture",
             "picture_fit", "background", "protect"}  # fmt: skip
MAX_PIXEL = 2**31  # a larger coordinate lies in no photo
_NUMBERS = re.compile(r"[-+0-9.,\s]*\d")
ROW_ERRORS = (*RECORD_ERRORS, Segment2InpaintError)


@dataclass(frozen=True)
class TableSource:
    """The rows of a ``.jsonl`` or ``.csv`` file.

    ``root`` is the folder that file names are relative to, ``base`` the request as JSON that rows
    complete.
    """

    path: str
    root: str
    base: Json
    kind = "rows"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield an item for each object, or the reason why a row is invalid.

        Rows with the same photo and id are one object, whose prompts add up. Raises
        ``BadDataset`` if the table has no rows or no column for photos.
        """
        groups = RowGroups(read_rows(self.path), PROMPT_PARSERS, _as_list)
        number = 0
        for number, row in read_rows(self.path):
            try:
                if isinstance(row, Exception):
                    raise row
                item = self._parse_row(row, self._where(number))
                groups.add(number, _without_nulls(row))
            except ROW_ERRORS as error:
                yield InvalidRow(self._where(number), one_line(error))
                item = None
            if item or isinstance(row, Mapping):
                yield from self._finished(groups.take(number, row), number, item)
        if not number:
            raise BadDataset(f"{self.path}: no rows in it, expected one for each object")

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield nothing: rows are requests, not annotations."""
        return iter(())

    def _finished(
        self, found: tuple[int, Any] | None, number: int, item: EditItem | None
    ) -> Iterator[EditItem | InvalidRow]:
        """Yield the object that is complete after a row: ``item``, or one of several rows."""
        if found is None:
            return
        first, row = found
        if first == number:
            yield from [item] if item else []
            return
        try:
            yield self._parse_row(row, self._where(first))
        except ROW_ERRORS as error:
            yield InvalidRow(self._where(number), one_line(error))

    def _where(self, number: int) -> str:
        return f"{self.path}:{number}"

    def _parse_row(self, row: Any, where: str) -> EditItem:
        if not isinstance(row, Mapping):
            raise ValueError(f'expected an object such as {{"photo": ...}}, got {row!r:.40}')
        for key in row:
            if key not in KNOWN_KEYS:
                known = ", ".join(sorted(KNOWN_KEYS))
                raise ValueError(f"unknown key {key!r:.40}; known: {known}")
        row = _without_nulls(row)
        if "photo" not in row:
            raise ValueError("no photo; every row needs the key photo")
        photo = self._absolute_path(row["photo"], "photo")
        output = self._output(row["output"]) if row.get("output") else self._relative_name(photo)
        return EditItem(
            photo, output_name(output), self._request(row), where,
            id=str(row.get("id", "")), label=str(row.get("label", "")),
        )  # fmt: skip

    def _output(self, name: Any) -> str:
        check_file_name(name, "output")
        return str(name).replace("\\", "/")

    def _relative_name(self, photo: str) -> str:
        root = self.root.rstrip("/")
        if storage.is_remote(photo):
            is_below = photo.startswith(root + "/")
            relative = photo[len(root) + 1 :] if is_below else ""
        else:
            relative = Path(os.path.relpath(photo, root)).as_posix()
        if not relative or relative.startswith("../"):
            raise ValueError(
                f"{photo} is not below {root}; give --root, or add an output to the row"
            )
        return relative

    def _request(self, row: Mapping[str, Any]) -> Json:
        """Return the request of a row with absolute file names."""
        request = row_request(row, self.base)
        fill = request["fill"]
        if fill.get("picture"):
            request["fill"] = {**fill, "picture": self._absolute_path(fill["picture"], "picture")}
        if areas := request["refine"].get("protect"):
            areas = [self._with_absolute_paths(area) for area in areas]
            request["refine"] = {**request["refine"], "protect": areas}
        request["prompts"] = [self._with_absolute_paths(prompt) for prompt in request["prompts"]]
        return request

    def _with_absolute_paths(self, prompt: Json) -> Json:
        ((kind, value),) = prompt.items()
        if kind in FILE_PROMPTS and isinstance(value, str):
            return {kind: self._absolute_path(value, kind)}
        return prompt

    def _absolute_path(self, name: Any, key: str) -> str:
        check_file_name(name, key)
        if storage.is_remote(name) or os.path.isabs(name):
            return str(name)
        return storage.join(self.root, name)


def _without_nulls(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}


def row_request(row: Mapping[str, Any], base: Json) -> Json:
    """Return the request of a row as JSON, completed from ``base``; null is a missing value.

    Raises one of ``ROW_ERRORS`` for invalid values.
    """
    row = {key: _parse_value(key, value) for key, value in row.items() if value is not None}
    if "request" in row:
        data = row["request"]
        data = json.loads(data) if isinstance(data, str) else data
        if not isinstance(data, Mapping):
            raise ValueError(f"request must be a JSON object, got {data!r:.40}")
        base = {**base, **data.get("request", data)}  # --json prints the request among other data
    prompts = [
        prompt for key in PROMPT_PARSERS if key in row for prompt in PROMPT_PARSERS[key](row[key])
    ]
    refine = {key: _parse_refine(key, row[key]) for key in REFINE_KEYS if key in row}
    if areas := base.get("refine", {}).get("protect"):
        refine["protect"] = [*areas, *refine.get("protect", ())]
    return {
        **base,
        **{key: row[key] for key in REQUEST_KEYS if key in row},
        "refine": {**base.get("refine", {}), **refine},
        "fill": {**base.get("fill", {}), **{key: row[key] for key in FILL_KEYS if key in row}},
        "prompts": _merge_points(prompts) or base.get("prompts", []),
    }


# --- values -----------------------------------------------------------------------------------


def _parse_value(key: str, value: Any) -> Any:
    """Return text as a number or truth value where its key may hold one."""
    if not isinstance(value, str) or key in ROW_KEYS | PROMPT_PARSERS.keys() | TEXT_KEYS:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _parse_refine(key: str, value: Any) -> Any:
    """Return a length as text, a number being pixels, and protected areas as prompts."""
    if key == "protect":
        return list(_parse_protected(value))
    return str(value) if key in LENGTH_KEYS and isinstance(value, int | float) else value


def _parse_protected(value: Any) -> Iterator[Json]:
    """Yield a prompt for each area: a box, or the name of a mask file.

    ``value`` is one of them, a list of them, or text with ``;`` between them.
    """
    if isinstance(value, str):
        value = [part.strip() for part in value.split(";") if part.strip()]
    if not isinstance(value, list):
        raise ValueError(f"protect must be boxes or names of mask files, got {value!r:.60}")
    for area in [value] if value and isinstance(value[0], int | float) else value:
        if isinstance(area, dict):  # as the JSON of a request has it
            yield area
        elif isinstance(area, str) and not _NUMBERS.fullmatch(area):
            yield {"mask": area}
        else:
            yield {"box": _parse_numbers(area, 4, "X0,Y0,X1,Y1")[0]}


def _parse_numbers(value: Any, count: int, form: str) -> list[list[int]]:
    """Return lists of ``count`` numbers, rounded to whole pixels.

    ``value`` is one such list, a list of them, or text ``x,y;x,y``. ``form`` is the expected form
    for the message of the ``ValueError``.
    """
    try:
        if isinstance(value, str) and not value.lstrip().startswith("["):
            value = [part.split(",") for part in value.split(";") if part.strip()]
        elif isinstance(value, str):
            value = json.loads(value)
        if value and not isinstance(value[0], list | tuple):
            value = [value]
        tuples = [[_parse_pixel(number) for number in numbers] for numbers in value]
    except (TypeError, ValueError, LookupError, RecursionError):
        tuples = [[]]
    if any(len(numbers) != count for numbers in tuples):
        raise ValueError(f"expected {form} in photo pixels, got {value!r:.60}")
    return tuples


def _parse_pixel(value: Any) -> int:
    number = float(value)
    if not abs(number) < MAX_PIXEL:  # NaN too
        raise ValueError(f"not a place in a photo: {value!r:.40}")
    return round(number)


def _parse_color(value: str) -> Json:
    if value.startswith("#"):
        if len(value) != 7:
            raise ValueError(f"expected X,Y or #RRGGBB, got {value}")
        return {"color": {"rgb": list(bytes.fromhex(value[1:]))}}
    return {"color": {"at": _parse_numbers(value, 2, "X,Y or #RRGGBB")[0]}}


def _parse_kinds(value: Any) -> list[Any]:
    """Return what to find: "text", "face", or objects with ``kind`` and the options of ``Find``."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        value = json.loads(value)
    kinds = value if isinstance(value, list) else [value]
    if not all(isinstance(kind, str | Mapping) for kind in kinds):
        raise ValueError(f'find must be "text", "face" or an object with "kind", got {value!r:.60}')
    return kinds


def _as_strings(value: Any) -> list[str]:
    strings = [value] if isinstance(value, str) else value
    if not isinstance(strings, list) or not all(isinstance(text, str) for text in strings):
        raise ValueError(f"expected a text or a list of texts, got {value!r:.60}")
    return strings


def _as_list(key: str, value: Any) -> list[Any]:
    """Return the value of a key of ``PROMPT_PARSERS`` as a list of places, colours or names."""
    if key in _PLACES:
        return _parse_numbers(value, *_PLACES[key])
    return _parse_kinds(value) if key == "find" else _as_strings(value)


_PLACES = {"points": (2, "X,Y"), "not_points": (2, "X,Y"), "boxes": (4, "X0,Y0,X1,Y1")}
PROMPT_PARSERS: dict[str, Callable[[Any], list[Json]]] = {
    "points": lambda v: [{"points": {"include": _parse_numbers(v, 2, "X,Y")}}],
    "not_points": lambda v: [{"points": {"exclude": _parse_numbers(v, 2, "X,Y")}}],
    "text": lambda v: [{"text": words} for words in _as_strings(v)],
    "find": lambda v: [{"find": kind} for kind in _parse_kinds(v)],
    "boxes": lambda v: [{"box": box} for box in _parse_numbers(v, 4, "X0,Y0,X1,Y1")],
    "colors": lambda v: [_parse_color(color) for color in _as_strings(v)],
    "plate": lambda v: [{"plate": file} for file in _as_strings(v)],
    "mask": lambda v: [{"mask": file} for file in _as_strings(v)],
}


def _merge_points(prompts: list[Json]) -> list[Json]:
    """Merge the points to include and to exclude of a row: they belong to one object."""
    points = [prompt["points"] for prompt in prompts if "points" in prompt]
    rest = [prompt for prompt in prompts if "points" not in prompt]
    if not points:
        return rest
    return [{"points": {key: value for p in points for key, value in p.items()}}, *rest]


EDIT_KEYS = REFINE_KEYS | FILL_KEYS | REQUEST_KEYS | PROMPT_PARSERS.keys()
"""The keys of a row that determine its request."""
KNOWN_KEYS = ROW_KEYS | EDIT_KEYS
