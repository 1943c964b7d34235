"""Names of photos: which files are photos, and what a result is called."""

from __future__ import annotations

from segment2inpaint import images
from segment2inpaint.errors import BadImage


def is_photo(name: str) -> bool:
    """Whether the suffix is that of a picture that can be read here."""
    if name.lower().endswith(".gif"):
        return True
    try:
        images.format_of(name)
    except BadImage:
        return False
    return True


def output_name(name: str) -> str:
    """The name that a photo's result gets: its own, but a GIF becomes a PNG."""
    return name[:-4] + ".png" if name.lower().endswith(".gif") else name
