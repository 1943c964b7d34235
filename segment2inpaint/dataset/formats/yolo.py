"""YOLO detect and segment labels as prompts, and without what is gone.

A dataset is a ``data.yaml`` (names; train, val, test) or a folder with ``images/`` and
``labels/``. A label is a line ``class x y width height`` or ``class x1 y1 x2 y2 ...``, in
shares of the photo's width and height; ``images`` in a photo's path becomes ``labels``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, items_of
from segment2inpaint.dataset.names import is_photo, output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset

SPLITS = ("train", "val", "test")
YAMLS = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")


@dataclass(frozen=True)
class YoloSource:
    """``path`` is the YAML file or the folder."""

    path: str
    base: Json
    pick: AnnotationFilter
    kind = "yolo"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """The chosen objects of each photo, sorted by its name. Raises ``BadDataset``."""
        card = self._card()
        names = _names(card, self._home())
        self.pick.check(names, self.path)
        for photo in self._photos(card):
            label = _label_of(photo)
            try:
                found = list(self._found(label, names))
            except BadDataset as error:
                where, _, what = str(error).partition(": ")
                yield InvalidRow(where, what)
                continue
            output = output_name(self._below(photo))
            yield from items_of(photo, output, found, self.pick, self.base, self._below(photo))

    def updated(self, gone: set[str]) -> Iterator[tuple[str, bytes]]:
        """Each label file without the lines in ``gone``, and what else makes it a dataset."""
        card = self._card()
        for photo in self._photos(card):
            label = _label_of(photo)
            if storage.size(label) < 0:
                continue
            name = self._below(label)
            lines = storage.read(label).splitlines(keepends=True)
            left = [ln for n, ln in enumerate(lines, 1) if f"{name}:{n}" not in gone]
            yield name, b"".join(left)
        for name in [*YAMLS, "classes.txt", os.path.basename(self.path)]:
            file = storage.join(self._home(), name)
            if is_yaml(name) and storage.size(file) >= 0:
                # an absolute path would lead back to the photos as they were
                yield name, re.sub(rb"(?m)^path:\s*/.*\n?", b"", storage.read(file))
            elif name == "classes.txt" and storage.size(file) >= 0:
                yield name, storage.read(file)

    def _card(self) -> Json:
        home = self._home()
        name = self.path if is_yaml(self.path) else _first_yaml(home)
        if not name:
            return {"train": "images"}
        import yaml

        try:
            card = yaml.safe_load(storage.read(name))
        except yaml.YAMLError as error:
            raise BadDataset(f"{name}: not YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(card, dict) or "names" not in card:
            raise BadDataset(f"{name}: expected names and train, val or test")
        return card

    def _home(self) -> str:
        return os.path.dirname(os.path.abspath(self.path)) if is_yaml(self.path) else self.path

    def _top(self, card: Json) -> str:
        """Where relative paths start: ``path``, or else the YAML's folder."""
        given = str(card.get("path") or "")
        return (
            given
            if os.path.isdir(given) and os.path.isabs(given)
            else os.path.join(
                self._home(), given if os.path.isdir(os.path.join(self._home(), given)) else ""
            )
        )

    def _photos(self, card: Json) -> list[str]:
        found: set[str] = set()
        for split in SPLITS:
            for place in _listed(card.get(split)):
                found.update(self._in(os.path.normpath(os.path.join(self._top(card), place))))
        if not found:
            raise BadDataset(f"{self.path}: no photos in {', '.join(SPLITS)}")
        return sorted(found)

    def _in(self, place: str) -> Iterator[str]:
        """The photos of a folder, of a list in a text file, or below ``../`` gone astray."""
        if not os.path.exists(place) and "/../" in f"{place}/":
            place = os.path.join(self._home(), place.rpartition("../")[2])
        if os.path.isdir(place):
            yield from (storage.join(place, n) for n in storage.walk(place) if is_photo(n))
        elif os.path.isfile(place):
            for line in Path(place).read_text(encoding="utf-8").split("\n"):
                if line.strip():
                    yield os.path.normpath(os.path.join(os.path.dirname(place), line.strip()))
        elif is_photo(place):
            yield place

    def _below(self, name: str) -> str:
        relative = Path(os.path.relpath(name, self._home())).as_posix()
        if relative.startswith("../"):
            relative = Path(os.path.relpath(name, self._top(self._card()))).as_posix()
        return relative

    def _found(self, label: str, names: list[str]) -> Iterator[Annotation]:
        if storage.size(label) < 0:
            return  # a photo of the background
        name = self._below(label)
        for number, line in enumerate(storage.read(label).decode().splitlines(), 1):
            if line.strip():
                yield _parsed(line.split(), names, f"{name}:{number}")


def _parsed(words: list[str], names: list[str], where: str) -> Annotation:
    try:
        kind, values = int(float(words[0])), [float(word) for word in words[1:]]
    except (ValueError, OverflowError):
        kind, values = -1, []
    sound = kind >= 0 and all(map(isfinite, values))
    if not sound or (len(values) not in (4, 5) and (len(values) < 6 or len(values) % 2)):
        got = " ".join(words)[:40]
        raise BadDataset(
            f"{where}: expected class x y w h or class x1 y1 x2 y2 x3 y3 ..., got {got}"
        )
    label = names[kind] if kind < len(names) else str(kind)
    if len(values) <= 5:  # a fifth is a confidence
        x, y, w, h = values[:4]
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        return Annotation(where, label, where, box, None, True, share=w * h)
    xs, ys = values[::2], values[1::2]
    box = (min(xs), min(ys), max(xs), max(ys))
    return Annotation(
        where, label, where, box, {"polygons": [values]}, True, share=_shoelace(xs, ys)
    )


def is_yaml(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def _first_yaml(folder: str) -> str:
    return next((f for n in YAMLS if storage.size(f := storage.join(folder, n)) >= 0), "")


def _label_of(photo: str) -> str:
    """``a/images/b.jpg`` has its labels in ``a/labels/b.txt``."""
    head, found, tail = photo.rpartition("/images/")
    path = PurePosixPath(f"{head}/labels/{tail}" if found else photo)
    return str(path.with_suffix(".txt"))


def _names(card: Json, home: str) -> list[str]:
    names: Any = card.get("names")
    file = storage.join(home, "classes.txt")
    if names is None and storage.size(file) >= 0:
        return storage.read(file).decode().split("\n")
    if isinstance(names, dict):
        most = max((int(key) for key in names), default=-1)
        return [str(names.get(i, i)) for i in range(most + 1)]
    return [str(name) for name in names or []]


def _listed(place: Any) -> list[str]:
    return [] if not place else [str(p) for p in place] if isinstance(place, list) else [str(place)]


def _shoelace(xs: list[float], ys: list[float]) -> float:
    turns = zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)
    return abs(sum(x * v - u * y for x, y, u, v in turns)) / 2
