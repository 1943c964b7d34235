"""YOLO labels: prompts in, and labels without removed objects out.

The format is that of Ultralytics. A dataset is a ``data.yaml`` (``names``; ``train``, ``val``,
``test``; ``kpt_shape``) or a folder of photos and labels. The labels of a photo are in a text file
of its name: in a folder ``labels`` that stands for ``images`` in its path, or next to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats import yolo_files
from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.photo_files import source_files
from segment2inpaint.dataset.formats.records import AnnotationSelector, Record, one_line
from segment2inpaint.dataset.formats.yolo_files import CONFIG_NAMES, is_yaml, relative_to
from segment2inpaint.dataset.formats.yolo_lines import (
    LabelLine,
    LineLayout,
    class_index,
    find_layout,
    looks_like_label,
    parse_line,
    split_labels,
)
from segment2inpaint.dataset.names import is_photo, output_name
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, Json, UnmatchedRow
from segment2inpaint.dataset.text_files import decode_text, split_lines
from segment2inpaint.errors import BadDataset, BadImage

SPLITS = ("train", "val", "test", "valid", "validation")
PHOTO_FOLDER = "images"  # of a dataset that names no folders
DETECTION_SAMPLE = 50  # label files that are read to detect the format
# An absolute path would lead from the output back to the unedited photos.
_ABSOLUTE_PATH = re.compile(rb"""(?m)^path:\s*["']?(?:/|[A-Za-z]:[/\\]).*\n?""")


