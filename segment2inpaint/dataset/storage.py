"""Bytes in and out: local files, anything fsspec knows (``s3://``, ``gs://``), parts of files.

A photo is named by a string that can travel to another machine:

* ``/data/a.jpg`` or ``s3://bucket/a.jpg``: a file;
* ``/data/shard.tar#512+20480``: bytes of a file, offset + count (a member of a tar);
* ``/data/part.parquet#row=17,image``: the picture in a row and column of a Parquet or Arrow file.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from segment2inpaint import images
from segment2inpaint.errors import BadImage

_SLICE = re.compile(r"^(?P<file>.+)#(?P<offset>\d+)\+(?P<count>\d+)$", re.DOTALL)
ROW = re.compile(r"^(?P<file>.+)#row=(?P<row>\d+),(?P<column>.+)$", re.DOTALL)
_PART = re.compile(r"^\.[0-9a-f]{16}\.part$")  # what images.write_bytes leaves if it is killed
_ASKERS = 32  # questions at once to a remote store


def is_remote(name: str) -> bool:
    """Whether a name is fsspec's business, not the operating system's."""
    return "://" in name


def join(folder: str, name: str) -> str:
    """A ``/``-separated name below a folder, local or remote."""
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder, name))


def file_of(name: str) -> str:
    """The file that a name is of or in."""
    found = _SLICE.match(name) or ROW.match(name)
    return found["file"] if found else name


def read(name: str) -> bytes:
    """Return the bytes of a file or of part of one. Raises ``BadImage``.

    ``shards.read_input`` also reads a row of a table.
    """
    with reading(name):
        if found := _SLICE.match(name):
            return _range(found["file"], int(found["offset"]), int(found["count"]))
        return _whole(name)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn an error of the file system into ``BadImage``."""
    try:
        yield
    except FileNotFoundError:
        raise BadImage(f"{name}: no such file, expected a picture; check the path") from None
    except (OSError, ValueError) as error:
        raise BadImage(f"{name}: cannot be read ({_why(error)})") from error


def write(name: str, data: bytes) -> None:
    """Store bytes under a name: whole, or not at all. Raises ``BadImage``."""
    if not is_remote(name):
        images.write_bytes(name, data)
        return
    try:
        system, path = _system(name)
        system.makedirs(system._parent(path), exist_ok=True)
        system.pipe_file(path, data)
    except OSError as error:
        raise BadImage(f"{name}: cannot be written: {_why(error)}") from error


@contextmanager
def writing(name: str) -> Iterator[BinaryIO]:
    """A file to write to that appears under its name when it is complete. Raises ``BadImage``.

    For what is too long to be held in memory.
    """
    local = None if is_remote(name) else Path(name)
    folder = tempfile.gettempdir() if local is None else local.parent
    part = Path(folder, f".{secrets.token_hex(8)}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if local is None:
            system, path = _system(name)
            system.put_file(str(part), path)
        else:
            part.replace(local)
    except OSError as error:
        raise BadImage(f"{name}: cannot be written: {_why(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def lines(name: str) -> Iterator[bytes]:
    """The lines of a file, one after the other, each with its end. Raises ``BadImage``."""
    if is_remote(name):
        yield from read(name).splitlines(keepends=True)
        return
    try:
        with Path(name).open("rb") as file:
            yield from file
    except OSError as error:
        raise BadImage(f"{name}: cannot be read ({_why(error)})") from error


def fingerprint(name: str) -> str:
    """Changes when the file does: size and time, or what a remote store has; "" if missing."""
    name = file_of(name)
    try:
        if is_remote(name):
            system, path = _system(name)
            return str(system.ukey(path))
        found = os.stat(name)
    except OSError:
        return ""
    return f"{found.st_size}:{found.st_mtime_ns}"


def size(name: str) -> int:
    """Bytes stored under the name of a whole file, -1 if there is none."""
    try:
        if is_remote(name):
            system, path = _system(name)
            return int(system.size(path))
        return Path(name).stat().st_size
    except OSError:
        return -1


def missing(names: Iterable[str]) -> set[str]:
    """Those of the names whose file is not there."""
    files = {name: file_of(name) for name in names}
    distant = sorted({file for file in files.values() if is_remote(file)})
    with ThreadPoolExecutor(_ASKERS) as askers:
        there = dict(zip(distant, askers.map(lambda file: size(file) >= 0, distant), strict=True))
    return {name for name, file in files.items() if not there.get(file, os.path.isfile(file))}


def walk(folder: str) -> list[str]:
    """All files below a folder, relative and ``/``-separated, sorted; hidden ones left out."""
    if is_remote(folder):
        system, path = _system(folder)
        names = [found[len(path.rstrip("/")) + 1 :] for found in system.find(path)]
    else:
        names = []
        for root, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inner = Path(os.path.relpath(root, folder)).as_posix()
            names += [name if inner == "." else f"{inner}/{name}" for name in files]
    return sorted(n for n in names if not any(part.startswith(".") for part in n.split("/")))


def is_folder(name: str) -> bool:
    if not is_remote(name):
        return os.path.isdir(name)
    system, path = _system(name)
    return bool(system.isdir(path))


def real(name: str) -> str:
    """One spelling for each file: links of its folder followed."""
    if is_remote(name):
        return name
    folder, last = os.path.split(name)
    return os.path.join(_real_folder(folder), last)


def sweep(folder: str) -> None:
    """Delete what writers that were killed have left half-written."""
    if is_remote(folder):
        return  # an object appears whole
    for root, _, files in os.walk(folder):
        for name in files:
            if _PART.match(name):
                Path(root, name).unlink(missing_ok=True)


@lru_cache(4096)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _whole(name: str) -> bytes:
    if not is_remote(name):
        return Path(name).read_bytes()
    system, path = _system(name)
    data: bytes = system.cat_file(path)
    return data


def _range(file: str, offset: int, count: int) -> bytes:
    if is_remote(file):
        system, path = _system(file)
        part: bytes = system.cat_file(path, start=offset, end=offset + count)
        return part
    with Path(file).open("rb") as stream:
        stream.seek(offset)
        return stream.read(count)


def _system(name: str) -> tuple[Any, str]:
    """The file system of a URL, and its path there. Raises ``BadImage`` if fsspec lacks it."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(name)
    except (ImportError, ValueError) as error:
        raise BadImage(f"{name}: {_why(error)}") from error
    return system, str(path)


def _why(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
