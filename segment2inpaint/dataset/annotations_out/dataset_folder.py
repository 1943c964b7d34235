"""The folder of one annotation format: its files, its photos, and what earlier runs left there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.inputs import read_input
from segment2inpaint.dataset.results_log import STATE_FOLDER

WRITTEN_FILE = f"{STATE_FOLDER}/annotations.txt"  # names of all files in the folders, one a line
PHOTO_FOLDERS = ("images", "JPEGImages")  # of the source; the written folder has its own


class WrittenFiles:
    """The files that this run and earlier ones have written below an output folder.

    A name is noted before its file is written, so that a killed run leaves no file that a later
    one does not know.
    """

    def __init__(self, out: str) -> None:
        self.out = out
        self._list = storage.join(out, WRITTEN_FILE)
        self._earlier = set(self._read())
        self._names: set[str] = set()

    def add(self, name: str) -> str:
        """Note a name relative to the output folder, and return its path."""
        self._names.add(name)
        if name not in self._earlier and not storage.is_remote(self.out):
            with Path(self._list).open("a", encoding="utf-8", errors="surrogateescape") as file:
                file.write(f"{name}\n")
        return storage.join(self.out, name)

    def delete_stale(self) -> None:
        """Delete the files of earlier runs that this one has not written."""
        for name in sorted(set(self._read()) - self._names):
            storage.delete(storage.join(self.out, name))
        lines = "".join(f"{name}\n" for name in sorted(self._names))
        storage.write(self._list, lines.encode("utf-8", "surrogateescape"))

    def _read(self) -> list[str]:
        if storage.size(self._list) < 0:
            return []
        return storage.read(self._list).decode("utf-8", "surrogateescape").splitlines()


class DatasetFolder:
    """A folder below the output folder that becomes a dataset.

    ``placement`` is that of ``MaskOutputs.photos``.
    """

    def __init__(self, name: str, written: WrittenFiles, placement: str) -> None:
        self._name = name
        self._written = written
        self._placement = placement
        self._stems: set[str] = set()

    def write(self, name: str, data: bytes) -> None:
        """Write a file."""
        storage.write(self._written.add(f"{self._name}/{name}"), data)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file for writing that appears under its name when the block ends."""
        with storage.open_atomic(self._written.add(f"{self._name}/{name}")) as file:
            yield file

    def add_photo(self, photo: str, name: str, folder: str) -> None:
        """Put a photo into a folder of the dataset, as the placement says."""
        if self._placement == "none":
            return
        target = self._written.add(f"{self._name}/{folder}{name}")
        if self._placement == "link" and _link(photo, target):
            return
        if not _is_copied(photo, target):
            storage.write(target, read_input(photo))

    def photo_name(self, photo: str, output: str) -> str:
        """Return the name of a photo in the dataset: unique also without its suffix.

        ``a.jpg`` and ``a.png`` of one folder become ``a.jpg`` and ``a_png.png``.
        """
        name = PurePosixPath(output)
        if "#" not in photo:  # the file itself is placed: its suffix tells its format
            name = name.with_suffix(PurePosixPath(photo).suffix)
        if len(name.parts) > 1 and name.parts[0] in PHOTO_FOLDERS:
            name = PurePosixPath(*name.parts[1:])
        stem, suffix = str(name.with_suffix("")), name.suffix
        while stem in self._stems:
            stem = f"{stem}_{suffix.removeprefix('.') or 'photo'}"
        self._stems.add(stem)
        return f"{stem}{suffix}"


def _link(photo: str, target: str) -> bool:
    """Make a hard link to a photo; return False where there can be none, as on another disk.

    Readers refuse symbolic links that lead out of their folder.
    """
    if "#" in photo or storage.is_remote(photo) or storage.is_remote(target):
        return False
    part = Path(target).with_name(f".{secrets.token_hex(8)}.part")
    try:
        if os.path.exists(target) and os.path.samefile(photo, target):
            return True
        part.parent.mkdir(parents=True, exist_ok=True)
        os.link(os.path.realpath(photo), part)
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        return False
    return True


def _is_copied(photo: str, target: str) -> bool:
    """Return whether a local file is a copy that is newer than its photo."""
    if "#" in photo or storage.is_remote(photo) or storage.is_remote(target):
        return False
    try:
        ours, theirs = os.stat(target), os.stat(photo)
    except OSError:
        return False
    return ours.st_size == theirs.st_size and ours.st_mtime_ns > theirs.st_mtime_ns
