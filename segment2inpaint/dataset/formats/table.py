"""JSONL and CSV with a row for each object: rows of one photo are edited together.

Keys (CSV columns) of a row, all but ``photo`` optional:

* ``photo``: path or URL, relative to the root; ``output``: its name below the output folder;
  ``id`` and ``label``: for the manifest.
* ``points``, ``not_points``: ``[[x, y], ...]``, in CSV ``x,y;x,y``; ``boxes``: ``[[x0, y0, x1,
  y1], ...]``; ``colors``: ``#rrggbb`` or ``x,y``; ``text``: words; ``mask``, ``plate``: files.
* any field of ``Refine`` and ``Fill`` (``dilate``, ``prompt``, ``seed``, ...), ``detector``,
  ``inpainter``, ``verify``, ``attempts``; or ``request``: a whole one, as ``--json`` prints.

What a row does not say is as on the command line.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset, BadOption
from segment2inpaint.types import Fill, Refine

REFINE = {f.name for f in fields(Refine)}
FILL = {f.name for f in fields(Fill)}
REQUEST = {"detector", "inpainter", "verify", "attempts"}
OWN = {"photo", "output", "id", "label", "request"}
FILES = ("mask", "plate")
LENGTHS = ("dilate", "feather")


@dataclass(frozen=True)
class TableSource:
    """The rows of a file, relative to ``root``, completed from ``base``."""

    path: str
    root: str
    base: Json
    kind = "rows"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Each row as an item, or what is wrong with it. Raises ``BadDataset`` for no rows."""
        number = 0
        for number, row in self._rows():
            where = f"{self.path}:{number}"
            try:
                if isinstance(row, Exception):
                    raise row
                yield self._item(row, where)
            except (ValueError, TypeError, AttributeError, BadOption) as error:
                yield InvalidRow(where, str(error).splitlines()[0])
        if not number:
            raise BadDataset(f"{self.path}: no rows in it, expected one for each object")

    def updated(self, gone: set[str]) -> Iterator[tuple[str, bytes]]:
        """Rows are requests, not annotations."""
        return iter(())

    def _rows(self) -> Iterator[tuple[int, Any]]:
        if self.path.lower().endswith(".csv"):
            reader = csv.DictReader(io.StringIO(_text(self.path), newline=""))
            if reader.fieldnames and "photo" not in reader.fieldnames:
                there = ", ".join(map(str, reader.fieldnames))
                raise BadDataset(f"{self.path}: expected a column photo, got {there:.80}")
            for row in reader:
                yield reader.line_num, _without_blanks(row)
            return
        for number, line in enumerate(storage.lines(self.path), 1):
            if line.strip():
                yield number, _parsed(line)

    def _item(self, row: Any, where: str) -> EditItem:
        if not isinstance(row, Mapping):
            raise ValueError(f'expected an object such as {{"photo": ...}}, got {row!r:.40}')
        for key in row:
            if key not in KEYS:
                known = ", ".join(sorted(KEYS))
                raise ValueError(f"unknown key {key!r}; known: {known}")
        name = row.get("photo")
        if not isinstance(name, str) or not name:
            raise ValueError("no photo; every row names one")
        photo = self._file(name)
        output = row.get("output") or self._relative(photo)
        if not isinstance(output, str):
            raise ValueError(f"output must be a name, got {output!r:.40}")
        request, label = self._request(row), str(row.get("label", ""))
        return EditItem(photo, output_name(output), request, where, str(row.get("id", "")), label)

    def _relative(self, photo: str) -> str:
        root = self.root.rstrip("/")
        if storage.is_remote(photo):
            inside = photo.startswith(root + "/")
            relative = photo[len(root) + 1 :] if inside else ""
        else:
            relative = Path(os.path.relpath(photo, root)).as_posix()
        if not relative or relative.startswith("../"):
            raise ValueError(f"{photo} is not below {root}; give --root, or the row an output")
        return relative

    def _request(self, row: Mapping[str, Any]) -> Json:
        request = request_of(row, self.base)
        request["fill"] = self._fill(request["fill"])
        request["prompts"] = [self._absolute(prompt) for prompt in request["prompts"]]
        return request

    def _fill(self, fill: Json) -> Json:
        return {**fill, "picture": self._file(fill["picture"])} if fill.get("picture") else fill

    def _absolute(self, prompt: Json) -> Json:
        ((kind, value),) = prompt.items()
        return {kind: self._file(value)} if kind in FILES and isinstance(value, str) else prompt

    def _file(self, name: str) -> str:
        if storage.is_remote(name) or os.path.isabs(name):
            return name
        return storage.join(self.root, name)


