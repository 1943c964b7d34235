"""Names that a table or an annotation file spells in another way than the disk.

Tables that were made on another system have backslashes, letters with accents in the other
Unicode form (NFC, NFD), another case, or names whose bytes on disk are not UTF-8.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import lru_cache
from pathlib import PurePath
from typing import Any

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import EditItem

FILE_KEYS = ("mask", "plate", "file", "picture")  # keys of a request that name files


def as_on_disk(item: EditItem, missing: Collection[str]) -> EditItem:
    """Return an item with its missing files as they are spelled on disk, if they are there.

    The result of a photo gets the name of the photo on disk, unless the row names another.
    """
    found = {name: file for name in missing if (file := find(name))}
    if not found:
        return item
    photo = found.get(item.photo, item.photo)
    request = item.request and _renamed(item.request, lambda name: found.get(name, name))
    output = _output(item, photo) if photo != item.photo else item.output
    return replace(item, photo=photo, output=output, request=request)


def find(name: str) -> str:
    """Return the path of a local file that is spelled in another way; empty if there is none.

    A file is found only if a single one matches.
    """
    if storage.is_remote(name) or storage.containing_file(name) != name:
        return ""
    current, *parts = PurePath(os.path.abspath(_slashes(name))).parts
    for part in parts:
        if not os.path.lexists(os.path.join(current, part)):
            matches = _entries(current).get(spelling_key(part), ())
            if len(matches) != 1:
                return ""
            part = matches[0]
        current = os.path.join(current, part)
    return current if os.path.isfile(current) else ""


def _slashes(name: str) -> str:
    return name.replace("\\", "/")


def _output(item: EditItem, photo: str) -> str:
    """Return the name of the result: the end of ``photo`` if it was that of ``item.photo``."""
    output = os.path.normpath(_slashes(item.output))
    if output_name(os.path.normpath(_slashes(item.photo))).endswith(f"/{output}"):
        return output_name("/".join(photo.split("/")[-len(output.split("/")) :]))
    return output if item.output in item.photo else item.output


def _renamed(value: Any, rename: Callable[[str], str], key: str = "") -> Any:
    """Return JSON with the names of files in it renamed."""
    if isinstance(value, dict):
        return {k: _renamed(v, rename, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_renamed(v, rename, key) for v in value]
    return rename(value) if key in FILE_KEYS and isinstance(value, str) else value


def spelling_key(name: str) -> str:
    """Return what the spellings of a name have in common."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:  # as old Windows wrote it
        name = name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _entries(folder: str) -> dict[str, tuple[str, ...]]:
    try:
        return _entries_at(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return {}


@lru_cache(64)
def _entries_at(folder: str, time: int) -> dict[str, tuple[str, ...]]:
    """Return the names in a folder by ``spelling_key``; ``time`` is that of its last change."""
    names: dict[str, tuple[str, ...]] = {}
    for name in sorted(os.listdir(folder)):
        names[spelling_key(name)] = (*names.get(spelling_key(name), ()), name)
    return names
