"""File names: which files are photos, and where the results of a photo are written.

A name that is not UTF-8 on disk has its other bytes escaped as Python does (``surrogateescape``).
JSON keeps such names; ``printable`` is for what must be UTF-8.
"""

from __future__ import annotations

import hashlib
from typing import Any

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.results_log import STATE_FOLDER
from segment2inpaint.dataset.run_types import RunSettings

MAX_NAME = 255  # bytes of a file name, the limit of the usual file systems
MAX_PATH = 4096  # characters of a path; more is no file name
_DIGEST_LENGTH = 16  # hexadecimal digits that keep shortened names apart


def is_photo(name: str) -> bool:
    """Return whether the suffix of a file name is that of a photo.

    HEIC and JPEG XL count even without their packages: each then fails with what to install.
    """
    return images.has_photo_suffix(name)


def output_name(name: str) -> str:
    """Return the name of a photo's result: the name of the photo, with ``.png`` for ``.gif``."""
    return name[:-4] + ".png" if name.lower().endswith(".gif") else name


def mask_name(output: str, settings: RunSettings) -> str:
    """Return the name of a photo's mask, relative to the output folder."""
    return f"{settings.masks}/{_with_suffix(output, '.png')}"


def thumbnail_path(output: str, settings: RunSettings) -> str:
    """Return the path or URL of a photo's picture in the report."""
    return storage.join(settings.out, f"{STATE_FOLDER}/thumbs/{_with_suffix(output, '.jpg')}")


def object_mask_name(output: str) -> str:
    """Return the name of the mask of a photo's objects, which is kept for training pairs."""
    return f"{STATE_FOLDER}/objects/{_with_suffix(output, '.png')}"


def _with_suffix(name: str, suffix: str) -> str:
    """Return the name with a suffix; a file name that is then too long is shortened.

    The end of a shortened name is replaced by a digest of it.
    """
    folder, slash, file = name.rpartition("/")
    data = file.encode("utf-8", "surrogateescape")
    if len(data) + len(suffix) <= MAX_NAME:
        return name + suffix
    end = f"-{hashlib.sha256(data).hexdigest()[:_DIGEST_LENGTH]}{suffix}"
    start = data[: MAX_NAME - len(end)].decode("utf-8", "ignore")
    return f"{folder}{slash}{start}{end}"


def printable(text: str) -> str:
    """Return a text as valid UTF-8: bytes of a file name that are not appear as ``\\xe9``."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character, from JSON
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def check_file_name(name: Any, key: str) -> None:
    """Raise ``ValueError`` if ``name``, the value of ``key``, cannot be the path of a file."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"{key} must be a name, got {name!r:.40}")
    if len(name) > MAX_PATH:
        raise ValueError(f"{key} must be a name, got {len(name)} characters")
    if "\0" in name:
        raise ValueError(f"{key} must be a name, got one with a NUL byte: {name!r:.40}")
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueError(f"{key} has half a character in it: {name!r:.40}") from error