def request_of(row: Mapping[str, Any], base: Json) -> Json:
    """The request of a row, completed from ``base``. Raises ``ValueError``, ``TypeError``."""
    if "request" in row:
        given = row["request"]
        given = json.loads(given) if isinstance(given, str) else given
        base = {**base, **given.get("request", given)}  # of all that --json prints, its request
    prompts = [prompt for key in PROMPTS if key in row for prompt in PROMPTS[key](row[key])]
    return {
        **base,
        **{key: row[key] for key in REQUEST if key in row},
        "refine": {**base.get("refine", {}), **{k: _length(k, row[k]) for k in REFINE if k in row}},
        "fill": {**base.get("fill", {}), **{k: row[k] for k in FILL if k in row}},
        "prompts": _joined(prompts) or base.get("prompts", []),
    }


def _length(key: str, value: Any) -> Any:
    """Lengths may be numbers, of pixels."""
    return str(value) if key in LENGTHS and isinstance(value, int | float) else value


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8-sig"))
    except ValueError as error:
        return ValueError(f"not JSON: {error}")


def _text(path: str) -> str:
    try:
        return storage.read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDataset(
            f"{path}: expected UTF-8, got {error.object[error.start : error.end]!r} at byte "
            f"{error.start}; save it as UTF-8"
        ) from error


def _without_blanks(row: Mapping[str, str]) -> Json | ValueError:
    """A CSV row's cells that say something, numbers and truth values as such."""
    if more := row.get(None):  # type: ignore[call-overload]
        return ValueError(f"more cells than columns, {more!r:.60}; quote what holds a comma")
    return {key: _value(key, cell) for key, cell in row.items() if cell}


def _value(key: str, cell: str) -> Any:
    if key in OWN | PROMPTS.keys() | {"dilate", "feather", "prompt", "negative_prompt"}:
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _numbers(value: Any, count: int, form: str) -> list[list[int]]:
    """Tuples of ``count`` numbers: one or several, lists or ``x,y;x,y``. Raises ``ValueError``."""
    if isinstance(value, str):
        value = [part.split(",") for part in value.split(";") if part.strip()]
    if value and not isinstance(value[0], list | tuple):
        value = [value]
    try:
        several = [[round(float(part)) for part in one] for one in value]
    except (TypeError, ValueError, OverflowError):
        several = [[]]
    if any(len(one) != count for one in several):
        raise ValueError(f"expected {form} in photo pixels, got {value!r:.60}")
    return several


def _color(value: str) -> Json:
    if value.startswith("#"):
        if len(value) != 7:
            raise ValueError(f"expected X,Y or #RRGGBB, got {value}")
        return {"color": {"rgb": list(bytes.fromhex(value[1:]))}}
    return {"color": {"at": _numbers(value, 2, "X,Y or #RRGGBB")[0]}}


def _several(value: Any) -> list[str]:
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
        raise ValueError(f"expected words or a list of them, got {value!r:.60}")
    return several


PROMPTS: dict[str, Callable[[Any], list[Json]]] = {
    "points": lambda v: [{"points": {"include": _numbers(v, 2, "X,Y")}}],
    "not_points": lambda v: [{"points": {"exclude": _numbers(v, 2, "X,Y")}}],
    "text": lambda v: [{"text": words} for words in _several(v)],
    "boxes": lambda v: [{"box": box} for box in _numbers(v, 4, "X0,Y0,X1,Y1")],
    "colors": lambda v: [_color(one) for one in _several(v)],
    "plate": lambda v: [{"plate": one} for one in _several(v)],
    "mask": lambda v: [{"mask": one} for one in _several(v)],
}


def _joined(prompts: list[Json]) -> list[Json]:
    """``points`` and ``not_points`` of a row are one object's."""
    clicks = [p["points"] for p in prompts if "points" in p]
    rest = [p for p in prompts if "points" not in p]
    return [{"points": {k: v for one in clicks for k, v in one.items()}}, *rest] if clicks else rest


ASKED = REFINE | FILL | REQUEST | PROMPTS.keys()  # what of a row determines a request
KEYS = OWN | ASKED
