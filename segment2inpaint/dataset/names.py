"""File names: which files are photos, and where the results of a photo are written."""

from __future__ import annotations

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.results_log import STATE_FOLDER
from segment2inpaint.dataset.run_types import RunSettings
from segment2inpaint.errors import BadImage


def is_photo(name: str) -> bool:
    """Return whether the suffix of a file name is that of a readable image format."""
    if name.lower().endswith(".gif"):
        return True
    try:
        images.format_of(name)
    except BadImage:
        return False
    return True


def output_name(name: str) -> str:
    """Return the name of a photo's result: the name of the photo, with ``.png`` for ``.gif``."""
    return name[:-4] + ".png" if name.lower().endswith(".gif") else name


def mask_name(output: str, settings: RunSettings) -> str:
    """Return the name of a photo's mask, relative to the output folder."""
    return f"{settings.masks}/{output}.png"


def thumbnail_path(output: str, settings: RunSettings) -> str:
    """Return the path or URL of a photo's picture in the report."""
    return storage.join(settings.out, f"{STATE_FOLDER}/thumbs/{output}.jpg")
