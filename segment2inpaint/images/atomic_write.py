"""Write files atomically: a file appears under its name complete, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from segment2inpaint.errors import BadImage


def write_bytes(
    target: str | Path, data: bytes, *, source: Path | None = None, overwrite: bool = False
) -> None:
    """Write a file atomically: to a temporary file in the same folder, which replaces the target.

    The data is flushed to the disk before the replacement. Missing folders are created. Links
    are followed. Devices and pipes are written to directly. A replaced file keeps its mode.
    Raises ``BadImage`` if the file cannot be written, and if ``target`` is ``source``, under any
    name, and ``overwrite`` is False.
    """
    check_target(target, source=source, overwrite=overwrite)
    path = Path(os.path.realpath(target))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(path, data)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadImage(f"{target}: cannot be written: {reason}; choose another place") from error


def check_target(
    target: str | Path, *, source: Path | None = None, overwrite: bool = False
) -> None:
    """Raise ``BadImage`` if ``write_bytes`` would fail, before there is any data to write.

    It fails for a folder, an invalid name, a place without permission, and for ``source`` if
    ``overwrite`` is False.
    """
    path = Path(target)
    try:
        is_folder = path.is_dir()
    except OSError as error:  # a name that is too long, for example
        reason = error.strerror or type(error).__name__
        raise BadImage(f"{target}: cannot be written: {reason}; choose another name") from error
    if is_folder:
        raise BadImage(f"{target}: expected a file to write, got a folder; add a file name")
    real = Path(os.path.realpath(target))
    parent = next((folder for folder in real.parents if folder.exists()), real)
    if (not real.exists() or real.is_file()) and not os.access(parent, os.W_OK):
        raise BadImage(f"{target}: cannot be written: Permission denied; choose another place")
    if source is None or overwrite:
        return
    with contextlib.suppress(OSError):
        if path.samefile(source):
            raise BadImage(
                f"{target}: is the input itself; choose another name or give --overwrite"
            )


def _replace(path: Path, data: bytes) -> None:
    temporary = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        # Not tempfile, which creates private files: the mode must follow the umask.
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    except BaseException:  # also on Ctrl-C: never leave the temporary file behind
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
