"""The files of a YOLO dataset: its YAML, its class names, and the labels of each photo."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.records import one_line
from segment2inpaint.dataset.run_types import Json
from segment2inpaint.dataset.text_files import decode_text, split_lines
from segment2inpaint.errors import BadDataset

CONFIG_NAMES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
CLASS_FILE = "classes.txt"  # one class name per line, for a folder without YAML
CLASS_FILES = (CLASS_FILE, "obj.names", f"labels/{CLASS_FILE}", "data/obj.names")
PHOTO_FOLDERS = ("images", "jpegimages")  # in lower case
LABEL_FOLDERS = ("labels", "Labels")
LABEL_SUFFIX = ".txt"
MAX_CLASSES = 100_000
MAX_KEY_POINTS = 10_000


def is_yaml(name: str) -> bool:
    """Return whether a file name has the suffix of a YAML file."""
    return name.lower().endswith((".yaml", ".yml"))


def find_config(folder: str) -> str:
    """Return the path of the YAML file in a folder, empty if there is none."""
    paths = (storage.join(folder, name) for name in CONFIG_NAMES)
    return next((path for path in paths if storage.size(path) >= 0), "")


def read_config(path: str) -> Json:
    """Return the content of a YAML file. Raises ``BadDataset``."""
    import yaml

    try:
        config = yaml.safe_load(decode_text(storage.read(path), path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadDataset(f"{path}: not YAML: {one_line(ValueError(str(error)))}") from error
    if not isinstance(config, dict) or "names" not in config:
        raise BadDataset(f"{path}: expected names and train, val or test")
    return config


def class_file(folder: str) -> str:
    """Return the name of the file with the class names below a folder, empty if there is none."""
    sizes = ((name, storage.size(storage.join(folder, name))) for name in CLASS_FILES)
    return next((name for name, size in sizes if size >= 0), "")


def class_names(config: Json, folder: str, path: str) -> list[str]:
    """Return the class names of a YAML, or of the file with them; empty if they are not known.

    ``path`` is the dataset in the message of the ``BadDataset``.
    """
    names: Any = config.get("names")
    file = class_file(folder) if names is None else ""
    if isinstance(names, str):
        file = names if storage.size(storage.join(folder, names)) >= 0 else ""
        names = None if file else [names]
    if file:
        file = storage.join(folder, file)
        lines = [line.strip() for line in split_lines(decode_text(storage.read(file), file))]
        return lines[: max((n for n, line in enumerate(lines, 1) if line), default=0)]
    return _listed_names(names or [], path)


def _listed_names(names: Any, path: str) -> list[str]:
    """Return the class names of a YAML, a list of them or one name for each number."""
    try:
        if not isinstance(names, dict):
            return [str(name) for name in names]
        by_number = {int(key): str(name) for key, name in names.items()}
        count = max(by_number, default=-1) + 1
        if min(by_number, default=0) < 0 or count > MAX_CLASSES:
            raise ValueError
        return [by_number.get(i, str(i)) for i in range(count)]
    except (TypeError, ValueError):
        raise BadDataset(
            f"{path}: expected names to be a list, or class numbers with names, got {names!r:.60}"
        ) from None


def key_point_shape(config: Json, path: str) -> tuple[int, int] | None:
    """Return ``kpt_shape``: the key points of an object, and the numbers of each.

    Raises ``BadDataset``.
    """
    shape = config.get("kpt_shape")
    if shape is None:
        return None
    try:
        count, dimensions = (int(value) for value in shape)
        if not 0 < count <= MAX_KEY_POINTS or dimensions not in (2, 3):
            raise ValueError
    except (TypeError, ValueError):
        raise BadDataset(
            f"{path}: expected kpt_shape [key points, 2 or 3], got {shape!r:.40}"
        ) from None
    return count, dimensions


def label_paths(photo: str) -> Iterator[str]:
    """Yield the paths where the labels of a photo may be, the likeliest first.

    For ``a/images/b/c.jpg`` these are ``a/labels/b/c.txt``, ``a/images/b/c.txt``, and
    ``a/images/b/labels/c.txt`` and ``a/images/labels/c.txt``.
    """
    stem, slash = photo.rpartition(".")[0], "/"
    parts = stem.split(slash)
    places = [i for i, part in enumerate(parts[:-1]) if part.lower() in PHOTO_FOLDERS]
    for place in reversed(places):
        for name in LABEL_FOLDERS:
            yield slash.join([*parts[:place], name, *parts[place + 1 :]]) + LABEL_SUFFIX
    yield stem + LABEL_SUFFIX
    for name in LABEL_FOLDERS:
        yield slash.join([*parts[:-1], name, parts[-1]]) + LABEL_SUFFIX
        yield slash.join([*parts[:-2], name, parts[-1]]) + LABEL_SUFFIX


def find_label(photo: str) -> str:
    """Return the path of the labels of a photo, empty if it has none."""
    return next((path for path in label_paths(photo) if storage.size(path) >= 0), "")


def read_labels(path: str) -> list[str]:
    """Return the lines of a label file. Raises ``BadDataset`` or ``BadImage``."""
    return split_lines(decode_text(storage.read(path), path))


def without_lines(raw: bytes, path: str, removed: Sequence[int]) -> bytes:
    """Return a label file without the lines of these numbers, otherwise byte for byte.

    A file of UTF-16 becomes UTF-8.
    """
    if not removed:
        return raw
    lines = raw.splitlines(keepends=True)
    if b"\0" in raw:
        lines = [f"{line}\n".encode() for line in split_lines(decode_text(raw, path))]
    return b"".join(line for number, line in enumerate(lines, 1) if number not in removed)


def is_other_text(name: str) -> bool:
    """Return whether the name of a text file says that it has no labels."""
    file = PurePosixPath(name).name.lower()
    return file == CLASS_FILE or file.startswith(("readme", "license", "notes"))


def relative_to(path: str, folder: str) -> str:
    """Return a path relative to a folder, with ``/``."""
    return os.path.relpath(path, folder).replace(os.sep, "/")