@dataclass(frozen=True)
class YoloSource:
    """The photos of a YOLO dataset; ``path`` is the YAML file or the folder."""

    path: str
    base: Json
    annotation_filter: AnnotationFilter
    kind = "yolo"

    def items(self) -> Iterator[EditItem | InvalidRow]:
        """Yield the selected objects of each photo, sorted by its name, then unused labels.

        Raises ``BadDataset`` if there are no photos.
        """
        dataset = _Dataset(self.path)
        selector = AnnotationSelector(self.annotation_filter, self.base, dataset.classes)
        used = set()
        for photo in dataset.photos:
            label = yolo_files.find_label(photo)
            used.add(label)
            name = dataset.relative_name(photo)
            records = _records(label, dataset, selector) if label else []
            yield from selector.items(photo, output_name(name), records, name)
        for label in dataset.unused_labels(used):
            message = "there is no photo of this name; add it, or delete the labels"
            yield UnmatchedRow(dataset.relative_name(label), message)
        yield from selector.unmatched(self.path)

    def remaining_annotations(self, removed_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each label file without the removed lines, and the files that name the classes."""
        dataset = _Dataset(self.path)
        for label in dict.fromkeys(filter(None, map(yolo_files.find_label, dataset.photos))):
            name = dataset.relative_name(label)
            raw = storage.read(label)
            prefix = f"{name}:"
            ids = [id.removeprefix(prefix) for id in removed_ids if id.startswith(prefix)]
            yield name, yolo_files.without_lines(raw, label, [int(id) for id in ids])
        for name in [*CONFIG_NAMES, *yolo_files.CLASS_FILES, os.path.basename(self.path)]:
            file = storage.join(dataset.folder, name)
            if is_yaml(name) and storage.size(file) >= 0:
                yield name, _ABSOLUTE_PATH.sub(b"", storage.read(file))
            elif name in yolo_files.CLASS_FILES and storage.size(file) >= 0:
                yield name, storage.read(file)


def has_labels(folder: str, names: Sequence[str]) -> bool:
    """Return whether photos among the files of a folder have labels next to them or nearby."""
    known, tried = set(names), 0
    for photo in filter(is_photo, names):
        label = next((path for path in yolo_files.label_paths(photo) if path in known), "")
        if not label or yolo_files.is_other_text(label):
            continue
        if _begins_with_label(storage.join(folder, label)):
            return True
        tried += 1
        if tried == DETECTION_SAMPLE:
            break
    return False


# --- the dataset ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Dataset:
    """The files of a dataset; ``path`` is the YAML file or the folder."""

    path: str

    @cached_property
    def folder(self) -> str:
        return os.path.dirname(os.path.abspath(self.path)) if is_yaml(self.path) else self.path

    @cached_property
    def yaml(self) -> str:
        """The path of the YAML file, empty if there is none."""
        return self.path if is_yaml(self.path) else yolo_files.find_config(self.folder)

    @cached_property
    def config(self) -> Json:
        return yolo_files.read_config(self.yaml) if self.yaml else {}

    @cached_property
    def classes(self) -> list[str]:
        return yolo_files.class_names(self.config, self.folder, self.yaml or self.path)

    @cached_property
    def key_points(self) -> tuple[int, int] | None:
        return yolo_files.key_point_shape(self.config, self.yaml)

    @cached_property
    def root(self) -> str:
        """The folder that splits are relative to: ``path`` of the YAML, else its folder."""
        path = str(self.config.get("path") or "").replace("\\", "/")
        places = [path] if os.path.isabs(path) else []
        places += [os.path.join(self.folder, path)]
        return next(filter(os.path.isdir, places), self.folder)

    @cached_property
    def places(self) -> list[str]:
        """The folders, lists and photos of the splits."""
        values = [self.config.get(split) for split in SPLITS]
        named = [place for value in values for place in _as_list(value)]
        if not named:
            has_folder = os.path.isdir(os.path.join(self.root, PHOTO_FOLDER))
            named = [PHOTO_FOLDER if has_folder else "."]
        return [os.path.normpath(os.path.join(self.root, place)) for place in named]

    @cached_property
    def photos(self) -> list[str]:
        photos = {photo for place in self.places for photo in self._photos_at(place)}
        if not photos:
            raise BadDataset(f"{self.path}: no photos in {', '.join(self.places)}; check the paths")
        return sorted(photos)

    def _photos_at(self, place: str) -> Iterator[str]:
        """Yield the photos of a folder or of a text file that lists them, or the photo itself."""
        place = self._existing(place)
        if os.path.isdir(place):
            yield from (storage.join(place, n) for n in source_files(place) if is_photo(n))
        elif is_photo(place):
            yield place
        elif os.path.isfile(place):
            for line in split_lines(decode_text(storage.read(place), place)):
                if line.strip():
                    yield self._listed(line.strip().replace("\\", "/"), os.path.dirname(place))

    def _existing(self, place: str) -> str:
        """Return a place; exported datasets often have a ``../`` too many."""
        if os.path.exists(place) or not place.startswith(os.path.dirname(self.folder)):
            return place
        return next(filter(os.path.exists, self._without_parents(place)), place)

    def _without_parents(self, place: str) -> Iterator[str]:
        relative = relative_to(place, self.root)
        yield os.path.join(self.folder, relative.rpartition("../")[2])
        yield os.path.join(self.folder, relative_to(place, os.path.dirname(self.folder)))

    def _listed(self, line: str, home: str) -> str:
        """Return a photo that a list names, relative to the list, the dataset or a folder of it."""
        parts = line.split("/")
        ends = ["/".join(parts[i:]) for i in range(1, len(parts))]
        paths = [os.path.join(folder, line) for folder in (home, self.root, self.folder)]
        paths += [os.path.join(folder, end) for end in ends for folder in (home, self.folder)]
        return os.path.normpath(next(filter(os.path.isfile, paths), paths[0]))

    def relative_name(self, path: str) -> str:
        """Return the name of a file below the output folder, which mirrors the dataset."""
        relative = relative_to(path, self.folder)
        return relative_to(path, self.root) if relative.startswith("../") else relative

    def unused_labels(self, used: set[str]) -> Iterator[str]:
        """Yield the label files in the folders of labels that belong to no photo, sorted."""
        folders = [place for place in map(self._existing, self.places) if os.path.isdir(place)]
        places = {os.path.dirname(p) for f in folders for p in yolo_files.label_paths(f"{f}/a.jpg")}
        labels = {
            storage.join(place, name)
            for place in sorted(filter(os.path.isdir, places))
            for name in source_files(place)
            if name.lower().endswith(yolo_files.LABEL_SUFFIX) and not yolo_files.is_other_text(name)
        }
        if not labels - used:
            return
        stems = {_stem(name) for name in source_files(self.folder) if is_photo(name)}
        stems |= {_stem(photo) for photo in self.photos}
        for label in sorted(labels - used):
            if _stem(label) not in stems and _begins_with_label(label):
                yield label


# --- labels -----------------------------------------------------------------------------------


def _records(label: str, dataset: _Dataset, selector: AnnotationSelector) -> list[Record]:
    """Return the objects of a label file that may be selected, and its invalid lines."""
    name = dataset.relative_name(label)
    try:
        lines = split_labels(yolo_files.read_labels(label))
    except (BadDataset, BadImage) as error:
        return [InvalidRow(name, one_line(error).removeprefix(f"{label}: "))]
    layout = find_layout(lines, dataset.key_points, has_yaml=bool(dataset.yaml))
    records = (_record(line, layout, dataset.classes, name, selector) for line in lines)
    return [record for record in records if record]


def _record(
    line: LabelLine, layout: LineLayout, classes: list[str], name: str, selector: AnnotationSelector
) -> Record | None:
    """Return the object of a line, why it is invalid, or None if it is not selected."""
    where = f"{name}:{line.number}"
    try:
        index = class_index(line)
        label = classes[index] if index < len(classes) else str(index)
        if not selector.is_selected(label, where):
            return None
        if classes and index >= len(classes):
            raise ValueError(f"expected a class from 0 to {len(classes) - 1}, got {index}")
        return parse_line(line, layout, label, where)
    except (ValueError, OverflowError) as error:
        return InvalidRow(where, one_line(error))


def _begins_with_label(path: str) -> bool:
    """Return whether the first line of a text file that is not blank is a label."""
    try:
        lines = yolo_files.read_labels(path)
    except (BadDataset, BadImage):
        return False
    return looks_like_label(next(filter(str.strip, lines), ""))


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _as_list(places: Any) -> list[str]:
    values = places if isinstance(places, list) else [places]
    return [str(place).replace("\\", "/") for place in values if place]
