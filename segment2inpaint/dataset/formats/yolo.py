"""YOLO detection and segmentation labels: prompts in, and labels without removed objects out.

The format is that of Ultralytics. A dataset is a ``data.yaml`` (``names``; ``train``, ``val``,
``test``) or a folder with ``images/`` and ``labels/``. A label is a line
``class x y width height`` or ``class x1 y1 x2 y2 ...``, in fractions of the photo's width and
height; its path is that of the photo with ``labels`` for ``images``.
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
from segment2inpaint.dataset.formats.annotations import Annotation, AnnotationFilter, edit_items
from segment2inpaint.dataset.names import is_photo, output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json
from segment2inpaint.errors import BadDataset

SPLITS = ("train", "val", "test")
CONFIG_NAMES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
CLASS_FILE = "classes.txt"  # one class name per line, for a folder without YAML


@dataclass(frozen=True)
class YoloSource:
    """The photos of a YOLO dataset; ``path`` is the YAML file or the folder."""

    path: str
    base: Json
    annotation_filter: AnnotationFilter
    kind = "yolo"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each photo, sorted by its name. Raises ``BadDataset``."""
        config = self._config()
        classes = _class_names(config, self._folder())
        self.annotation_filter.check_categories(classes, self.path)
        for photo in self._photos(config):
            try:
                annotations = list(self._annotations(_label_path(photo), classes))
            except BadDataset as error:
                where, _, message = str(error).partition(": ")
                yield InvalidRow(where, message)
                continue
            name = self._relative_name(photo)
            yield from edit_items(
                photo, output_name(name), annotations, self.annotation_filter, self.base, name
            )

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each label file without the removed lines, and the files that name the classes."""
        for photo in self._photos(self._config()):
            label = _label_path(photo)
            if storage.size(label) < 0:
                continue
            name = self._relative_name(label)
            lines = enumerate(storage.read(label).splitlines(keepends=True), 1)
            yield name, b"".join(line for n, line in lines if f"{name}:{n}" not in removed_ids)
        for name in [*CONFIG_NAMES, CLASS_FILE, os.path.basename(self.path)]:
            file = storage.join(self._folder(), name)
            if is_yaml(name) and storage.size(file) >= 0:
                # An absolute path would lead from the output back to the unedited photos.
                yield name, re.sub(rb"(?m)^path:\s*/.*\n?", b"", storage.read(file))
            elif name == CLASS_FILE and storage.size(file) >= 0:
                yield name, storage.read(file)

    def _config(self) -> Json:
        """Return the content of the YAML file, or a default for a folder without one."""
        name = self.path if is_yaml(self.path) else _find_config(self._folder())
        if not name:
            return {"train": "images"}
        import yaml

        try:
            config = yaml.safe_load(storage.read(name))
        except yaml.YAMLError as error:
            raise BadDataset(f"{name}: not YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(config, dict) or "names" not in config:
            raise BadDataset(f"{name}: expected names and train, val or test")
        return config

    def _folder(self) -> str:
        return os.path.dirname(os.path.abspath(self.path)) if is_yaml(self.path) else self.path

    def _photo_root(self, config: Json) -> str:
        """Return the folder that splits are relative to: ``path`` of the YAML, else its folder."""
        path = str(config.get("path") or "")
        if os.path.isdir(path) and os.path.isabs(path):
            return path
        below = os.path.join(self._folder(), path)
        return below if os.path.isdir(below) else os.path.join(self._folder(), "")

    def _photos(self, config: Json) -> list[str]:
        photos: set[str] = set()
        root = self._photo_root(config)
        for split in SPLITS:
            for place in _as_list(config.get(split)):
                photos.update(self._photos_at(os.path.normpath(os.path.join(root, place))))
        if not photos:
            raise BadDataset(f"{self.path}: no photos in {', '.join(SPLITS)}")
        return sorted(photos)

    def _photos_at(self, place: str) -> Iterator[str]:
        """Yield the photos of a folder or of a text file that lists them, or the photo itself."""
        if not os.path.exists(place) and "/../" in f"{place}/":
            # Exported datasets often have a "../" too many.
            place = os.path.join(self._folder(), place.rpartition("../")[2])
        if os.path.isdir(place):
            yield from (storage.join(place, n) for n in storage.list_files(place) if is_photo(n))
        elif os.path.isfile(place):
            for line in Path(place).read_text(encoding="utf-8").split("\n"):
                if line.strip():
                    yield os.path.normpath(os.path.join(os.path.dirname(place), line.strip()))
        elif is_photo(place):
            yield place

    def _relative_name(self, name: str) -> str:
        relative = Path(os.path.relpath(name, self._folder())).as_posix()
        if relative.startswith("../"):
            root = self._photo_root(self._config())
            relative = Path(os.path.relpath(name, root)).as_posix()
        return relative

    def _annotations(self, label: str, classes: list[str]) -> Iterator[Annotation]:
        """Yield the objects in a label file; a photo of the background has none."""
        if storage.size(label) < 0:
            return
        name = self._relative_name(label)
        for number, line in enumerate(storage.read(label).decode().splitlines(), 1):
            if line.strip():
                yield _parse_line(line.split(), classes, f"{name}:{number}")


def is_yaml(name: str) -> bool:
    """Return whether a file name has the suffix of a YAML file."""
    return name.lower().endswith((".yaml", ".yml"))


def _parse_line(words: list[str], classes: list[str], where: str) -> Annotation:
    try:
        index, values = int(float(words[0])), [float(word) for word in words[1:]]
    except (ValueError, OverflowError):
        index, values = -1, []
    is_box = len(values) in (4, 5)  # a fifth value is a confidence
    is_polygon = len(values) >= 6 and len(values) % 2 == 0
    if index < 0 or not all(map(isfinite, values)) or not (is_box or is_polygon):
        got = " ".join(words)[:40]
        raise BadDataset(
            f"{where}: expected class x y w h or class x1 y1 x2 y2 x3 y3 ..., got {got}"
        )
    label = classes[index] if index < len(classes) else str(index)
    if is_box:
        x, y, w, h = values[:4]
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        return Annotation(where, label, where, box, None, True, area_fraction=w * h)
    xs, ys = values[::2], values[1::2]
    box = (min(xs), min(ys), max(xs), max(ys))
    polygons = {"polygons": [values]}
    area = _polygon_area(xs, ys)
    return Annotation(where, label, where, box, polygons, True, area_fraction=area)


def _find_config(folder: str) -> str:
    paths = (storage.join(folder, name) for name in CONFIG_NAMES)
    return next((path for path in paths if storage.size(path) >= 0), "")


def _label_path(photo: str) -> str:
    """Return the path of a photo's labels: ``a/labels/b.txt`` for ``a/images/b.jpg``."""
    head, folder, tail = photo.rpartition("/images/")
    path = PurePosixPath(f"{head}/labels/{tail}" if folder else photo)
    return str(path.with_suffix(".txt"))


def _class_names(config: Json, folder: str) -> list[str]:
    names: Any = config.get("names")
    file = storage.join(folder, CLASS_FILE)
    if names is None and storage.size(file) >= 0:
        return storage.read(file).decode().split("\n")
    if isinstance(names, dict):
        last = max((int(key) for key in names), default=-1)
        return [str(names.get(i, i)) for i in range(last + 1)]
    return [str(name) for name in names or []]


def _as_list(places: Any) -> list[str]:
    if not places:
        return []
    return [str(place) for place in places] if isinstance(places, list) else [str(places)]


def _polygon_area(xs: list[float], ys: list[float]) -> float:
    """Return the area of a polygon by the shoelace formula."""
    edges = zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for x0, y0, x1, y1 in edges)) / 2
