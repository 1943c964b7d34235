"""Whole files or none: what is written appears under its name complete, or not at all."""

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
    """Write a file atomically: beside the target, flushed to the disk, then renamed over it.

    Its folder is made. Links are followed, devices and pipes written to as they are, the mode
    of a file that is replaced is kept. Raises ``BadImage`` if it cannot be written, and if
    ``target`` is ``source``, by whatever name, without ``overwrite``.
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
        why = error.strerror or type(error).__name__
        raise BadImage(f"{target}: cannot be written: {why}; choose another place") from error


def check_target(
    target: str | Path, *, source: Path | None = None, overwrite: bool = False
) -> None:
    """Raise ``BadImage`` for what could not be written, and ``source`` if it may not be.

    So for a folder, a name that cannot be, or a place without permission.
    """
    path = Path(target)
    try:
        folder = path.is_dir()
    except OSError as error:  # such as a name that is too long
        why = error.strerror or type(error).__name__
        raise BadImage(f"{target}: cannot be written: {why}; choose another name") from error
    if folder:
        raise BadImage(f"{target}: expected a file to write, got a folder; add a file name")
    real = Path(os.path.realpath(target))
    above = next((folder for folder in real.parents if folder.exists()), real)
    if (not real.exists() or real.is_file()) and not os.access(above, os.W_OK):
        raise BadImage(f"{target}: cannot be written: Permission denied; choose another place")
    if source is None or overwrite:
        return
    with contextlib.suppress(OSError):
        if path.samefile(source):
            raise BadImage(
                f"{target}: is the input itself; choose another name or give --overwrite"
            )


def _replace(path: Path, data: bytes) -> None:
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        # Not tempfile: that makes private files, this one is to have the usual mode.
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    except BaseException:  # a part is never left behind, not by Ctrl-C either
        with contextlib.suppress(OSError):
            part.unlink()
        raise
