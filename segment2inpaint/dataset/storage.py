"""Read and write files by name: local paths, fsspec URLs (``s3://``, ``gs://``), parts of files.

A photo is named by a string that can travel to another machine:

* ``/data/a.jpg`` or ``s3://bucket/a.jpg``: a whole file;
* ``/data/shard.tar#512+20480``: offset + count, a range of bytes (a member of a tar file);
* ``/data/part.parquet#row=17,image``: row and column of a Parquet or Arrow table, which
  ``inputs.read_input`` reads.
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

TABLE_ROW = re.compile(r"^(?P<file>.+)#row=(?P<row>\d+),(?P<column>.+)$", re.DOTALL)
_BYTE_RANGE = re.compile(r"^(?P<file>.+)#(?P<offset>\d+)\+(?P<count>\d+)$", re.DOTALL)
_PARTIAL_FILE = re.compile(r"^\.[0-9a-f]{16}\.part$")  # the name while it is being written
_REMOTE_QUERIES = 32  # concurrent requests to a remote store


# --- names ------------------------------------------------------------------------------------


def is_remote(name: str) -> bool:
    """Return whether a name is a URL for fsspec rather than a local path."""
    return "://" in name


def join(folder: str, name: str) -> str:
    """Return the path or URL of ``name``, separated by ``/``, below ``folder``."""
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder, name))


def containing_file(name: str) -> str:
    """Return the file that holds a range of bytes or a table row; a file's name is unchanged."""
    match = _BYTE_RANGE.match(name) or TABLE_ROW.match(name)
    return match["file"] if match else name


def resolve_links(name: str) -> str:
    """Return a local path with the links of its folder resolved, so that equal files compare."""
    if is_remote(name):
        return name
    folder, last = os.path.split(name)
    return os.path.join(_resolve_folder(folder), last)


# --- reading ----------------------------------------------------------------------------------


def read(name: str) -> bytes:
    """Return the bytes of a file or of a range of one. Raises ``BadImage``."""
    with errors_as_bad_image(name):
        if match := _BYTE_RANGE.match(name):
            return _read_range(match["file"], int(match["offset"]), int(match["count"]))
        return _read_file(name)


def read_lines(name: str) -> Iterator[bytes]:
    """Yield the lines of a file, each with its line end. Raises ``BadImage``."""
    if is_remote(name):
        yield from read(name).splitlines(keepends=True)
        return
    try:
        with Path(name).open("rb") as file:
            yield from file
    except OSError as error:
        raise BadImage(f"{name}: cannot be read ({_reason(error)})") from error


def open_stream(name: str) -> Any:
    """Return a seekable binary file object for a path or URL."""
    import fsspec

    return fsspec.open(name, "rb").open()


@contextmanager
def errors_as_bad_image(name: str) -> Iterator[None]:
    """Raise errors of the file system as ``BadImage``."""
    try:
        yield
    except FileNotFoundError:
        raise BadImage(f"{name}: no such file, expected a picture; check the path") from None
    except (OSError, ValueError) as error:
        raise BadImage(f"{name}: cannot be read ({_reason(error)})") from error


# --- writing ----------------------------------------------------------------------------------


def write(name: str, data: bytes) -> None:
    """Write a file atomically: it appears complete or not at all. Raises ``BadImage``."""
    if not is_remote(name):
        images.write_bytes(name, data)
        return
    try:
        system, path = _file_system(name)
        system.makedirs(system._parent(path), exist_ok=True)
        system.pipe_file(path, data)
    except OSError as error:
        raise BadImage(f"{name}: cannot be written: {_reason(error)}") from error


def delete(name: str) -> None:
    """Delete a file; one that does not exist is no error."""
    if not is_remote(name):
        Path(name).unlink(missing_ok=True)
        return
    system, path = _file_system(name)
    if system.exists(path):
        system.rm_file(path)


@contextmanager
def open_atomic(name: str) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name when the block ends.

    Use it for files that do not fit in memory. Raises ``BadImage``.
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
            system, path = _file_system(name)
            system.put_file(str(part), path)
        else:
            part.replace(local)
    except OSError as error:
        raise BadImage(f"{name}: cannot be written: {_reason(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def delete_partial_files(folder: str) -> None:
    """Delete the incomplete files that killed writers have left below a local folder."""
    if is_remote(folder):
        return  # remote stores show only complete objects
    for root, _, files in os.walk(folder):
        for name in files:
            if _PARTIAL_FILE.match(name):
                Path(root, name).unlink(missing_ok=True)


# --- file information -------------------------------------------------------------------------


def fingerprint(name: str) -> str:
    """Return a string that changes when the file does; empty if the file is missing.

    It is made of size and modification time, or of the checksum of a remote store.
    """
    name = containing_file(name)
    try:
        if is_remote(name):
            system, path = _file_system(name)
            return str(system.ukey(path))
        status = os.stat(name)
    except Exception:  # noqa: BLE001 - each store has errors of its own
        return ""
    return f"{status.st_size}:{status.st_mtime_ns}"


def size(name: str) -> int:
    """Return the size of a whole file in bytes, -1 if there is none."""
    try:
        if is_remote(name):
            system, path = _file_system(name)
            return int(system.size(path))
        return Path(name).stat().st_size
    except Exception:  # noqa: BLE001 - each store has errors of its own
        return -1


def find_missing(names: Iterable[str]) -> set[str]:
    """Return those names whose file does not exist."""
    files = {name: containing_file(name) for name in names}
    remote = sorted({file for file in files.values() if is_remote(file)})
    with ThreadPoolExecutor(_REMOTE_QUERIES) as pool:
        exists = dict(zip(remote, pool.map(lambda file: size(file) >= 0, remote), strict=True))
    return {name for name, file in files.items() if not exists.get(file, os.path.isfile(file))}


def list_files(folder: str) -> list[str]:
    """Return the names of all files below a folder, relative, with ``/``, sorted.

    Hidden files and folders are left out.
    """
    if is_remote(folder):
        system, path = _file_system(folder)
        names = [file[len(path.rstrip("/")) + 1 :] for file in system.find(path)]
    else:
        names = []
        for root, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inner = Path(os.path.relpath(root, folder)).as_posix()
            names += [name if inner == "." else f"{inner}/{name}" for name in files]
    return sorted(n for n in names if not any(part.startswith(".") for part in n.split("/")))


def is_folder(name: str) -> bool:
    """Return whether a path or URL is an existing folder."""
    if not is_remote(name):
        return os.path.isdir(name)
    system, path = _file_system(name)
    return bool(system.isdir(path))


@lru_cache(4096)
def _resolve_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _read_file(name: str) -> bytes:
    if not is_remote(name):
        return Path(name).read_bytes()
    system, path = _file_system(name)
    data: bytes = system.cat_file(path)
    return data


def _read_range(file: str, offset: int, count: int) -> bytes:
    if is_remote(file):
        system, path = _file_system(file)
        data: bytes = system.cat_file(path, start=offset, end=offset + count)
        return data
    with Path(file).open("rb") as stream:
        stream.seek(offset)
        return stream.read(count)


def _file_system(name: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL and the path in it. Raises ``BadImage``."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(name)
    except (ImportError, ValueError) as error:
        raise BadImage(f"{name}: {_reason(error)}") from error
    return system, str(path)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
