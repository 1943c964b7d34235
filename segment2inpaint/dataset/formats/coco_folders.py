"""Find the photos that a COCO file names, which may be anywhere around it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from segment2inpaint.dataset import spelling, storage
from segment2inpaint.errors import BadDataset

SPLIT_PREFIXES = ("instances_", "panoptic_", "person_keypoints_", "stuff_")
PHOTO_FOLDERS = ("images", "data", "JPEGImages")  # beside the file, as tools write them
SAMPLE = 50  # photos that are looked for in each folder
REMOTE_SAMPLE = 5  # of a remote store


def folders(path: str, names: Sequence[str], root: str | None) -> tuple[str, str]:
    """Return the folder of the photos, and the folder whose layout the output mirrors.

    ``names`` are the photos that the COCO file ``path`` names. Raises ``BadDataset``.
    """
    home, stem = folder_and_stem(path)
    root = root or _find_photo_folder(home, stem, names, path)
    parent = os.path.dirname(home.rstrip("/"))
    for top in (home, parent):
        if root == top or root.startswith(top.rstrip("/") + "/"):
            return root, top
    return root, root


def find_photos(root: str, names: Sequence[str]) -> dict[str, str]:
    """Return the path of each photo; that of a missing one is where it is expected.

    A name may begin with folders that are not there, such as those of another machine. A photo is
    then found only if no other name means it.
    """
    paths = {name: _expected(root, name) for name in names}
    missing = [name for name, path in paths.items() if storage.size(path) < 0]
    if storage.is_remote(root):
        return paths
    for name in missing:
        paths[name] = spelling.find(paths[name]) or paths[name]
    found = Counter(paths.values())
    ends = {name: _existing_end(root, name) for name in missing if not os.path.isfile(paths[name])}
    found.update(end for end in ends.values() if end)
    return {**paths, **{name: end for name, end in ends.items() if end and found[end] == 1}}


def relative_name(name: str, top: str) -> str:
    """Return the path or URL of a file relative to the folder ``top``."""
    if storage.is_remote(name):
        return name[len(top.rstrip("/")) + 1 :]
    return Path(os.path.relpath(name, top)).as_posix()


def folder_and_stem(path: str) -> tuple[str, str]:
    """Return the folder of a file, and its name without the suffix."""
    folder, _, name = (path if storage.is_remote(path) else os.path.abspath(path)).rpartition("/")
    return folder or "/", name.rpartition(".")[0]


def _find_photo_folder(home: str, stem: str, names: Sequence[str], path: str) -> str:
    """Return the folder, the usual ones first, that holds most photos of the file."""
    usual = list(dict.fromkeys(_usual_folders(home, stem)))
    is_remote = storage.is_remote(home)
    sample = names[:: max(1, len(names) // (REMOTE_SAMPLE if is_remote else SAMPLE))]
    counts = {folder: _count_photos(folder, sample) for folder in usual}
    best = max(usual, key=lambda folder: counts[folder])
    if counts[best]:
        return best
    if not is_remote:
        existing = [f for f in (*usual, *_subfolders(home, usual)) if os.path.isdir(f)]
        for name in names:
            for folder in existing:
                if spelling.find(_expected(folder, name)) or _existing_end(folder, name):
                    return folder
    raise BadDataset(f"{path}: the photo {names[0]:.100} is not next to it; give --root")


def _count_photos(folder: str, names: Sequence[str]) -> int:
    return sum(storage.size(_expected(folder, name)) >= 0 for name in names)


def _usual_folders(home: str, stem: str) -> Iterator[str]:
    parent = os.path.dirname(home.rstrip("/"))
    split = stem
    for prefix in SPLIT_PREFIXES:
        split = split.removeprefix(prefix)
    yield from (home, f"{home}/images", f"{home}/{split}", f"{parent}/{split}", f"{parent}/images")
    yield from (parent, f"{parent}/images/{split}", f"{home}/images/{split}")
    yield from (f"{folder}/{name}" for folder in (home, parent) for name in PHOTO_FOLDERS)


def _subfolders(home: str, known: Sequence[str]) -> list[str]:
    """Return the other folders below and next to the folder of the file."""
    paths = [path for parent in (home, os.path.dirname(home)) for path in _entries(parent)]
    return [path for path in paths if os.path.isdir(path) and path not in known]


def _entries(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names if not name.startswith(".")]


def _expected(root: str, name: str) -> str:
    """Return the path of the photo ``name`` in its folder, with ``..`` resolved."""
    path = storage.join(root, name)
    if storage.is_remote(root):
        return path.replace("\\", "/")
    path = os.path.normpath(path)
    return path if os.path.isfile(path) else os.path.normpath(path.replace("\\", "/"))


def _existing_end(root: str, name: str) -> str:
    """Return the photo in ``root`` that has the longest end of the path ``name``, or ""."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    paths = (storage.join(root, "/".join(parts[i:])) for i in range(len(parts)))
    return next((found for path in paths if (found := spelling.find(path))), "")
